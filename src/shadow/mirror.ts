import type { Finding } from "../data/finding.js";
import type { TableGraph } from "../data/graph.js";
import { isExclusion, isRefusal, type RefusedBecause, reasonOf, refusedBecause } from "../data/refusal.js";
import { nameOn } from "../data/table.js";
import { type Engine, type Side, statement, type Transaction } from "../engines/engine.js";
import { DualDbError } from "../errors.js";
import { Backlog, type Scope } from "./backlog.js";
import { applyPlan, type End, type Plan, planBatch } from "./batch.js";
import type { Dependents } from "./dependents.js";
import { type Entry, Journal, type Refusal, type Selection } from "./journal.js";
import { RowSizes } from "./row-sizes.js";
import {
  assertSameCatalogues,
  bumpCas,
  type Catalogues,
  cataloguesOf,
  holdingLock,
  isHalfway,
  type PairState,
  type PostgresState,
  postgresCatalogueNow,
  readSqliteState,
  stateOf,
} from "./state.js";

/** Points of a pass at which a test can stop the process or cut its connections. */
export type FaultPoint = "after-read" | "after-apply" | "before-acknowledge";

/** Both databases and the tables that they share. */
export interface Pair {
  readonly sqlite: Engine;
  readonly postgres: Engine;
  readonly graph: TableGraph;
  readonly dependents: Dependents;
  /** Both catalogues when the tables of `graph` were looked at. */
  readonly catalogues: Catalogues;
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

/** How rows go from one side to the other while the lock is held. */
interface Course {
  readonly source: End;
  readonly target: End;
  /** Whether rows leave the target before they are written. */
  readonly afresh: boolean;
  select(selection: Selection): Promise<Entry[]>;
  /** Resolves to what only the target can tell of the rows. */
  apply(plan: Plan, part: number): Promise<readonly Finding[]>;
}

/** What a pass did, before its entries are taken off the journal. */
interface Passed {
  readonly parts: readonly Handled[];
  readonly last: Entry | null;
  readonly more: boolean;
}

/** Other passes, and flips, wait for the lock meanwhile; between two passes nothing is written on the target. */
const longestPass = { ms: 500, postgres: 5_000, sqlite: 10_000 };
/** A part is read while the one before is applied. SQLite takes each in a transaction of its own, which is worth more rows. */
const rowsInAPart = { postgres: 500, sqlite: 1_000 };

/** Copies the present state of journaled rows to the other side, a batch at a time. Doing it twice is the same as once. */
export class Mirror {
  readonly #pair: Pair;
  readonly #journals = { sqlite: new Journal("sqlite"), postgres: new Journal("postgres") };
  readonly #sizes = new RowSizes();

  constructor(pair: Pair) {
    this.#pair = pair;
  }

  /** Whether this side's journal holds anything, as one look that takes no lock. NOT_PRIMARY where the side is not primary any more. */
  async isOwed(from: Side): Promise<boolean> {
    const text = `SELECT "primary", EXISTS (SELECT 1 FROM dualdb_journal) AS owed FROM dualdb_state WHERE id = 1`;
    const [row] = await this.#pair[from].read(statement(text), { timeoutMs: this.#pair.timeoutMs });
    if (row?.primary !== from) throw overtaken();
    return row.owed === 1;
  }

  /**
   * Pass after pass over one side's journal, from its beginning to its end or until `goesOn` says no. While the entries of one are taken
   * off the journal, the next is already under way.
   */
  async *sweep(from: Side, quarantined: boolean, goesOn: () => boolean): AsyncGenerator<PassResult> {
    let running: Promise<Passed> | null = this.#begin(from, null, quarantined);
    try {
      while (running !== null) {
        const passed: Passed = await running;
        running = passed.more && goesOn() ? this.#begin(from, passed.last, quarantined) : null;
        yield await this.#finish(from, passed);
      }
    } finally {
      await running?.catch(() => undefined);
    }
  }

