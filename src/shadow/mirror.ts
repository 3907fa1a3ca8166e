import { chunks } from "../data/chunks.js";
import type { Finding } from "../data/finding.js";
import type { TableGraph } from "../data/graph.js";
import type { Engine, ExactValue, Side, Transaction } from "../engines/engine.js";
import { DualDbError, hasCode } from "../errors.js";
import { applyPlan, type End, type Plan, planBatch } from "./batch.js";
import { type Entry, Journal, type Refusal, type Selection } from "./journal.js";
import { bumpCas, lockPostgresState, type PairState, readSqliteState } from "./state.js";

/** Points of a pass at which a test can stop the process or cut its connections. */
export type FaultPoint = "after-read" | "after-apply" | "before-acknowledge";

/** Both databases and the tables that they share. */
export interface Pair {
  readonly sqlite: Engine;
  readonly postgres: Engine;
  readonly graph: TableGraph;
  /** How long one statement of a pass, and its wait for the lock, may take, in milliseconds. */
  readonly timeoutMs: number;
  reached(point: FaultPoint): Promise<void> | void;
}

export interface PassResult {
  /** Entries taken off the journal. */
  readonly moved: number;
  readonly refusals: readonly Refusal[];
  readonly findings: readonly Finding[];
  /** The last entry that was looked at; null when there was none left. */
  readonly last: Entry | null;
  /** Whether there may be more entries behind `last`. */
  readonly more: boolean;
}

/** What became of the entries of one part. */
interface Handled {
  readonly entries: readonly Entry[];
  readonly refusals: readonly Refusal[];
  readonly findings: readonly Finding[];
}

const nothing: PassResult = { moved: 0, refusals: [], findings: [], last: null, more: false };

/** A batch is at most this many rows, and about this much text: documents may be large. It is read and applied in parts. */
const mostRows = 1_000;
const mostCharacters = 4_000_000;
/** Small parts let PostgreSQL work while the next is read; SQLite, which works in our own thread, takes a batch in one transaction. */
const rowsInAPart = { postgres: 250, sqlite: mostRows };

/** Copies the present state of journaled rows to the other side, a batch at a time. Doing it twice is the same as once. */
export class Mirror {
  readonly #pair: Pair;
  readonly #journals = { sqlite: new Journal("sqlite"), postgres: new Journal("postgres") };
  #charactersInARow = 1_000;

  constructor(pair: Pair) {
    this.#pair = pair;
  }

  /** Whether this side's journal holds anything, as one look that takes no lock. NOT_PRIMARY where the side is not primary any more. */
  async isOwed(from: Side): Promise<boolean> {
    const text = `SELECT "primary", EXISTS (SELECT 1 FROM dualdb_journal) AS owed FROM dualdb_state WHERE id = 1`;
    const [row] = await this.#pair[from].read({ sql: text, text, values: [] }, { timeoutMs: this.#pair.timeoutMs });
    if (row?.primary !== from) throw overtaken();
    return row.owed === 1;
  }

  /** The next batch of one side's journal behind `after`, smaller where the latest rows were large. */
  async next(from: Side, after: Entry | null, quarantined: boolean): Promise<PassResult> {
    const limit = Math.min(mostRows, Math.max(1, Math.floor(mostCharacters / this.#charactersInARow)));
    const seen: Entry[] = [];
    const result = await this.#pass(from, { after, limit, quarantined }, seen);
    return { ...result, last: seen.at(-1) ?? null, more: seen.length === limit };
  }

  /** One batch from one side to the other. Where the target refuses it, halves of it, until the offending rows stand alone. */
  async #pass(from: Side, selection: Selection, seen: Entry[]): Promise<PassResult> {
    try {
      return await (from === "sqlite" ? this.#forward(selection, seen) : this.#backward(selection, seen));
    } catch (error) {
      if (!isRefusal(error) || seen.length === 0) throw error;
      return this.#inHalves(from, [...seen], error);
    }
  }

  async #inHalves(from: Side, entries: readonly Entry[], error: DualDbError): Promise<PassResult> {
    const [only] = entries;
    if (entries.length === 1 && only !== undefined) {
      const refusal = { entry: only, reason: reasonOf(error) };
      await this.#acknowledge(from, [], [refusal]);
      return { ...nothing, refusals: [refusal] };
    }
    const middle = Math.ceil(entries.length / 2);
    const first = await this.#pass(from, { keys: entries.slice(0, middle) }, []);
    const second = await this.#pass(from, { keys: entries.slice(middle) }, []);
    return {
      ...nothing,
      moved: first.moved + second.moved,
      refusals: [...first.refusals, ...second.refusals],
      findings: [...first.findings, ...second.findings],
    };
  }

  async #forward(selection: Selection, seen: Entry[]): Promise<PassResult> {
    const { sqlite, postgres, graph, timeoutMs } = this.#pair;
    const handled = await postgres.transaction({ mode: "write", timeoutMs }, async (target) => {
      const state = await lockPostgresState(target);
      const entries = await sqlite.transaction({ mode: "read" }, async (source) => {
        assertForward({ sqlite: await readSqliteState(source), postgres: state });
        return this.#journals.sqlite.select(source, selection);
      });
      replace(seen, entries);
      if (entries.length === 0) return null;
      return this.#inParts(entries, opened(sqlite), held("postgres", target), (plan) =>
        applyPlan(graph, "postgres", target, plan),
      );
    });
    return this.#finish("sqlite", handled);
  }

