import { chunks } from "../../data/chunks.js";
import { componentsOf } from "../../data/components.js";
import { converterOf, type SourceRow } from "../../data/conversion/convert.js";
import type { Finding } from "../../data/finding.js";
import { TableGraph } from "../../data/graph.js";
import { encodeKey } from "../../data/key.js";
import { decodeRows } from "../../data/rows/copy-text.js";
import { readable } from "../../data/rows/postgres-expression.js";
import { quote, quotedOn, type Table } from "../../data/table.js";
import { type ExactValue, type PostgresTransaction, statement, type Transaction } from "../../engines/engine.js";
import type { Copied } from "./into-postgres.js";
import type { LoadMode } from "./postgres-load.js";
import type { CopiedTable, LeftOut } from "./report.js";
import { type CopyRun, TableRun, timeoutMs } from "./run.js";
import { SqliteLoad } from "./sqlite-load.js";

/** Rows in one transaction of SQLite, which lets others write in between. */
const rowsInABatch = 1_000;

/** Runs its work in a transaction of SQLite: one for each batch, or the same for many. */
type InTransaction = <T>(work: (transaction: Transaction) => Promise<T>) => Promise<T>;

/**
 * PostgreSQL into SQLite where the two are no pair: every row as of one moment. Rows that only the target has are left alone; rows that
 * it has already are changed where they differ, so that a second run changes nothing.
 */
export async function copyIntoSqlite(run: CopyRun, tables: readonly Table[]): Promise<Copied> {
  const { sqlite, postgres } = run.databases;
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
      if (!isCyclic) for (const table of together) await this.#table(table, this.#inTransaction);
      else await this.#cycle(together);
    }
    return { tables: this.#tables, leftOut: this.#leftOut };
  }

  /** Foreign keys among these tables are checked at COMMIT, so they are filled in one transaction. */
  async #cycle(tables: readonly Table[]): Promise<void> {
    await this.#inTransaction(async (target) => {
      await target.script("PRAGMA defer_foreign_keys = ON");
      for (const table of tables) await this.#table(table, (work) => work(target));
    });
  }

  async #table(table: Table, inTransaction: InTransaction): Promise<void> {
    const before = await count(inTransaction, table);
    if (table.key.length === 0 && before > 0) {
      this.#leftOut.push({ table: table.name, reason: "it has no key, and SQLite's table is not empty" });
      return;
    }
    const one = new TableRun(this.#run, table, await this.#estimate(table));
    try {
      if (table.key.length > 0) await this.#batches(one, "merge", inTransaction);
      // Nobody could go on with a part of it.
      else await inTransaction((target) => this.#batches(one, "insert", (work) => work(target)));
      const { written, alreadyThere } = one.tally;
      one.tally.extra = Math.max(0, (await count(inTransaction, table)) - written - alreadyThere);
      this.#tables.push(await one.finish());
    } finally {
      await one.close();
    }
  }

  async #batches(one: TableRun, mode: LoadMode, inTransaction: InTransaction): Promise<void> {
    const { table } = one;
    const load = new SqliteLoad(table);
    const size = this.#run.options.batchSize ?? rowsInABatch;
    one.step();
    for await (const page of decodeRows(table.columns, this.#source.copyOut(copyText(table)))) {
      for (const rows of chunks(page, size)) {
        await this.#batch(one, load, rows, mode, inTransaction);
        one.step();
      }
    }
  }

  async #batch(
    one: TableRun,
    load: SqliteLoad,
    lists: readonly (readonly ExactValue[])[],
    mode: LoadMode,
    inTransaction: InTransaction,
  ): Promise<void> {
    const { table, tally } = one;
    const rows = lists.map((values) => sourceRow(table, values));
    const converted = rows.map(converterOf(table, "sqlite"));
    const going = converted.flatMap(({ findings }, index) => (refusalIn(findings) === undefined ? [index] : []));
    const values = going.map((index) => converted[index]?.values ?? []);
    const { written, refused } = await inTransaction((target) => load.run(target, values, mode));
    tally.read += rows.length;
    tally.written += written;
    tally.alreadyThere += going.length - refused.size - written;
    for (const index of going) one.note(converted[index]?.findings ?? []);
    const late = [...refused].map(([at, { column, reason }]) => {
      const row = rows[going[at] ?? -1] as SourceRow;
      return { row, finding: { table: table.name, key: row.key, column, reason, action: "refused" as const } };
    });
    const early = converted.flatMap(({ findings }, index) => {
      const finding = refusalIn(findings);
      return finding === undefined ? [] : [{ row: rows[index] as SourceRow, finding }];
    });
    await one.setAside([...early, ...late]);
  }

  async #estimate(table: Table): Promise<number> {
    const text = `SELECT count(*) AS n FROM ${quotedOn("postgres", table)}`;
    return Number((await this.#source.query(statement(text)))[0]?.n);
  }
}

function refusalIn(findings: readonly Finding[]): Finding | undefined {
  return findings.find(({ action }) => action === "refused");
}

function sourceRow(table: Table, values: readonly ExactValue[]): SourceRow {
  const parts = table.key.map((name) => values[table.columns.findIndex((column) => column.name === name)] ?? null);
  return { key: encodeKey(parts), values };
}

function copyText(table: Table): string {
  const columns = table.columns.map((column) => readable(column, "t")).join(", ");
  return `COPY (SELECT ${columns} FROM ${quotedOn("postgres", table)} AS t) TO STDOUT`;
}

async function count(inTransaction: InTransaction, table: Table): Promise<number> {
  const sql = `SELECT COUNT(*) AS n FROM ${quote(table.name)}`;
  return inTransaction(async (target) => Number((await target.query(statement(sql)))[0]?.n));
}
