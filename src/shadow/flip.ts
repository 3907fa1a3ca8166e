import sql, { raw } from "sql-template-tag";
import { quotedOn } from "../data/table.js";
import type { Side, Transaction } from "../engines/engine.js";
import { DualDbError, hasCode } from "../errors.js";
import { advance, advanceSqlite, countersOf, givenByPostgres, givenBySqlite } from "./counters.js";
import { type Entry, Journal, type Refusal, refusalText } from "./journal.js";
import { type Mirror, overtaken, type Pair } from "./mirror.js";
import { type Conflict, type Recovered, Recovery } from "./recovery.js";
import {
  assertSameCatalogues,
  bumpCas,
  holdingLock,
  isHalfway,
  movePostgresState,
  moveSqliteState,
  type PairState,
  postgresCatalogueNow,
  readPostgresState,
  type SqliteChange,
  stateOf,
} from "./state.js";

/** What the pair of states needs next. Each step holds the lock and leaves a pair of this table behind. */
export type Step =
  | "settled"
  /** A forced roll-back has left writes in PostgreSQL: bring them into SQLite, then `forced := 0`. */
  | "recover"
  /** Left by a forced roll-back: PostgreSQL := sqlite. */
  | "close-postgres"
  /** Mirror until little is owed, then SQLite := postgres: from here nobody writes. */
  | "leave-sqlite"
  /** Mirror until SQLite owes nothing, then PostgreSQL := postgres. */
  | "enter-postgres"
  /** Mirror back until little is owed, then PostgreSQL := sqlite: from here nobody writes. */
  | "leave-postgres"
  /** Mirror back until PostgreSQL owes nothing, then SQLite := sqlite. */
  | "enter-sqlite";

/** The table of states: pair and wish → step. */
export function nextStep(
  { sqlite, postgres }: { sqlite: SqliteChange; postgres: { primary: Side } },
  wanted: Side,
): Step {
  if (sqlite.primary === "sqlite" && postgres.primary === "postgres") return "close-postgres";
  if (sqlite.primary === "sqlite" && sqlite.forced) return "recover";
  if (sqlite.primary === "sqlite") return wanted === "sqlite" ? "settled" : "leave-sqlite";
  if (postgres.primary === "postgres") return wanted === "postgres" ? "settled" : "leave-postgres";
  return wanted === "postgres" ? "enter-postgres" : "enter-sqlite";
}

/** So many failures in a row mean that PostgreSQL is not there, and not that a connection broke off. */
const mostFailures = 2;
/** Fewer owed rows than this are carried while nobody writes. */
const little = 100;

export interface FlipEvents {
  conflicts(found: readonly Conflict[]): void;
  step(step: Step): void;
}

/** Moves the pair of states, one step of the table at a time. */
export class Flip {
  readonly #pair: Pair;
  readonly #mirror: Mirror;
  readonly #recovery: Recovery;
  readonly #clock: () => number;
  readonly #events: FlipEvents;
  readonly #journals = { sqlite: new Journal("sqlite"), postgres: new Journal("postgres") };

  constructor(pair: Pair, mirror: Mirror, clock: () => number, events: FlipEvents) {
    this.#pair = pair;
    this.#mirror = mirror;
    this.#recovery = new Recovery(pair, clock);
    this.#clock = clock;
    this.#events = events;
  }

  /** Both states as they are now, not locked. */
  async states(): Promise<PairState> {
    const { sqlite, postgres, timeoutMs } = this.#pair;
    return {
      sqlite: await stateOf(sqlite),
      postgres: await postgres.transaction({ mode: "read", timeoutMs }, readPostgresState),
    };
  }

  /**
   * Works the table off until the wanted side is primary on both.
   * @throws FLIP_REFUSED with the findings when a row cannot be carried or the deadline passes; the former primary goes on.
   */
  async to(wanted: Side, deadline: number): Promise<void> {
    for (let failures = 0; ; ) {
      try {
        if (await this.#advance(wanted, deadline)) return;
        failures = 0;
      } catch (error) {
        // A connection that breaks off leaves a pair of the table behind, from where to go on.
        if (++failures > mostFailures || !hasCode(error, "DATABASE_UNAVAILABLE", "OUTCOME_UNKNOWN")) throw error;
      }
    }
  }

  /** One step towards the wanted side. Tells whether it is there. */
  async #advance(wanted: Side, deadline: number): Promise<boolean> {
    const step = nextStep(await this.states(), wanted);
    if (step === "settled") return true;
    const refused = this.#clock() > deadline ? [] : await this.perform(step, deadline);
    if (refused !== null) await this.#giveUp(step, wanted, refused);
    return false;
  }

