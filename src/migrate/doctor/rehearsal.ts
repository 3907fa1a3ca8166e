import type { TablePair } from "../../data/catalogue/discover.js";
import { type ConvertedRow, type SourceRow, toPostgres } from "../../data/conversion/convert.js";
import type { Finding } from "../../data/finding.js";
import { type RefusedBecause, reasonOf } from "../../data/refusal.js";
import { encodeRow } from "../../data/rows/copy-text.js";
import { type Column, type Kind, quotedOn, type Table } from "../../data/table.js";
import type { ExactValue, PostgresTransaction } from "../../engines/engine.js";
import { DualDbError } from "../../errors.js";
import type { Batch } from "../copy/batch.js";
import { Lines } from "../copy/lines.js";
import { type Loaded, PostgresLoad } from "../copy/postgres-load.js";
import { PostgresStagedLoad } from "../copy/postgres-staged-load.js";
import { sent, withCare } from "../copy/sent.js";
import type { RefusedKey } from "../copy/stages.js";
import { targetTable } from "../copy/target-table.js";
import type { Plan } from "./plan.js";
import { makeTwins } from "./twins.js";

/** What became of a batch. */
export interface Judged {
  /** The same rows, looked at more closely where PostgreSQL refuses one of them. */
  readonly batch: Batch;
  /** The lines that it refuses, each with its reason. */
  readonly refused: ReadonlyMap<number, RefusedBecause>;
  /** What its own input makes of values of the others. */
  readonly altered: readonly Finding[];
}

/** Why rows could not be tried. */
export interface Failure {
  /** The table at which it came to light; null where it was before any row. */
  readonly table: Table | null;
  readonly reason: string;
}

/** Each takes a round trip for some of the columns; what lacks a column beyond that is not worth them. */
const mostProbes = 100;

/** Brings data into a table, or into what stands for it. */
type Load = (data: Batch["data"]) => Promise<Loaded>;

/**
 * A copy into the empty twins of some tables, by the copy's own hands, in a transaction that is to be rolled back: it takes and refuses what
 * the copy will. Where PostgreSQL ends it, everything from there on is taken for accepted, and `failure` says why.
 */
export class Rehearsal {
  readonly #transaction: PostgresTransaction;
  #failure: Failure | null = null;
  #probes = 0;

  static async begin(transaction: PostgresTransaction, pairs: readonly TablePair[], plan: Plan): Promise<Rehearsal> {
    const rehearsal = new Rehearsal(transaction);
    const obstacle = await rehearsal.#attempt(null, null, () => makeTwins(transaction, pairs, plan));
    if (obstacle !== null) rehearsal.#failure = { table: null, reason: obstacle };
    return rehearsal;
  }

  private constructor(transaction: PostgresTransaction) {
    this.#transaction = transaction;
  }

  get failure(): Failure | null {
    return this.#failure;
  }

  /** Rows of a table that is no part of a cycle, in the order in which a copy takes them, its parents' rows before. */
  load(pair: TablePair, batch: Batch): Promise<Judged> {
    const load = new PostgresLoad(targetTable(pair, "postgres"));
    return this.#judge(pair.table, batch, (data) => load.run(this.#transaction, data, "insert"));
  }

  /** The planner knows nothing of a temporary table by itself. To be called when all rows of a table are there. */
  async finish({ table }: TablePair): Promise<void> {
    await this.#attempt(table, undefined, () => this.#transaction.script(`ANALYZE ${quotedOn("postgres", table)}`));
  }

  async cycle(pairs: readonly TablePair[]): Promise<RehearsedCycle> {
    const load = new PostgresStagedLoad(
      this.#transaction,
      pairs.map((pair) => targetTable(pair, "postgres")),
    );
    const first = pairs[0]?.table ?? null;
    await this.#attempt(first, undefined, () => load.begin());
    return {
      stage: ({ table }, batch) => this.#judge(table, batch, (data) => load.stage(table, data)),
      settle: () => this.#attempt<readonly RefusedKey[]>(first, [], async () => (await load.settle()).refused),
    };
  }

  /** Where neither PostgreSQL nor its catalogue names the column, it is the one without whose value the row would be taken. */
  columnOf(pair: TablePair, row: SourceRow): Promise<string> {
    const { table } = pair;
    return this.#attempt(table, "", async () => {
      if (++this.#probes > mostProbes) return "";
      const load = new PostgresLoad(targetTable(pair, "postgres"));
      const converted = toPostgres(table, row);
      for (const [index, column] of longestFirst(table, converted)) {
        if (converted.values[index] === null || table.key.includes(column.name)) continue;
        const without = converted.values.with(index, column.notNull ? (standIns[column.kind] ?? null) : null);
        if (await this.#isTaken(load, without)) return column.name;
      }
      return "";
    });
  }

  async #isTaken(load: PostgresLoad, values: readonly ExactValue[]): Promise<boolean> {
    await this.#transaction.script("SAVEPOINT dualdb_probe");
    const { refused } = await load.run(this.#transaction, Lines.of([encodeRow(values)]), "insert");
    await this.#transaction.script("ROLLBACK TO dualdb_probe; RELEASE dualdb_probe");
    return refused.size === 0;
  }

  #judge(table: Table, batch: Batch, load: Load): Promise<Judged> {
    if (this.#failure !== null) return accepted(batch);
    return this.#attempt(table, { batch, refused: new Map(), altered: [] }, async () => {
      const done = await withCare(batch, (tried) => sent(this.#transaction, tried, load));
      return { batch: done.batch, refused: done.loaded.refused, altered: done.altered };
    });
  }

  /** What PostgreSQL says against anything but a row is its last word in this transaction. */
  async #attempt<T>(table: Table | null, otherwise: T, work: () => Promise<T>): Promise<T> {
    if (this.#failure !== null) return otherwise;
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof DualDbError) || error.details.sqlState === undefined) throw error;
      this.#failure = { table, reason: reasonOf(error) };
      return otherwise;
    }
  }
}

/** All that conversion lets through. What that has to say comes up while the rows are read. */
export async function accepted(batch: Batch): Promise<Judged> {
  for await (const _ of batch.data.pieces());
  return { batch, refused: new Map(), altered: [] };
}

/** Tables that point to each other: their rows are judged one by one when they come, and beside the others when all of them are there. */
export interface RehearsedCycle {
  stage(pair: TablePair, batch: Batch): Promise<Judged>;
  /** Those that cannot go beside the others. */
  settle(): Promise<readonly RefusedKey[]>;
}

/** A row that is refused for its size is so for its longest value, and each attempt with that takes its time. */
function longestFirst(table: Table, { values }: ConvertedRow): [number, Column][] {
  const lengths = values.map((value) => (typeof value === "string" || value instanceof Uint8Array ? value.length : 0));
  return [...table.columns.entries()].sort(([left], [right]) => (lengths[right] ?? 0) - (lengths[left] ?? 0));
}

/** What a column that is NOT NULL takes in place of its value. */
const standIns: Partial<Record<Kind, ExactValue>> = {
  text: "",
  integer: 0n,
  bigint: 0n,
  real: 0,
  numeric: 0n,
  boolean: false,
  json: "{}",
};
