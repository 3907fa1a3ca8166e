import { chunks } from "../../data/chunks.js";
import { componentsOf } from "../../data/components.js";
import { converterOf, type SourceRow } from "../../data/conversion/convert.js";
import { TableGraph } from "../../data/graph.js";
import { encodeKey } from "../../data/key.js";
import { decodeRows } from "../../data/rows/copy-text.js";
import { readable } from "../../data/rows/postgres-expression.js";
import { rowsOf } from "../../data/rows/rows.js";
import { quote, quotedOn, type Table } from "../../data/table.js";
import { type ExactValue, type PostgresTransaction, statement, type Transaction } from "../../engines/engine.js";
import { refusedRow } from "./batch.js";
import type { Copied } from "./into-postgres.js";
import type { Loaded, LoadMode } from "./postgres-load.js";
import { presentAmong } from "./present.js";
import type { CopiedTable, LeftOut } from "./report.js";
import { type CopyRun, TableRun, targetIn, timeoutMs } from "./run.js";
import { account } from "./settle.js";
import { SqliteLoad } from "./sqlite-load.js";
import { SqliteStagedLoad } from "./sqlite-staged-load.js";
import { schemaOf } from "./stages.js";
import type { TargetTable } from "./target-table.js";

/** Rows in one transaction of SQLite, which lets others write in between. */
const rowsInABatch = 1_000;

/** Runs its work in a transaction of SQLite: one for each batch, or the same for many. */
type InTransaction = <T>(work: (transaction: Transaction) => Promise<T>) => Promise<T>;

/** Brings values to the target, and tells what it takes. */
type Load = (values: readonly (readonly ExactValue[])[]) => Promise<Loaded>;

/**
 * PostgreSQL into SQLite where the two are no pair: every row as of one moment. Rows that only the target has are left alone; rows that
 * it has already are changed where they differ, so that a second run changes nothing.
 */
export async function copyIntoSqlite(run: CopyRun, tables: readonly Table[]): Promise<Copied> {
  const { sqlite, postgres } = run.databases;
  // Else SQLite keeps what is staged in memory, however much it is.
  if (schemaOf(run.databases) === "temp") await sqlite.write([statement("PRAGMA temp_store = FILE")]);
  const one: InTransaction = (work) => sqlite.transaction({ mode: "write" }, work);
  return postgres.transaction({ mode: "read", timeoutMs }, async (source) => {
    if (run.rejects !== null) return new IntoSqlite(run, source, one).copy(tables);
    return one((target) => new IntoSqlite(run, source, (work) => work(target)).copy(tables));
  });
}

class IntoSqlite {
  readonly #run: CopyRun;
  readonly #source: PostgresTransaction;
  readonly #inTransaction: InTransaction;
  readonly #tables: CopiedTable[] = [];
  readonly #leftOut: LeftOut[] = [];

  constructor(run: CopyRun, source: PostgresTransaction, inTransaction: InTransaction) {
    this.#run = run;
    this.#source = source;
    this.#inTransaction = inTransaction;
  }

  async copy(tables: readonly Table[]): Promise<Copied> {
    for (const { tables: together, isCyclic } of componentsOf(new TableGraph(tables))) {
      if (!isCyclic) for (const table of together) await this.#table(table);
      else await this.#cycle(together);
    }
    return { tables: this.#tables, leftOut: this.#leftOut };
  }

  /** All tables of a cycle in one transaction: no part of them could stand by itself. */
  async #cycle(tables: readonly Table[]): Promise<void> {
    const keyless = tables.filter(({ key }) => key.length === 0);
    for (const { name: table } of keyless)
      this.#leftOut.push({ table, reason: "it has no key, and is part of a cycle" });
    const whole = tables.filter(({ key }) => key.length > 0);
    const runs = await Promise.all(whole.map((table) => this.#begin(table)));
    try {
      await this.#inTransaction(async (target) => {
        const load = this.#stagedLoad(target, whole);
        await load.begin();
        for (const one of runs) await this.#batches(one, "insert", (values) => load.stageRows(one.table, values));
        await account(runs, await load.settle(), (table, keys) => this.#rows(table, keys));
      });
      for (const one of runs) await this.#finish(one);
    } finally {
      for (const one of runs) await one.close();
    }
  }

  async #table(table: Table): Promise<void> {
    if (table.key.length === 0 && (await this.#count(table)) > 0) {
      this.#leftOut.push({ table: table.name, reason: "it has no key, and SQLite's table is not empty" });
      return;
    }
    const one = await this.#begin(table);
    const load = new SqliteLoad(this.#target(table));
    try {
      if (table.key.length > 0)
        await this.#batches(one, "merge", (values) =>
          this.#inTransaction((target) => load.run(target, values, "merge")),
        );
      // Nobody could go on with a part of it.
      else
        await this.#inTransaction((target) =>
          this.#batches(one, "insert", (values) => load.run(target, values, "insert")),
        );
      await this.#again(one);
      await this.#finish(one);
    } finally {
      await one.close();
    }
  }

