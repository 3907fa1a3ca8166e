import { setTimeout as sleep } from "node:timers/promises";
import sql, { raw } from "sql-template-tag";
import type { ReadCounts } from "./adapter.js";
import { discoverSqlite } from "./data/catalogue/discover.js";
import { quote } from "./data/table.js";
import type { EngineStatistics, Side, Transaction } from "./engines/engine.js";
import { DualDbError } from "./errors.js";
import type { Latency } from "./metrics.js";
import type { Opened } from "./open.js";
import { type Flags, type RouteName, routeOf } from "./route.js";
import { Journal, type JournalSummary } from "./shadow/journal.js";
import type { RelayStatus } from "./shadow/relay.js";
import { type Conflicts, conflictsOf, noConflicts, type SideStatus, sideStatus, within } from "./shadow/side-status.js";
import { type PostgresState, readPostgresState, readSqliteState, type SqliteState } from "./shadow/state.js";

export interface Status extends Conflicts {
  readonly flags: Flags;
  /** The route that the flags ask for. */
  readonly requested: RouteName;
  /** The route in force: the states rule who is primary. */
  readonly effective: RouteName;
  readonly primary: Side;
  readonly sqlite: SideStatus<SqliteState> | null;
  /** null where nothing has needed PostgreSQL, so that it has not been contacted. */
  readonly postgres: SideStatus<PostgresState> | null;
  /** Why the primary does not answer, or the two databases are not working together; null when all is well. */
  readonly problem: { readonly code: string; readonly message: string } | null;
  /** Tables of SQLite that nobody mirrors; null before the databases have come together. */
  readonly unmirrored: readonly { readonly table: string; readonly reason: string }[] | null;
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
const nothing: JournalSummary = { entries: 0, quarantined: 0, oldest: null };
const drainStepMs = 50;

export async function statusOf(opened: Opened): Promise<Status> {
  const { adapter, config, sqlite, relay, primary } = opened;
  const postgres = (await opened.postgresOpened()) ?? null;
  const { rss, heapUsed, external } = process.memoryUsage();
  const sides = {
    sqlite: sqlite && (await sideStatus(sqlite, readSqliteState)),
    postgres: postgres && (await sideStatus(postgres, readPostgresState)),
  };
  return {
    flags: config.flags,
    requested: routeOf(config.flags).name,
    effective: adapter.route.name,
    primary: primary.side,
    ...sides,
    problem: problemOf(opened) ?? silenceOf(sides[primary.side]),
    unmirrored: (await opened.partner?.pairing())?.unmirrored ?? null,
    ...(sqlite === null ? noConflicts : await conflictsOf(sqlite).catch(noneOf)),
    relay: relay?.status() ?? null,
    reads: { ...adapter.reads, suspended: adapter.readsSuspended },
    latency: adapter.latency,
    pool: { sqlite: sqlite?.statistics() ?? null, postgres: postgres?.statistics() ?? null },
    memory: { rss, heapUsed, external },
  };
}

/**
 * Waits for the relay until the primary's journal holds nothing but what the other side refuses, and what a forced roll-back has left in
 * PostgreSQL has come in.
 */
export async function drain(opened: Opened, withinMs: number): Promise<DrainResult> {
  const began = performance.now();
  for (;;) {
    const { entries, quarantined, isForced } = await owed(opened);
    const left = withinMs - (performance.now() - began);
    const isDone = entries <= quarantined && !isForced;
    if (isDone || left <= 0 || opened.adapter.route.shadow === null)
      return { pending: entries - quarantined, quarantined };
    opened.relay?.hurry();
    await (opened.relay?.batch(Math.min(left, drainStepMs)) ?? sleep(Math.min(left, drainStepMs)));
  }
}

interface Owed extends JournalSummary {
  /** Whether SQLite was made primary while PostgreSQL could not be reached, and its rows are still to come in. */
  readonly isForced: boolean;
}

async function owed(opened: Opened): Promise<Owed> {
  const engine = opened.primary.side === "sqlite" ? opened.sqlite : await opened.postgres();
  if (engine === null) return { ...nothing, isForced: false };
  const look = engine.transaction({ mode: "read", timeoutMs }, async (transaction) => {
    if (engine.side === "postgres" && (await readPostgresState(transaction)).finalized)
      return { ...nothing, isForced: false };
    const summary = await new Journal(engine.side).summary(transaction);
    if (engine.side === "postgres" || opened.partner === null || opened.adapter.route.shadow === null)
      return { ...summary, isForced: false };
    const { pairId, forced } = await readSqliteState(transaction);
    const entries = pairId === null ? await countRows(transaction) : summary.entries;
    return { ...summary, entries, isForced: forced };
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

function problemOf({ partner, relay, sqliteProblem }: Opened): Status["problem"] {
  const problem = sqliteProblem ?? partner?.problem ?? null;
  return problem === null ? (relay?.status().lastError ?? null) : { code: problem.code, message: problem.message };
}

/** A primary that does not answer. */
function silenceOf(side: Status["sqlite"] | Status["postgres"]): Status["problem"] {
  return side === null || side.reachable ? null : side.error;
}

/** A status tells what it can: why a table cannot be read stands beside its side. */
function noneOf(error: unknown): Conflicts {
  if (error instanceof DualDbError) return noConflicts;
  throw error;
}
