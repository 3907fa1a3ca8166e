import { type Config, type Environment, postgresVariables, readConfig, targetName } from "../config.js";
import { type EpochChoices, type Pairing, pairDatabases } from "../data/catalogue/discover.js";
import { TableGraph } from "../data/graph.js";
import type { Engine, PostgresEngine, Side, SqliteEngine } from "../engines/engine.js";
import { DualDbError, hasCode } from "../errors.js";
import { silentLogger } from "../logger.js";
import type { Pair } from "../shadow/mirror.js";
import {
  cataloguesOf,
  type PairState,
  type PostgresState,
  readPostgresState,
  readSqliteState,
} from "../shadow/state.js";
import type { ToolOptions } from "./options.js";

/** Both databases of one run: opened for it alone, and closed when it ends. */
export interface Databases {
  readonly config: Config;
  readonly sqlite: Engine;
  readonly postgres: PostgresEngine;
  /** Both as a person may read them: no password, no token. */
  readonly names: Readonly<Record<Side, string>>;
}

/** What a run works on: the tables that were asked for, and how the databases stand to each other. */
export interface Scene {
  readonly pairing: Pairing;
  readonly graph: TableGraph;
  /** null where the databases are no pair: no journal, no lock, no primary, and nothing of ours is to be made there. */
  readonly states: PairState | null;
}

/** How the SQLite file is treated. */
export interface OpenOptions {
  /** Whether one that is not there is made: only where rows are brought to it. */
  readonly createFile?: boolean;
  /** Whether it stays as it is to the byte; else it is put into WAL mode. */
  readonly onlyRead?: boolean;
}

const timeoutMs = 60_000;

/**
 * Opens both databases, works with them, and closes them whatever happens. They are beside those of a bot in the same process.
 * @throws CONFIG_INVALID, DATABASE_UNAVAILABLE, DATABASE_UNUSABLE, ACCESS_DENIED
 */
export async function withDatabases<T>(
  options: ToolOptions & OpenOptions,
  work: (databases: Databases) => Promise<T>,
): Promise<T> {
  const config = configFor(options);
  const { postgres: postgresConfig } = config;
  if (postgresConfig === null)
    throw new DualDbError("CONFIG_INVALID", `No PostgreSQL is named: set ${postgresVariables}, or give --pg.`);
  return withEngine("sqlite", config, options, (sqlite) =>
    withEngine("postgres", config, options, (postgres) =>
      work({
        config,
        sqlite,
        postgres,
        names: { sqlite: targetName(config.sqlite), postgres: targetName(postgresConfig) },
      }),
    ),
  );
}

/** Opens one database, works with it, and closes it whatever happens. */
export async function withEngine<T, S extends Side>(
  side: S,
  config: Config,
  options: ToolOptions & OpenOptions,
  work: (engine: Engines[S]) => Promise<T>,
): Promise<T> {
  const engine = await openEngine(side, config, options);
  try {
    return await work(engine);
  } finally {
    await engine.close();
  }
}

/** The configuration from the environment, with what the options say instead. */
export function configFor({ env = process.env, sqlite, postgres, batchSize }: ToolOptions): Config {
  return readConfig({
    ...env,
    ...(sqlite === undefined ? {} : sqliteVariables(sqlite)),
    ...(postgres === undefined ? {} : { DATABASE_URL: postgresUrl(postgres) }),
    ...(batchSize === undefined ? {} : { MIGRATION_BATCH_SIZE: String(batchSize) }),
  });
}

/** What the numbers of SQLite's columns of times count, as far as somebody has said so. */
export function epochsFor({ epochs }: ToolOptions, config: Config): EpochChoices | undefined {
  return epochs ?? config.epochs;
}

/**
 * Looks at both databases: which tables they share, and whether they are a pair.
 * @throws CONFIG_INVALID for a table that neither has.
 * @throws PAIR_MISMATCH where each has a partner, and not the other.
 */
export async function sceneOf({ config, sqlite, postgres }: Databases, options: ToolOptions): Promise<Scene> {
  // The states first: they tell whether the tables have changed since.
  const states = await statesOf(sqlite, postgres);
  const pairing = await sqlite.transaction({ mode: "read" }, (left) =>
    postgres.transaction({ mode: "read", timeoutMs }, (right) =>
      pairDatabases(left, right, epochsFor(options, config)),
    ),
  );
  const wanted = onlyTables(pairing, options.tables);
  // In a pair rows may hang on those of a table that was not asked for.
  const graph = new TableGraph(states === null ? wanted.tables : pairing.tables);
  return { pairing: wanted, graph, states };
}

/** What the mirror has to know of a pair's tables. */
export function tablesIn({ graph, pairing, states }: Scene): Pick<Pair, "graph" | "dependents" | "catalogues"> {
  if (states === null) throw new Error("these databases are no pair");
  return { graph, dependents: pairing.dependents, catalogues: cataloguesOf(states) };
}