  async #backward(selection: Selection, seen: Entry[]): Promise<PassResult> {
    const { sqlite, postgres, graph, timeoutMs } = this.#pair;
    const handled = await postgres.transaction({ mode: "write", timeoutMs }, async (source) => {
      const state = await lockPostgresState(source);
      const { cas, ...rest } = await sqlite.transaction({ mode: "read" }, readSqliteState);
      assertBackward({ sqlite: { cas, ...rest }, postgres: state });
      const entries = await this.#journals.postgres.select(source, selection);
      replace(seen, entries);
      if (entries.length === 0) return null;
      return this.#inParts(entries, held("postgres", source), opened(sqlite), (plan, part) =>
        sqlite.transaction({ mode: "write" }, (target) => applyGuarded(graph, target, plan, cas + BigInt(part))),
      );
    });
    return this.#finish("postgres", handled);
  }

  /**
   * Each part is a batch by itself. The next one is read from its source while the one before is applied; whatever looks at the target
   * waits for that.
   */
  async #inParts(
    entries: readonly Entry[],
    source: End,
    target: End,
    apply: (plan: Plan, part: number) => Promise<void>,
  ): Promise<Handled[]> {
    const handled: Handled[] = [];
    let applying = Promise.resolve();
    const applied: End = { side: target.side, read: (work) => applying.then(() => target.read(work)) };
    for (const part of chunks(entries, rowsInAPart[target.side])) {
      const plan = await planBatch(this.#pair.graph, source, applied, part);
      await applying;
      await this.#pair.reached("after-read");
      applying = apply(plan, handled.length);
      // A failure is met where it is waited for, which may be later than it happens.
      applying.catch(() => undefined);
      this.#measure(plan);
      handled.push({ entries: plan.handled, refusals: plan.refusals, findings: plan.findings });
    }
    await applying;
    await this.#pair.reached("after-apply");
    return handled;
  }

  async #finish(from: Side, parts: readonly Handled[] | null): Promise<PassResult> {
    if (parts === null) return nothing;
    const handled = parts.flatMap(({ entries }) => entries);
    const refusals = parts.flatMap((part) => part.refusals);
    await this.#pair.reached("before-acknowledge");
    await this.#acknowledge(from, handled, refusals);
    return { ...nothing, moved: handled.length, refusals, findings: parts.flatMap(({ findings }) => findings) };
  }

  #measure({ upserts }: Plan): void {
    const sizes = [...upserts.values()]
      .flat()
      .map(({ values }) => values.reduce<number>((sum, value) => sum + sizeOf(value), 0));
    if (sizes.length === 0) return;
    const mean = sizes.reduce((sum, size) => sum + size, 0) / sizes.length;
    this.#charactersInARow = Math.max(mean, (this.#charactersInARow + mean) / 2);
  }

  /** Only after the target has committed, and by version: an entry that has changed meanwhile stays. */
  async #acknowledge(from: Side, handled: readonly Entry[], refusals: readonly Refusal[]): Promise<void> {
    const statements = [...this.#journals[from].removals(handled), ...this.#journals[from].refusals(refusals)];
    if (statements.length > 0) await this.#pair[from].write(statements);
  }
}

/** Applies on SQLite as the mirror: its triggers look for the guard row, which cannot outlive the transaction. */
export async function applyGuarded(graph: TableGraph, target: Transaction, plan: Plan, cas: bigint): Promise<void> {
  if (!(await bumpCas(target, cas))) throw overtaken();
  await target.script("INSERT INTO dualdb_guard (id, never) VALUES (1, 1)");
  await applyPlan(graph, "sqlite", target, plan);
  await target.script("DELETE FROM dualdb_guard");
}

/** Reads in a transaction that the pass holds open anyway. */
export function held(side: Side, transaction: Transaction): End {
  return { side, read: (work) => work(transaction) };
}

/** Reads in short transactions: SQLite's one connection is never held while PostgreSQL is waited for. */
export function opened(engine: Engine): End {
  return { side: engine.side, read: (work) => engine.transaction({ mode: "read" }, work) };
}

/** Another process has moved the pair on: this pass has to be forgotten, nothing is wrong. */
export function overtaken(): DualDbError {
  return new DualDbError(
    "NOT_PRIMARY",
    "Another process has moved the databases on: read the states again and repeat.",
  );
}

function assertForward({ sqlite, postgres }: PairState): void {
  if (postgres.primary !== "sqlite" || (sqlite.forced && sqlite.primary === "sqlite")) throw overtaken();
}

function assertBackward({ sqlite, postgres }: PairState): void {
  const halfway = sqlite.primary === "postgres" && postgres.primary === "sqlite";
  const primary = sqlite.primary === "postgres" && postgres.primary === "postgres";
  if (!halfway && !primary) throw overtaken();
}

function sizeOf(value: ExactValue): number {
  return typeof value === "string" || value instanceof Uint8Array ? value.length : 8;
}

function replace(list: Entry[], entries: readonly Entry[]): void {
  list.splice(0, list.length, ...entries);
}

/** What a target says about rows, as opposed to what it says about itself. */
export function isRefusal(error: unknown): error is DualDbError {
  return hasCode(error, "VALUE_REFUSED", "CONSTRAINT_VIOLATED", "QUERY_FAILED");
}

export function reasonOf(error: DualDbError): string {
  const { table, column, details } = error;
  const where = [table, column].filter((name) => name !== undefined).join(".");
  const state = details.sqlState ?? details.constraint ?? details.driverCode ?? "";
  return [error.code, where, String(state)].filter((part) => part !== "").join(" ");
}
