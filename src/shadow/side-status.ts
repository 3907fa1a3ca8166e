import { setTimeout as sleep } from "node:timers/promises";
import sql from "sql-template-tag";
import type { Engine, Side, Transaction } from "../engines/engine.js";
import { DualDbError, errorFields } from "../errors.js";
import { type Entry, Journal, type JournalSummary } from "./journal.js";
import type { Conflict } from "./recovery.js";
import type { PostgresState, SqliteState } from "./state.js";

/** What one side says of itself, or why it says nothing. */
export type SideStatus<State> =
  | {
      readonly reachable: true;
      readonly state: Told<State>;
      readonly journal: JournalSummary;
      readonly refused: readonly Refused[];
    }
  | { readonly reachable: false; readonly error: { readonly code: string; readonly message: string } };

/** A state without what only the protocol needs. */
export type Told<State> = Omit<State, "cas" | "catalogue">;

/** A row that the other side has refused. */
export type Refused = Pick<Entry, "table" | "key" | "attempts" | "lastError">;

const timeoutMs = 2_000;
const shownRefusals = 20;
const shownConflicts = 1_000;
const noJournal: JournalSummary = { entries: 0, quarantined: 0, oldest: null };

/** Looks at one side for at most two seconds. Never rejects for what the database says. */
export async function sideStatus<State extends SqliteState | PostgresState>(
  engine: Engine,
  readState: (transaction: Transaction) => Promise<State>,
): Promise<SideStatus<State>> {
  const look = engine.transaction({ mode: "read", timeoutMs }, async (transaction) => {
    const state = await readState(transaction);
    // What is finalized has no journal any more.
    const owed = state.finalized ? { journal: noJournal, refused: [] } : await owedBy(engine.side, transaction);
    return { reachable: true as const, state: told(state), ...owed };
  });
  try {
    return await within(look, engine.side);
  } catch (error) {
    const { code, message } = errorFields(error);
    return { reachable: false, error: { code: String(code), message: String(message) } };
  }
}

/** A server that is frozen takes longer to be given up than anybody wants to wait for a status. */
export async function within<T>(look: Promise<T>, side: Side): Promise<T> {
  const late = new AbortController();
  const limit = sleep(timeoutMs, null, { signal: late.signal }).then(() => {
    throw new DualDbError("DATABASE_UNAVAILABLE", `${side} has not answered within ${timeoutMs} ms.`, { side });
  });
  try {
    return await Promise.race([look, limit]);
  } finally {
    look.catch(() => undefined);
    limit.catch(() => undefined);
    late.abort();
  }
}

/** Rows written on both sides around a forced roll-back. SQLite's version stayed. */
export interface Conflicts {
  /** The first 1,000. */
  readonly conflicts: readonly Conflict[];
  /** How many there are in all. */
  readonly conflictCount: number;
}

export const noConflicts: Conflicts = { conflicts: [], conflictCount: 0 };

/** As SQLite remembers them. */
export async function conflictsOf(sqlite: Engine): Promise<Conflicts> {
  const rows = await sqlite.read(
    sql`SELECT table_name, row_key, COUNT(*) OVER () AS total FROM dualdb_conflicts ORDER BY found_at, table_name, row_key
      LIMIT ${shownConflicts}`,
  );
  const conflicts = rows.map((row) => ({ table: String(row.table_name), key: String(row.row_key) }));
  return { conflicts, conflictCount: Number(rows[0]?.total ?? 0) };
}

async function owedBy(side: Side, transaction: Transaction) {
  const journal = new Journal(side);
  const refused = await journal.refused(transaction, shownRefusals);
  return {
    journal: await journal.summary(transaction),
    refused: refused.map(({ table, key, attempts, lastError }) => ({ table, key, attempts, lastError })),
  };
}

/** A bigint would stop JSON.stringify, and means nothing to a reader. */
function told<State extends SqliteState | PostgresState>(state: State): Told<State> {
  return Object.fromEntries(
    Object.entries(state).filter(([name]) => name !== "cas" && name !== "catalogue"),
  ) as Told<State>;
}
