import { chunks } from "../../data/chunks.js";
import { type Component, componentsOf } from "../../data/components.js";
import { converterOf, type SourceRow } from "../../data/conversion/convert.js";
import { ownAlterations } from "../../data/conversion/own-input.js";
import { TableGraph } from "../../data/graph.js";
import { exactRowsOf } from "../../data/rows/sqlite-pages.js";
import { quotedOn, type Table } from "../../data/table.js";
import { type PostgresTransaction, statement, type Transaction } from "../../engines/engine.js";
import { givenBySqlite } from "../../shadow/counters.js";
import { tidyTable } from "./aftermath.js";
import { type Batch, refusedRow } from "./batch.js";
import { inLanes, lanesOf } from "./lanes.js";
import { type LoadMode, PostgresLoad } from "./postgres-load.js";
import { PostgresStagedLoad } from "./postgres-staged-load.js";
import { presentAmong } from "./present.js";
import type { CopiedTable, LeftOut } from "./report.js";
import { type CopyRun, pairIn, TableRun, targetIn, timeoutMs } from "./run.js";
import { type Sent, sent, withCare } from "./sent.js";
import { account } from "./settle.js";
import { TableSource } from "./table-source.js";
import type { TargetTable } from "./target-table.js";

/** Rows in one transaction of PostgreSQL. */
const rowsInABatch = 25_000;

const rowsAtOnce = 1_000;

/** Runs its work in a transaction of PostgreSQL. */
type InTransaction = <T>(work: (transaction: PostgresTransaction) => Promise<T>) => Promise<T>;

interface Transactions {
  /** On the disk when it is over. */
  readonly lasting: InTransaction;
  /** On the disk when the next lasting one is: nobody waits for it at every batch. */
  readonly passing: InTransaction;
}

/** The same transaction for everything. */
function within(transaction: PostgresTransaction): Transactions {
  return { lasting: (work) => work(transaction), passing: (work) => work(transaction) };
}

const unflushedText = "SET LOCAL synchronous_commit = off";
const unflushed = { sql: unflushedText, text: unflushedText, values: [] };

/**
 * SQLite into PostgreSQL where the two are no pair: every row as of one moment. Rows that only the target has are left alone; rows that it
 * has already are changed where they differ, so that a second run changes nothing.
 */
export async function copyIntoPostgres(run: CopyRun, tables: readonly Table[]): Promise<Copied> {
  const { sqlite, postgres } = run.databases;
  const own: Transactions = {
    lasting: (work) => postgres.transaction({ mode: "write", timeoutMs }, work),
    passing: (work) => postgres.transaction({ mode: "write", timeoutMs, first: unflushed }, work),
  };
  return sqlite.transaction({ mode: "read" }, async (source) => {
    if (run.rejects !== null) return new IntoPostgres(run, source, own).copy(tables);
    return own.lasting((target) => new IntoPostgres(run, source, within(target)).copy(tables));
  });
}

export interface Copied {
  readonly tables: readonly CopiedTable[];
  readonly leftOut: readonly LeftOut[];
}

class IntoPostgres {
  readonly #run: CopyRun;
  readonly #source: Transaction;
  readonly #transactions: Transactions;
  readonly #tables: CopiedTable[] = [];
  readonly #leftOut: LeftOut[] = [];

  constructor(run: CopyRun, source: Transaction, transactions: Transactions) {
    this.#run = run;
    this.#source = source;
    this.#transactions = transactions;
  }

  async copy(tables: readonly Table[]): Promise<Copied> {
    for (const component of componentsOf(new TableGraph(tables))) await this.#component(component);
    return { tables: this.#tables, leftOut: this.#leftOut };
  }

  async #component({ tables, isCyclic }: Component): Promise<void> {
    if (isCyclic) await this.#cycle(tables);
    else for (const table of tables) await this.#table(table);
  }

