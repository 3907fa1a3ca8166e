import { discoverPostgres, discoverSqlite } from "../data/catalogue/discover.js";
import { countSqlite } from "../data/rows/count.js";
import type { Engine, Side } from "../engines/engine.js";
import { DualDbError, hasCode } from "../errors.js";
import type { Latency } from "../metrics.js";
import { type Flags, type RouteName, routeOf } from "../route.js";
import type { Conflicts, SideStatus } from "../shadow/side-status.js";
import type { PostgresState, SqliteState } from "../shadow/state.js";
import { judge } from "./gates.js";
import type { ToolOptions } from "./options.js";
import { countPostgres } from "./row-estimate.js";
import type { Run } from "./runs.js";
import type { Check } from "./status/check.js";
import { countTables } from "./status/counts.js";
import { sampledTable, sampleReads } from "./status/latency.js";
import { type Plan, planNext } from "./status/next-step.js";
import { type RollBack, rollBackOf } from "./status/roll-back.js";
import { answers, type SeenSide, type Sight, stateIn, withSight } from "./status/sight.js";
import type { StepRecord } from "./status/steps.js";

/** Where two databases are on the way, as somebody outside sees it. */
export interface MigrationStatus extends Conflicts {
  /** Unix time in milliseconds. */
  readonly at: number;
  readonly databases: { readonly sqlite: string; readonly postgres: string | null };
  /** As this environment has them, and the route that they ask for. */
  readonly flags: Flags;
  readonly requested: RouteName;
  /** The route that the application has last taken, since when, and what its processes have counted; null where none has told. */
  readonly step: StepRecord | null;
  /** null where the databases have not been brought together, or a change is half-way. */
  readonly primary: Side | null;
  /** Unix time in milliseconds; null where nobody has ever changed it. */
  readonly since: number | null;
  readonly finalized: boolean;
  /** null where the database is not to be looked at: no variable names it, or PostgreSQL goes on alone. */
  readonly sqlite: SideStatus<SqliteState> | null;
  readonly postgres: SideStatus<PostgresState> | null;
  readonly tables: readonly TableRows[];
  readonly unmirrored: readonly { readonly table: string; readonly reason: string }[];
  /** The last run of each command by outcome, the latest first. */
  readonly runs: readonly Run[];
  /** Milliseconds that sample reads took; null where a side cannot be read. */
  readonly latency: Readonly<Record<Side, Latency | null>>;
  readonly rollBack: RollBack;
  readonly next: NextStep;
}

/** Rows of a table per side; null where that side lacks the table or cannot be read. */
export interface TableRows {
  readonly table: string;
  readonly sqlite: number | null;
  readonly postgres: number | null;
  /** Rows of it that are still owed to the other side. */
  readonly owed: number;
}

export interface NextStep extends Plan {
  /** Whether the gate is green; null where that cannot be told, true where there is none. */
  readonly ready: boolean | null;
  /** The checks that are not met. */
  readonly blocked: readonly Check[];
}

const timeoutMs = 600_000;

/**
 * Looks at both databases from outside, at one glance: nothing is changed, and a database that cannot be reached is part of the answer.
 * @throws CONFIG_INVALID, INTERRUPTED. DATABASE_UNAVAILABLE, DATABASE_UNUSABLE, ACCESS_DENIED where SQLite cannot be opened
 */
export async function migrationStatus(options: ToolOptions = {}): Promise<MigrationStatus> {
  return withSight({ ...options, onlyRead: true }, async (sight) => {
    const latency = await latencyOf(sight);
    const { sqlite, postgres } = sight;
    return {
      at: sight.now,
      databases: sight.names,
      flags: sight.config.flags,
      requested: routeOf(sight.config.flags).name,
      step: sight.step,
      ...standingOf(sight),
      sqlite: sqlite.status,
      postgres: postgres.status,
      tables: await rowsPerTable(sight),
      unmirrored: sight.pairing?.unmirrored ?? [],
      conflicts: sight.conflicts,
      conflictCount: sight.conflictCount,
      runs: sight.runs,
      latency,
      rollBack: rollBackOf(sight, latency.postgres),
      next: await nextOf(sight),
    };
  });
}

function standingOf(sight: Sight): Pick<MigrationStatus, "primary" | "since" | "finalized"> {
  const [left, right] = [stateIn(sight.sqlite), stateIn(sight.postgres)];
  const sides = [left, right].filter((state) => state !== null);
  const [first] = sides;
  const isPair = sides.some(({ pairId }) => pairId !== null);
  const agree = sides.every(({ primary }) => primary === first?.primary);
  const moves = sides.map(({ changedAt }) => changedAt).filter((at) => at !== null);
  return {
    primary: first !== undefined && isPair && agree ? first.primary : null,
    since: moves.length === 0 ? null : Math.max(...moves),
    finalized: right?.finalized ?? left?.finalized ?? false,
  };
}

async function nextOf(sight: Sight): Promise<NextStep> {
  const plan = planNext(sight);
  if (plan.gate === null) return { ...plan, ready: true, blocked: [] };
  const { open, checks } = await judge(plan.gate, sight);
  return { ...plan, ready: open, blocked: checks.filter((check) => check.ok !== true) };
}

async function rowsPerTable({ sqlite, postgres, pairing }: Sight): Promise<TableRows[]> {
  if (pairing === null) return [...(await rowsAlone(sqlite)), ...(await rowsAlone(postgres))];
  if (sqlite.engine === null || postgres.engine === null) return [];
  const paired = stateIn(sqlite) !== null && stateIn(postgres) !== null;
  return countTables(sqlite.engine, postgres.engine, pairing, paired);
}

/** The tables of a side whose other one cannot be seen. */
async function rowsAlone({ engine, status }: SeenSide<unknown>): Promise<TableRows[]> {
  if (engine === null || !answers(status)) return [];
  const discover = engine.side === "sqlite" ? discoverSqlite : discoverPostgres;
  const count = engine.side === "sqlite" ? countSqlite : countPostgres;
  const look = engine.transaction({ mode: "read", timeoutMs }, async (transaction) => {
    const rows: TableRows[] = [];
    for (const table of await discover(transaction)) {
      const none = { table: table.name, sqlite: null, postgres: null, owed: 0 };
      rows.push({ ...none, [engine.side]: await count(transaction, table) });
    }
    return rows;
  });
  return look.catch(orElse<TableRows[]>([]));
}

async function latencyOf({ sqlite, postgres, pairing }: Sight): Promise<MigrationStatus["latency"]> {
  const table = pairing && sampledTable(pairing);
  const of = async (engine: Engine | null) =>
    engine === null || table === null ? null : sampleReads(engine, table).catch(orElse<Latency | null>(null));
  return { sqlite: await of(sqlite.engine), postgres: await of(postgres.engine) };
}

/** A status tells what it can. */
function orElse<T>(other: T): (error: unknown) => T {
  return (error) => {
    if (error instanceof DualDbError && !hasCode(error, "INTERRUPTED")) return other;
    throw error;
  };
}