/** The states of a pair; null where the two have never been brought together. */
export async function statesOf(sqlite: Engine, postgres: Engine): Promise<PairState | null> {
  const { sqlite: left, postgres: right } = await wordsOf(sqlite, postgres);
  if (left === null || right === null || (left.pairId === null && right.pairId === null)) return null;
  if (left.pairId === right.pairId) return { sqlite: left, postgres: right };
  throw new DualDbError(
    "PAIR_MISMATCH",
    "These two databases are not partners: one of them belongs to another. Check the SQLite path and the PostgreSQL URL.",
  );
}

/** What each database says of itself; null for one that has no tables of ours. */
export async function wordsOf(
  sqlite: Engine,
  postgres: Engine,
): Promise<{ readonly [S in keyof PairState]: PairState[S] | null }> {
  return {
    sqlite: await orNone(sqlite.transaction({ mode: "read" }, readSqliteState)),
    postgres: await wordOf(postgres),
  };
}

/** What PostgreSQL says of itself; null where it has no tables of ours. */
export function wordOf(postgres: Engine, limitMs = timeoutMs): Promise<PostgresState | null> {
  return orNone(postgres.transaction({ mode: "read", timeoutMs: limitMs }, readPostgresState));
}

async function orNone<T>(look: Promise<T>): Promise<T | null> {
  try {
    return await look;
  } catch (error) {
    if (hasCode(error, "SCHEMA_MISSING")) return null;
    throw error;
  }
}

/** Opens one database. Who opens closes. */
export async function openEngine<S extends Side>(
  side: S,
  config: Config,
  options: ToolOptions & OpenOptions,
): Promise<Engines[S]> {
  return openers[side](config, options);
}

/** What the engine of each side can do. */
export interface Engines {
  readonly sqlite: SqliteEngine;
  readonly postgres: PostgresEngine;
}

const openers: { readonly [S in Side]: (config: Config, options: ToolOptions & OpenOptions) => Promise<Engines[S]> } = {
  sqlite: openSqlite,
  postgres: openPostgresql,
};

async function openSqlite(config: Config, options: ToolOptions & OpenOptions): Promise<SqliteEngine> {
  const { logger, createFile = false, onlyRead = false, signal } = options;
  const { openLibsql } = await import("../engines/libsql.js");
  return openLibsql({
    config: config.sqlite,
    logger: logger ?? silentLogger,
    createFile,
    onlyRead,
    busyLimitMs: config.migrationTimeoutMs,
    signal,
  });
}

async function openPostgresql(config: Config, { logger, signal }: ToolOptions): Promise<PostgresEngine> {
  if (config.postgres === null)
    throw new DualDbError("CONFIG_INVALID", `No PostgreSQL is named: set ${postgresVariables}.`);
  const { openPostgres } = await import("../engines/postgres.js");
  return openPostgres({ config: config.postgres, logger: logger ?? silentLogger, signal });
}

function sqliteVariables(location: string): Environment {
  const isUrl = /^[a-z]{2,}:/i.test(location);
  return isUrl ? { TURSO_DATABASE_URL: location } : { TURSO_DATABASE_URL: "", SQLITE_DB_PATH: location };
}

function postgresUrl(url: string): string {
  if (/^postgres(ql)?:\/\//i.test(url)) return url;
  throw new DualDbError("CONFIG_INVALID", "The PostgreSQL to use is not a postgres:// URL.");
}

/**
 * The part of a pairing that is about these tables; all of it where none are named.
 * @throws CONFIG_INVALID for a table that SQLite does not have.
 */
export function onlyTables(pairing: Pairing, names: readonly string[] | undefined): Pairing {
  if (names === undefined) return pairing;
  const known = new Set([...pairing.tables.map(({ name }) => name), ...pairing.unmirrored.map(({ table }) => table)]);
  const unknown = names.filter((name) => !known.has(name));
  if (unknown.length > 0)
    throw new DualDbError(
      "CONFIG_INVALID",
      `SQLite has no table ${unknown.join(", ")}. It has ${[...known].sort().join(", ") || "none"}.`,
      { side: "sqlite", details: { tables: unknown } },
    );
  const wanted = new Set(names);
  const isWanted = ({ table }: { readonly table: string }) => wanted.has(table);
  return {
    ...pairing,
    tables: pairing.tables.filter(({ name }) => wanted.has(name)),
    keyless: pairing.keyless.filter(({ name }) => wanted.has(name)),
    pairs: pairing.pairs.filter(({ table }) => wanted.has(table.name)),
    unmirrored: pairing.unmirrored.filter(isWanted),
    missing: pairing.missing.filter(isWanted),
    generated: pairing.generated.filter(isWanted),
    uncarried: pairing.uncarried.filter(isWanted),
  };
}
