import { type Config, targetName } from "../../config.js";
import {
  discoverPostgres,
  discoverSqlite,
  type Pairing,
  pairTables,
  uncarriedTables,
} from "../../data/catalogue/discover.js";
import type { Engine, Side } from "../../engines/engine.js";
import { DualDbError, errorFields, hasCode } from "../../errors.js";
import {
  type Conflicts,
  conflictsOf,
  noConflicts,
  type SideStatus,
  sideStatus,
  type Told,
} from "../../shadow/side-status.js";
import { type PostgresState, readPostgresState, readSqliteState, type SqliteState } from "../../shadow/state.js";
import { configFor, type OpenOptions, onlyTables, openEngine } from "../databases.js";
import type { ToolOptions } from "../options.js";
import { endIfAsked } from "../progress.js";
import { lastRuns, type Run } from "../runs.js";
import { presentStep, type StepRecord } from "./steps.js";

/** Both databases as somebody outside sees them, who changes nothing. What cannot be seen is null, and says why beside its side. */
export interface Sight extends Conflicts {
  readonly options: ToolOptions;
  readonly config: Config;
  /** Unix time in milliseconds. */
  readonly now: number;
  /** Both as a person may read them; null where no variable names a PostgreSQL. */
  readonly names: { readonly sqlite: string; readonly postgres: string | null };
  readonly sqlite: SeenSide<SqliteState>;
  readonly postgres: SeenSide<PostgresState>;
  /** null where one of the two cannot be seen. */
  readonly pairing: Pairing | null;
  /** The step that the application has last taken, as it said itself. */
  readonly step: StepRecord | null;
  /** The last run of each command. */
  readonly runs: readonly Run[];
}

export interface SeenSide<State> {
  /** null where it is not to be looked at: no variable names it, it cannot be opened, or PostgreSQL has been finalized. */
  readonly engine: Engine | null;
  readonly status: SideStatus<State> | null;
}

const timeoutMs = 60_000;

/**
 * Looks at both databases, works with what is seen, and closes them whatever happens.
 * @throws CONFIG_INVALID, INTERRUPTED, and what keeps SQLite from being opened, unless PostgreSQL says that it is primary.
 */
export async function withSight<T>(options: ToolOptions & OpenOptions, work: (sight: Sight) => Promise<T>): Promise<T> {
  const open: Engine[] = [];
  try {
    return await work(await look(options, open));
  } finally {
    for (const engine of open) await engine.close();
  }
}

/** The state of a side that has told it; else null. */
export function stateIn<State>({ status }: SeenSide<State>): Told<State> | null {
  return status?.reachable === true ? status.state : null;
}

/** Every table of SQLite that is looked at, mirrored or not; none where one of the two sides cannot be seen. */
export function tableNamesIn({ pairing }: Sight): string[] {
  if (pairing === null) return [];
  return [
    ...new Set([...pairing.pairs.map((pair) => pair.table.name), ...pairing.unmirrored.map(({ table }) => table)]),
  ];
}

async function look(options: ToolOptions & OpenOptions, open: Engine[]): Promise<Sight> {
  const config = configFor(options);
  const postgres = await lookAtPostgres(config, options, open);
  const sqlite = await lookAtSqlite(config, options, open, stateIn(postgres));
  endIfAsked(options.signal);
  const remembered = stateIn(postgres) === null ? null : await memories(postgres.engine);
  return {
    options,
    config,
    now: (options.clock ?? Date.now)(),
    names: { sqlite: targetName(config.sqlite), postgres: config.postgres && targetName(config.postgres) },
    sqlite,
    postgres,
    pairing: await pairingOf(sqlite, postgres, options),
    ...(sqlite.engine !== null && stateIn(sqlite) !== null ? await conflictsOf(sqlite.engine) : noConflicts),
    step: remembered?.step ?? null,
    runs: remembered?.runs ?? [],
  };
}

async function lookAtPostgres(config: Config, options: ToolOptions, open: Engine[]): Promise<SeenSide<PostgresState>> {
  if (config.postgres === null) return { engine: null, status: null };
  const engine = await openEngine("postgres", config, options);
  open.push(engine);
  return { engine, status: await sideStatus(engine, readPostgresState) };
}

async function lookAtSqlite(
  config: Config,
  options: ToolOptions & OpenOptions,
  open: Engine[],
  other: Told<PostgresState> | null,
): Promise<SeenSide<SqliteState>> {
  if (other?.finalized === true) return { engine: null, status: null };
  try {
    const engine = await openEngine("sqlite", config, options);
    open.push(engine);
    return { engine, status: await sideStatus(engine, readSqliteState) };
  } catch (error) {
    if (!(error instanceof DualDbError) || other?.primary !== "postgres") throw error;
    const { code, message } = errorFields(error);
    return { engine: null, status: { reachable: false, error: { code: String(code), message: String(message) } } };
  }
}

async function pairingOf(
  sqlite: SeenSide<SqliteState>,
  postgres: SeenSide<PostgresState>,
  { tables }: ToolOptions,
): Promise<Pairing | null> {
  const [left, right] = [sqlite.engine, postgres.engine];
  if (left === null || right === null || !answers(sqlite.status) || !answers(postgres.status)) return null;
  const pairing = await left.transaction({ mode: "read" }, (mine) =>
    right.transaction({ mode: "read", timeoutMs }, async (others) =>
      pairTables(await discoverSqlite(mine), await discoverPostgres(others), await uncarriedTables(mine)),
    ),
  );
  return onlyTables(pairing, tables);
}

/** A database without tables of ours answers all the same. */
export function answers(status: SeenSide<unknown>["status"]): boolean {
  return status !== null && (status.reachable || status.error.code === "SCHEMA_MISSING");
}

async function memories(postgres: Engine | null) {
  if (postgres === null) return null;
  try {
    return await postgres.transaction({ mode: "read", timeoutMs }, async (transaction) => ({
      step: await presentStep(transaction),
      runs: await lastRuns(transaction),
    }));
  } catch (error) {
    if (hasCode(error, "SCHEMA_MISSING", "QUERY_FAILED")) return null;
    throw error;
  }
}

/** What a side is called in a sentence. */
export const sideNames: Readonly<Record<Side, string>> = { sqlite: "SQLite", postgres: "PostgreSQL" };