  /** Rows whose unique values others had when they came: all at once they may go, since every row of the source has been there now. */
  async #again(one: TableRun): Promise<void> {
    const { table, waiting } = one;
    if (waiting.length === 0) return;
    await this.#inTransaction(async (target) => {
      const load = this.#stagedLoad(target, [table]);
      await load.begin();
      for (const keys of chunks(waiting, rowsInABatch)) {
        const rows = await this.#rows(table, keys);
        await load.stageRows(
          table,
          rows.map(converterOf(table, "sqlite")).map(({ values }) => values),
        );
        one.tally.alreadyThere += rows.length;
        one.step();
      }
      await account([one], await load.settle(), (_, keys) => this.#rows(table, keys));
    });
  }

  async #batches(one: TableRun, mode: LoadMode, load: Load): Promise<void> {
    const { columns } = one.table;
    const size = this.#run.options.batchSize ?? rowsInABatch;
    one.step();
    for await (const page of decodeRows(columns, this.#source.copyOut(copyText(one.table)))) {
      for (const rows of chunks(page, size)) {
        await this.#batch(one, mode, rows, load);
        one.step();
      }
    }
  }

  async #batch(one: TableRun, mode: LoadMode, lists: readonly (readonly ExactValue[])[], load: Load): Promise<void> {
    const { table, tally } = one;
    const rows = lists.map((values) => sourceRow(table, values));
    const converted = rows.map((row) => ({ row, ...converterOf(table, "sqlite")(row) }));
    const early = converted.flatMap(({ row, findings }) => {
      const finding = findings.find(({ action }) => action === "refused");
      return finding === undefined ? [] : [{ row, finding }];
    });
    const going = converted.filter(({ findings }) => findings.every(({ action }) => action !== "refused"));
    const { written, refused } = await load(going.map(({ values }) => values));
    tally.read += rows.length;
    tally.written += written;
    tally.alreadyThere += going.length - refused.size - written;
    one.note(going.flatMap(({ findings }) => findings));
    const isWaiting = (index: number) => mode === "merge" && refused.get(index)?.isTaken === true;
    one.wait(going.filter((_, index) => isWaiting(index)).map(({ key }) => key));
    const late = going.flatMap(({ row }, index) =>
      isWaiting(index) ? [] : refusedRow(table, row, refused.get(index)),
    );
    await one.setAside([...early, ...late]);
  }

  async #begin(table: Table): Promise<TableRun> {
    const text = `SELECT count(*) AS n FROM ${quotedOn("postgres", table)}`;
    return new TableRun(this.#run, table, Number((await this.#source.query(statement(text)))[0]?.n));
  }

  async #finish(one: TableRun): Promise<void> {
    const { written, alreadyThere } = one.tally;
    const there = await this.#count(one.table);
    const former = await this.#inTransaction((target) => presentAmong(target, "sqlite", one.table, one.aside));
    one.tally.extra = Math.max(0, there - written - alreadyThere - former);
    this.#tables.push(await one.finish());
  }

  #rows(table: Table, keys: readonly string[]): Promise<SourceRow[]> {
    return rowsOf("postgres").read(this.#source, table, keys);
  }

  #stagedLoad(target: Transaction, tables: readonly Table[]): SqliteStagedLoad {
    const targets = tables.map((table) => targetIn(this.#run, table, "sqlite"));
    return new SqliteStagedLoad(target, targets, schemaOf(this.#run.databases));
  }

  /** In one transaction for everything, foreign keys may wait for its COMMIT, all of them. */
  #target(table: Table): TargetTable {
    const target = targetIn(this.#run, table, "sqlite");
    if (this.#run.rejects !== null) return target;
    return { ...target, foreignKeys: target.foreignKeys.map((key) => ({ ...key, deferred: true })) };
  }

  #count(table: Table): Promise<number> {
    const sql = `SELECT COUNT(*) AS n FROM ${quote(table.name)}`;
    return this.#inTransaction(async (target) => Number((await target.query(statement(sql)))[0]?.n));
  }
}

function sourceRow(table: Table, values: readonly ExactValue[]): SourceRow {
  const parts = table.key.map((name) => values[table.columns.findIndex((column) => column.name === name)] ?? null);
  return { key: encodeKey(parts), values };
}

function copyText(table: Table): string {
  const columns = table.columns.map((column) => readable(column, "t")).join(", ");
  return `COPY (SELECT ${columns} FROM ${quotedOn("postgres", table)} AS t) TO STDOUT`;
}