  /** One pass over the entries of one side's journal behind `after`, of all tables or of one. */
  async next(from: Side, after: Entry | null, quarantined: boolean, table?: string): Promise<PassResult> {
    return this.#finish(from, await this.#pass(from, { after, quarantined, table }));
  }

  /** The same over entries of these rows, all of them in one pass. */
  async these(from: Side, keys: readonly Pick<Entry, "table" | "key">[]): Promise<PassResult> {
    return this.#finish(from, await this.#pass(from, { keys }));
  }

  #begin(from: Side, after: Entry | null, quarantined: boolean): Promise<Passed> {
    const passed = this.#pass(from, { after, quarantined });
    // A failure is met where it is waited for, which may be later than it happens.
    passed.catch(() => undefined);
    return passed;
  }

  async #pass(from: Side, scope: Scope, afresh = false): Promise<Passed> {
    const backlog = new Backlog(scope, this.#sizes);
    const { taken } = backlog;
    try {
      const parts = await (from === "sqlite" ? this.#forward(backlog, afresh) : this.#backward(backlog, afresh));
      return { parts, last: taken.at(-1) ?? null, more: backlog.goesOn };
    } catch (error) {
      if (!isRefusal(error) || taken.length === 0) throw error;
      const parts = await this.#piecemeal(from, taken, error, afresh);
      return { parts, last: taken.at(-1) ?? null, more: true };
    }
  }

  /**
   * What the target has refused as a whole. Rows that only stand in each other's way go over when all of them have left the target first;
   * else halves, until the offending rows stand alone.
   */
  async #piecemeal(
    from: Side,
    entries: readonly Entry[],
    error: DualDbError,
    afresh: boolean,
  ): Promise<readonly Handled[]> {
    if (!afresh && entries.length > 1 && isExclusion(error))
      return (await this.#pass(from, { keys: entries }, true)).parts;
    const [only] = entries;
    if (entries.length === 1 && only !== undefined)
      return [{ entries: [], refusals: [{ entry: only, ...this.#against(only, error) }], findings: [] }];
    const middle = Math.ceil(entries.length / 2);
    const first = await this.#pass(from, { keys: entries.slice(0, middle) });
    const second = await this.#pass(from, { keys: entries.slice(middle) });
    return [...first.parts, ...second.parts];
  }

  /** Another table's row may have come along with this one, and be the one that is refused. */
  #against({ table: name }: Entry, error: DualDbError): RefusedBecause {
    const table = this.#pair.graph.get(name);
    const isOfThis = table !== undefined && [undefined, nameOn(error.side ?? "postgres", table)].includes(error.table);
    return isOfThis ? refusedBecause(table, error) : { column: "", reason: reasonOf(error) };
  }

  #forward(backlog: Backlog, afresh: boolean): Promise<Handled[]> {
    const { sqlite, graph, catalogues } = this.#pair;
    return this.#locked((target, state) =>
      this.#inParts(backlog, {
        afresh,
        source: opened(sqlite),
        target: held("postgres", target),
        select: (selection) =>
          sqlite.transaction({ mode: "read" }, async (source) => {
            const states = { sqlite: await readSqliteState(source), postgres: state };
            assertForward(states);
            assertSameCatalogues(catalogues, cataloguesOf(states));
            return this.#journals.sqlite.select(source, selection);
          }),
        apply: (plan) => applyPlan(graph, "postgres", target, plan),
      }),
    );
  }

