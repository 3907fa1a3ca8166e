import { setTimeout as sleep } from "node:timers/promises";
import sql, { raw } from "sql-template-tag";
import type { ReadCounts } from "./adapter.js";
import { discoverSqlite } from "./data/discover.js";
import { quote } from "./data/table.js";
import type { Engine, EngineStatistics, Side, Transaction } from "./engines/engine.js";
import { DualDbError, errorFields } from "./errors.js";
import type { Latency } from "./metrics.js";
import type { Opened } from "./open.js";
import { type Flags, type RouteName, routeOf } from "./route.js";
import { type Entry, Journal, type JournalSummary } from "./shadow/journal.js";
import type { Conflict } from "./shadow/recovery.js";
import type { RelayStatus } from "./shadow/relay.js";
import { type PostgresState, readPostgresState, readSqliteState, type SqliteState } from "./shadow/state.js";

/** What one side says of itself, or why it says nothing. */
export type SideStatus<State> =
  | {
      readonly reachable: true;
      readonly state: Omit<State, "cas">;
      readonly journal: JournalSummary;
      readonly refused: readonly Refused[];
    }
  | { readonly reachable: false; readonly error: { readonly code: string; readonly message: string } };

/** A row that the other side has refused. */
export type Refused = Pick<Entry, "table" | "key" | "attempts" | "lastError">;

export interface Status {
  readonly flags: Flags;
  /** The route that the flags ask for. */
  readonly requested: RouteName;
  /** The route in force: the states rule who is primary. */
  readonly effective: RouteName;
  readonly primary: Side;
  readonly sqlite: SideStatus<SqliteState> | null;
  /** null where nothing has needed PostgreSQL, so that it has not been contacted. */
  readonly postgres: SideStatus<PostgresState> | null;
  /** Why the two databases are not working together; null when they are, or need not. */
  readonly problem: { readonly code: string; readonly message: string } | null;
  /** Tables of SQLite that nobody mirrors; null before the databases have come together. */
  readonly unmirrored: readonly { readonly table: string; readonly reason: string }[] | null;
  /** Rows written on both sides around a forced roll-back. SQLite's version stayed. */
  readonly conflicts: readonly Conflict[];
  readonly relay: RelayStatus | null;
  readonly reads: ReadCounts & { readonly suspended: boolean };
  /** Milliseconds, per side, as this process has measured them. */
  readonly latency: Readonly<Record<Side, { readonly read: Latency; readonly write: Latency }>>;
  readonly pool: { readonly sqlite: EngineStatistics | null; readonly postgres: EngineStatistics | null };
  /** Bytes, as `process.memoryUsage()` gives them. */
  readonly memory: { readonly rss: number; readonly heapUsed: number; readonly external: number };
}

export interface DrainResult {
  /** Rows that the other side is still owed and takes. */
  readonly pending: number;
  /** Rows that it refuses. */
  readonly quarantined: number;
}

const timeoutMs = 2_000;
const shownRefusals = 20;
const shownConflicts = 1_000;
const drainStepMs = 50;

export async function statusOf(opened: Opened): Promise<Status> {
  const { adapter, config, sqlite, relay, primary } = opened;
  const postgres = (await opened.postgresOpened()) ?? null;
  const { rss, heapUsed, external } = process.memoryUsage();
  return {
    flags: config.flags,
    requested: routeOf(config.flags).name,
    effective: adapter.route.name,
    primary: primary.side,
    sqlite: sqlite && (await sideStatus(sqlite, readSqliteState)),
    postgres: postgres && (await sideStatus(postgres, readPostgresState)),
    problem: problemOf(opened),
    unmirrored: (await opened.partner?.pairing().then((pairing) => pairing?.unmirrored ?? null)) ?? null,
    conflicts: sqlite === null ? [] : await conflictsOf(sqlite).catch(noneOf),
    relay: relay?.status() ?? null,
    reads: { ...adapter.reads, suspended: adapter.readsSuspended },
    latency: adapter.latency,
    pool: { sqlite: sqlite?.statistics() ?? null, postgres: postgres?.statistics() ?? null },
    memory: { rss, heapUsed, external },
  };
}