  /** One step. Returns why it cannot be done, else null, also when another process was faster or holds a lock: look again. */
  async perform(step: Step, deadline: number): Promise<readonly Refusal[] | null> {
    this.#events.step(step);
    try {
      return await this.#steps[step](deadline);
    } catch (error) {
      if (hasCode(error, "NOT_PRIMARY", "DATABASE_BUSY")) return null;
      throw error;
    }
  }

  readonly #steps: Record<Step, (deadline: number) => Promise<readonly Refusal[] | null>> = {
    settled: async () => null,
    recover: async (deadline) => this.#recover(deadline),
    "close-postgres": async () => this.#closePostgres(),
    "leave-sqlite": async (deadline) => (await this.#carry("sqlite", little, deadline)) ?? this.#leaveSqlite(),
    "enter-postgres": async (deadline) => (await this.#carry("sqlite", 0, deadline)) ?? this.#enterPostgres(),
    "leave-postgres": async (deadline) => (await this.#carry("postgres", little, deadline)) ?? this.#closePostgres(),
    "enter-sqlite": async (deadline) => (await this.#carry("postgres", 0, deadline)) ?? this.#enterSqlite(),
  };

  /** Mirrors until at most `rest` rows are owed. Quarantined rows are tried too; what is refused stops the flip. */
  async #carry(from: Side, rest: number, deadline: number): Promise<readonly Refusal[] | null> {
    for (;;) {
      const { moved, refusals, more } = await this.#mirror.next(from, null, true);
      // What has moved may have stood in the way of what was refused.
      if (refusals.length > 0 && moved === 0) return refusals;
      if (refusals.length === 0 && !more && moved <= rest) return null;
      if (this.#clock() > deadline) return [];
    }
  }

  async #recover(deadline: number): Promise<readonly Refusal[] | null> {
    const refused: Refusal[] = [];
    for (let after: Entry | null = null; ; ) {
      const { conflicts, refusals, last }: Recovered = await this.#recovery.pass(after);
      if (conflicts.length > 0) this.#events.conflicts(conflicts);
      refused.push(...refusals);
      if (last === null) return refused.length > 0 ? refused : this.#endRecovery();
      if (this.#clock() > deadline) return [];
      after = last;
    }
  }

  #endRecovery(): Promise<null> {
    return this.#locked(async (states, transaction) => {
      if (nextStep(states, "sqlite") !== "recover" || !(await this.#journals.postgres.isEmpty(transaction)))
        throw overtaken();
      await this.#moveSqlite(states, { primary: "sqlite", forced: false });
    });
  }

  #leaveSqlite(): Promise<null> {
    return this.#locked(async (states, transaction) => {
      if (nextStep(states, "postgres") !== "leave-sqlite") throw overtaken();
      await movePostgresState(transaction, "sqlite", "postgres", this.#clock());
      await this.#moveSqlite(states, { primary: "postgres", forced: false });
    });
  }