  #backward(backlog: Backlog, afresh: boolean): Promise<Handled[]> {
    const { sqlite, graph, catalogues } = this.#pair;
    return this.#locked(async (source, state) => {
      const states = { sqlite: await stateOf(sqlite), postgres: state };
      const { cas } = states.sqlite;
      assertBackward(states);
      assertSameCatalogues(catalogues, cataloguesOf(states));
      const handled = await this.#inParts(backlog, {
        afresh,
        source: held("postgres", source),
        target: opened(sqlite),
        select: (selection) => this.#journals.postgres.select(source, selection),
        apply: (plan, part) =>
          sqlite.transaction({ mode: "write" }, (target) => applyGuarded(graph, target, plan, cas + BigInt(part))),
      });
      // A column that came between the look at the tables and that at the rows may hold what was not read.
      if (handled.length > 0) assertSameCatalogues(catalogues, { postgres: await postgresCatalogueNow(source) });
      return handled;
    });
  }

  #locked<T>(work: (transaction: Transaction, state: PostgresState) => Promise<T>): Promise<T> {
    return holdingLock(this.#pair.postgres, this.#pair.timeoutMs, work);
  }

  /**
   * Each part is a batch by itself. The next one is read from its source while the one before is applied; whatever looks at the target
   * waits for that.
   */
  async #inParts(backlog: Backlog, { source, target, afresh, select, apply }: Course): Promise<Handled[]> {
    const handled: Handled[] = [];
    const end = performance.now() + longestPass.ms;
    let applying: Promise<unknown> = Promise.resolve();
    const applied: End = { side: target.side, read: (work) => applying.then(() => target.read(work)) };
    const { graph, dependents } = this.#pair;
    const scope = { graph, dependents, source, target: applied };
    const more = () => backlog.part(rowsInAPart[target.side], select);
    do {
      const entries = await more();
      if (entries.length === 0) break;
      const plan = await planBatch(scope, entries, { more, afresh });
      await applying;
      await this.#pair.reached("after-read");
      const findings = [...plan.findings];
      applying = apply(plan, handled.length).then((altered) => findings.push(...altered));
      applying.catch(() => undefined);
      this.#sizes.learn(plan);
      handled.push({ entries: plan.handled, refusals: plan.refusals, findings });
      const isLong = backlog.taken.length >= longestPass[target.side] || performance.now() > end;
      if (isLong && backlog.isOpen) break;
    } while (backlog.goesOn);
    await applying;
    if (handled.length > 0) await this.#pair.reached("after-apply");
    return handled;
  }

  /** Only after the target has committed, and by version: an entry that has changed meanwhile stays. */
  async #finish(from: Side, { parts, last, more }: Passed): Promise<PassResult> {
    const handled = parts.flatMap(({ entries }) => entries);
    const refusals = parts.flatMap((part) => part.refusals);
    if (parts.length > 0) await this.#pair.reached("before-acknowledge");
    const journal = this.#journals[from];
    for (const statement of journal.removals(handled)) await this.#pair[from].write([statement]);
    if (refusals.length > 0) await this.#pair[from].write(journal.refusals(refusals));
    return { moved: handled.length, refusals, findings: parts.flatMap(({ findings }) => findings), last, more };
  }
}

/** Applies on SQLite as the mirror: its triggers look for the guard row, which cannot outlive the transaction. */
export async function applyGuarded(
  graph: TableGraph,
  target: Transaction,
  plan: Plan,
  cas: bigint,
): Promise<readonly Finding[]> {
  if (!(await bumpCas(target, cas))) throw overtaken();
  await target.script("INSERT INTO dualdb_guard (id, never) VALUES (1, 1)");
  const findings = await applyPlan(graph, "sqlite", target, plan);
  await target.script("DELETE FROM dualdb_guard");
  return findings;
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

/** A pass from SQLite to PostgreSQL is in order. */
export function assertForward({ sqlite, postgres }: PairState): void {
  if (postgres.primary !== "sqlite" || (sqlite.forced && sqlite.primary === "sqlite")) throw overtaken();
}

/** A pass from PostgreSQL to SQLite is in order. */
export function assertBackward(states: PairState): void {
  const { sqlite, postgres } = states;
  const isPrimary = sqlite.primary === "postgres" && postgres.primary === "postgres";
  if (!isHalfway(states) && !isPrimary) throw overtaken();
}