/** Waits for the relay until the primary's journal holds nothing but what the other side refuses. */
export async function drain(opened: Opened, withinMs: number): Promise<DrainResult> {
  const began = performance.now();
  for (;;) {
    const { entries, quarantined } = await owed(opened);
    const left = withinMs - (performance.now() - began);
    if (entries <= quarantined || left <= 0 || opened.adapter.route.shadow === null)
      return { pending: entries - quarantined, quarantined };
    opened.relay?.hurry();
    await (opened.relay?.batch(Math.min(left, drainStepMs)) ?? sleep(Math.min(left, drainStepMs)));
  }
}

async function owed(opened: Opened): Promise<JournalSummary> {
  const engine = opened.primary.side === "sqlite" ? opened.sqlite : await opened.postgres();
  if (engine === null) return { entries: 0, quarantined: 0, oldest: null };
  const look = engine.transaction({ mode: "read", timeoutMs }, async (transaction) => {
    const summary = await new Journal(engine.side).summary(transaction);
    if (engine.side === "postgres" || opened.partner === null || opened.adapter.route.shadow === null) return summary;
    return (await readSqliteState(transaction)).pairId === null
      ? { ...summary, entries: await countRows(transaction) }
      : summary;
  });
  return within(look, engine.side);
}

/** Before the databases have come together nothing is journaled, and PostgreSQL is owed every row. */
async function countRows(transaction: Transaction): Promise<number> {
  let count = 0;
  for (const { name } of await discoverSqlite(transaction)) {
    const [row] = await transaction.query(sql`SELECT COUNT(*) AS rows FROM ${raw(quote(name))}`);
    count += Number(row?.rows);
  }
  return count;
}

async function sideStatus<State extends SqliteState | PostgresState>(
  engine: Engine,
  readState: (transaction: Parameters<typeof readSqliteState>[0]) => Promise<State>,
): Promise<SideStatus<State>> {
  const journal = new Journal(engine.side);
  try {
    const look = engine.transaction({ mode: "read", timeoutMs }, async (transaction) => ({
      reachable: true as const,
      state: withoutCas(await readState(transaction)),
      journal: await journal.summary(transaction),
      refused: (await journal.refused(transaction, shownRefusals)).map(({ table, key, attempts, lastError }) => ({
        table,
        key,
        attempts,
        lastError,
      })),
    }));
    return await within(look, engine.side);
  } catch (error) {
    const { code, message } = errorFields(error);
    return { reachable: false, error: { code: String(code), message: String(message) } };
  }
}

/** A server that is frozen takes longer to be given up than anybody wants to wait for a status. */
async function within<T>(look: Promise<T>, side: Side): Promise<T> {
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

/** A bigint would stop JSON.stringify, and means nothing to a reader. */
function withoutCas<State extends object>(state: State): Omit<State, "cas"> {
  return Object.fromEntries(Object.entries(state).filter(([name]) => name !== "cas")) as Omit<State, "cas">;
}

function problemOf({ partner, relay }: Opened): Status["problem"] {
  const problem = partner?.problem ?? null;
  return problem === null ? (relay?.status().lastError ?? null) : { code: problem.code, message: problem.message };
}

/** A status tells what it can: why a table cannot be read stands beside its side. */
function noneOf(error: unknown): [] {
  if (error instanceof DualDbError) return [];
  throw error;
}

async function conflictsOf(sqlite: Engine): Promise<Conflict[]> {
  const rows = await sqlite.read(
    sql`SELECT table_name, row_key FROM dualdb_conflicts ORDER BY found_at, table_name, row_key LIMIT ${shownConflicts}`,
  );
  return rows.map((row) => ({ table: String(row.table_name), key: String(row.row_key) }));
}