  #enterPostgres(): Promise<null> {
    return this.#locked(async (states, transaction) => {
      if (nextStep(states, "postgres") !== "enter-postgres") throw overtaken();
      await this.#pair.sqlite.transaction({ mode: "write" }, async (sqlite) => {
        if (!(await this.#journals.sqlite.isEmpty(sqlite))) throw overtaken();
        if (!(await bumpCas(sqlite, states.sqlite.cas))) throw overtaken();
      });
      await this.#advanceCounters(transaction);
      await movePostgresState(transaction, "postgres", "postgres", this.#clock());
    });
  }

  /**
   * SQLite's rows have come with their numbers, and PostgreSQL gives the next ones. A counter that this user may not set stays behind:
   * nobody could write if that stopped the flip here, and `dualdb verify` names it.
   */
  async #advanceCounters(postgres: Transaction): Promise<void> {
    const { sqlite, graph } = this.#pair;
    const given = await sqlite.transaction({ mode: "read" }, givenBySqlite);
    await advance(postgres, await countersOf(postgres, graph.tables), given);
  }

  /**
   * A writer that has passed the trigger must not commit after the state has moved, so the tables are locked against writers. Others
   * queue up behind the lock while it is waited for, so it is not waited for long.
   */
  #closePostgres(): Promise<null> {
    return this.#locked(async (states, transaction) => {
      if (states.postgres.primary !== "postgres") throw overtaken();
      const tables = this.#pair.graph.tables.map((table) => quotedOn("postgres", table)).join(", ");
      await transaction.script("SET LOCAL lock_timeout = '1s'");
      await transaction.execute(sql`${raw(`LOCK TABLE ${tables} IN SHARE ROW EXCLUSIVE MODE`)}`);
      await movePostgresState(transaction, "sqlite", "sqlite", this.#clock());
    });
  }

  #enterSqlite(): Promise<null> {
    return this.#locked(async (states, transaction) => {
      if (nextStep(states, "sqlite") !== "enter-sqlite" || !(await this.#journals.postgres.isEmpty(transaction)))
        throw overtaken();
      const given = await givenByPostgres(transaction, this.#pair.graph.tables);
      await this.#pair.sqlite.transaction({ mode: "write" }, (sqlite) => advanceSqlite(sqlite, given));
      await this.#moveSqlite(states, { primary: "sqlite", forced: false });
    });
  }

  async #moveSqlite({ sqlite }: PairState, to: SqliteChange): Promise<void> {
    const moved = await this.#pair.sqlite.transaction({ mode: "write" }, (transaction) =>
      moveSqliteState(transaction, sqlite, to, this.#clock()),
    );
    if (!moved) throw overtaken();
  }

  async #locked(work: (states: PairState, transaction: Transaction) => Promise<void>): Promise<null> {
    const { sqlite, postgres, timeoutMs, catalogues } = this.#pair;
    return holdingLock(postgres, timeoutMs, async (transaction, state) => {
      const states = { sqlite: await stateOf(sqlite), postgres: state };
      // Asked for now: the lock may have been waited for while another process armed a table.
      const now = { sqlite: states.sqlite.catalogue, postgres: await postgresCatalogueNow(transaction) };
      assertSameCatalogues(catalogues, now);
      await work(states, transaction);
      return null;
    });
  }

  /** Back to the side that was primary, which goes on as if nothing had been asked. */
  async #giveUp(step: Step, wanted: Side, refusals: readonly Refusal[]): Promise<void> {
    if (step === "enter-postgres") await this.#retreat("enter-sqlite");
    if (step === "enter-sqlite") await this.#retreat("enter-postgres");
    throw flipRefused(wanted, refusals);
  }

  /** Until the pair has left the half-way: another process may hold the lock, or be retreating too. */
  async #retreat(step: Step): Promise<void> {
    while (isHalfway(await this.states())) {
      const refused = await this.perform(step, Number.POSITIVE_INFINITY);
      if (refused !== null && refused.length > 0)
        throw flipRefused(step === "enter-sqlite" ? "sqlite" : "postgres", refused);
    }
  }
}

/** What a step could not do. The rows are named, the former primary goes on. */
export function flipRefused(wanted: Side, refusals: readonly Refusal[]): DualDbError {
  const side = wanted === "postgres" ? "PostgreSQL" : "SQLite";
  const rows = refusals.map(({ entry: { table, key }, ...refusal }) => ({ table, key, reason: refusalText(refusal) }));
  const [first] = rows;
  const why =
    first === undefined
      ? "too many rows were still owed when the time was over (FLIP_TIMEOUT_MS)"
      : `it refuses ${rows.length} row(s), the first one in table ${first.table} (${first.reason})`;
  return new DualDbError(
    "FLIP_REFUSED",
    `${side} was not made primary: ${why}. The former primary goes on; mend the rows named in details.refusals and start again.`,
    {
      details: { refusals: rows },
    },
  );
}