  /** All tables of a cycle in one transaction: no part of them could stand by itself. */
  async #cycle(tables: readonly Table[]): Promise<void> {
    const keyless = tables.filter(({ key }) => key.length === 0);
    const whole = tables.filter(({ key }) => key.length > 0);
    for (const { name: table } of keyless)
      this.#leftOut.push({ table, reason: "it has no key, and is part of a cycle" });
    const runs = await Promise.all(
      whole.map(async (table) => new TableRun(this.#run, table, await this.#count(table))),
    );
    try {
      await this.#transactions.lasting((target) => this.#loadCycle(target, runs));
      for (const one of runs) one.tally.extra = await this.#extra(one);
      for (const one of runs) this.#tables.push(await this.#finish(one));
    } finally {
      for (const one of runs) await one.close();
    }
  }

  async #loadCycle(target: PostgresTransaction, runs: readonly TableRun[]): Promise<void> {
    const load = new PostgresStagedLoad(
      target,
      runs.map(({ table }) => this.#target(table)),
    );
    await load.begin();
    for (const one of runs) {
      const source = await this.#sourceOf(one.table);
      for await (const batch of source.batches()) {
        const staged = await withCare(batch, (tried) => sent(target, tried, (data) => load.stage(one.table, data)));
        await this.#account(one, staged, "insert");
        one.tally.alreadyThere += staged.batch.data.size - staged.loaded.refused.size;
        one.step();
      }
    }
    await account(runs, await load.settle(), (table, keys) => this.#rows(table, keys));
  }

  /** Rows whose unique values others had when they came: all at once they may go, since every row of the source has been there now. */
  async #again(one: TableRun): Promise<void> {
    const { table, waiting } = one;
    if (waiting.length === 0) return;
    await this.#transactions.lasting(async (target) => {
      const load = new PostgresStagedLoad(target, [this.#target(table)]);
      await load.begin();
      for (const keys of chunks(waiting, rowsAtOnce)) {
        const rows = await this.#rows(table, keys);
        const converted = rows.map(converterOf(table, "postgres"));
        const { refused } = await load.stageRows(
          table,
          converted.map(({ values }) => values),
        );
        one.note(
          await ownAlterations(
            target,
            table,
            converted.filter((_, index) => !refused.has(index)),
          ),
        );
        one.tally.alreadyThere += rows.length - refused.size;
        const late = rows.flatMap((row, index) => refusedRow(table, row, refused.get(index)));
        await one.setAside(late);
        one.step();
      }
      await account([one], await load.settle(), (_, keys) => this.#rows(table, keys));
    });
  }

  async #finish(one: TableRun): Promise<CopiedTable> {
    const { table, tally } = one;
    const given = await givenBySqlite(this.#source);
    const isChanged = tally.written > 0;
    tally.stuck(await this.#transactions.lasting((target) => tidyTable(target, table, { isChanged, given })));
    return one.finish();
  }

  async #table(table: Table): Promise<void> {
    const isEmpty = await this.#isEmpty(table);
    if (table.key.length === 0 && !isEmpty) {
      this.#leftOut.push({ table: table.name, reason: "it has no key, and PostgreSQL's table is not empty" });
      return;
    }
    const one = new TableRun(this.#run, table, await this.#count(table));
    try {
      const { lasting, passing } = this.#transactions;
      if (table.key.length > 0)
        await this.#batches(one, isEmpty ? "insert" : "merge", passing, await this.#lanes(table));
      // Nobody could go on with a part of it.
      else await lasting((target) => this.#batches(one, "insert", (work) => work(target), 1));
      await this.#again(one);
      one.tally.extra = isEmpty ? 0 : await this.#extra(one);
      this.#tables.push(await this.#finish(one));
    } finally {
      await one.close();
    }
  }

  async #batches(one: TableRun, mode: LoadMode, inTransaction: InTransaction, lanes: number): Promise<void> {
    const load = new PostgresLoad(this.#target(one.table));
    const source = await this.#sourceOf(one.table);
    const send = async (batches: AsyncGenerator<Batch>) => {
      for await (const batch of batches) {
        const done = await withCare(batch, (tried) =>
          inTransaction((target) => sent(target, tried, (data) => load.run(target, data, mode))),
        );
        await this.#account(one, done, mode);
        one.step();
      }
    };
    one.step();
    if (lanes === 1) await send(source.batches());
    else await inLanes(lanes, source.stripes(), (stripe) => send(source.batchesOf(stripe)));
  }

  #sourceOf(table: Table): Promise<TableSource> {
    return TableSource.of(this.#source, table, this.#run.options.batchSize ?? rowsInABatch);
  }

  async #account(one: TableRun, { batch, loaded: { written, refused }, altered }: Sent, mode: LoadMode): Promise<void> {
    const { tally, table } = one;
    tally.read += batch.read;
    tally.written += written;
    if (mode === "merge") tally.alreadyThere += batch.data.size - refused.size - written;
    one.note([...batch.findings, ...altered]);
    const indexes = [...refused.keys()].sort((left, right) => left - right);
    const isWaiting = (line: number | undefined) => mode === "merge" && refused.get(line ?? -1)?.isTaken === true;
    const rows = await batch.rows(indexes);
    one.wait(rows.filter((_, at) => isWaiting(indexes[at])).map(({ key }) => key));
    const late = rows.flatMap((row, at) => {
      const line = indexes[at];
      return isWaiting(line) ? [] : refusedRow(table, row, refused.get(line ?? -1));
    });
    await one.setAside([...batch.refused, ...late]);
  }

  async #lanes(table: Table): Promise<number> {
    // Without a folder for what cannot go, everything is one transaction.
    if (this.#run.rejects === null) return 1;
    const { postgres } = this.#run.databases.config;
    const pair = pairIn(this.#run, table);
    return this.#transactions.lasting((target) => lanesOf(target, pair, postgres?.poolSize ?? 1));
  }

  #rows(table: Table, keys: readonly string[]): Promise<SourceRow[]> {
    return exactRowsOf(this.#source, table, keys);
  }

  #target(table: Table): TargetTable {
    return targetIn(this.#run, table, "postgres");
  }

  async #isEmpty(table: Table): Promise<boolean> {
    const [row] = await this.#ask(`SELECT NOT EXISTS (SELECT 1 FROM ${quotedOn("postgres", table)}) AS empty`);
    return row?.empty === true;
  }

  /** Rows of the target that the source lacks. */
  #extra({ table, tally, aside }: TableRun): Promise<number> {
    return this.#transactions.lasting(async (target) => {
      const [row] = await target.query(statement(`SELECT count(*) AS n FROM ${quotedOn("postgres", table)}`));
      const former = await presentAmong(target, "postgres", table, aside);
      return Math.max(0, Number(row?.n) - tally.written - tally.alreadyThere - former);
    });
  }

  async #count(table: Table): Promise<number> {
    const sql = `SELECT COUNT(*) AS n FROM ${quotedOn("sqlite", table)}`;
    const [row] = await this.#source.query(statement(sql));
    return Number(row?.n);
  }

  #ask(text: string) {
    return this.#transactions.lasting((target) => target.query(statement(text)));
  }
}
