import { statSync } from "node:fs";
import sql from "sql-template-tag";
import { type Config, targetName } from "./config.js";
import type { Engine } from "./engines/engine.js";
import { DualDbError, errorFields, hasCode } from "./errors.js";
import type { Logger } from "./logger.js";
import { migrate } from "./schema/migrations.js";
import { finalized } from "./shadow/disarm.js";
import { restoreAlone } from "./shadow/restore.js";
import { type PostgresState, type SqliteState, stateOf } from "./shadow/state.js";

/** Asks PostgreSQL for its state; null where it has no tables of ours yet. */
export type Neighbour = () => Promise<PostgresState | null>;

/**
 * Opens the SQLite side. The reason why not, where it is gone or cannot be opened, and PostgreSQL's own state says that it is primary, as
 * the flags want it. A new database is refused where the PostgreSQL beside it has a partner: that one would have been forgotten.
 * @throws PAIR_MISMATCH, DATABASE_UNAVAILABLE, DATABASE_UNUSABLE, ACCESS_DENIED
 */
export async function openSqlite(
  config: Config,
  logger: Logger,
  neighbour: Neighbour | null,
): Promise<Engine | DualDbError> {
  const { file } = config.sqlite;
  if (file !== null && isNewFile(file) && (await isLost(config, neighbour))) return missing(config, logger);
  const engine = await tryToOpen(config, logger, neighbour);
  if (engine instanceof DualDbError || file !== null || !(await isEmpty(engine))) return engine;
  if (!(await isLost(config, neighbour))) return engine;
  await engine.close();
  return missing(config, logger);
}

/** Brings the schema up to date where SQLite is primary. */
export async function migrateSqlite(sqlite: Engine, config: Config, logger: Logger): Promise<SqliteState> {
  const before = await stateIfThere(sqlite);
  if (before?.primary === "postgres") return before;
  await migrate({ engine: sqlite, timeoutMs: config.migrationTimeoutMs, logger, allowUnknown: true });
  const lost = await restoreAlone(sqlite, Date.now);
  if (lost.length > 0) logger.warn({ event: "restored", tables: lost }, "our own tables were missing, and are back");
  return stateOf(sqlite);
}

async function stateIfThere(sqlite: Engine): Promise<SqliteState | null> {
  try {
    return await stateOf(sqlite);
  } catch (error) {
    if (hasCode(error, "SCHEMA_MISSING")) return null;
    throw error;
  }
}

/** SQLite takes a file without a byte for a new database. */
function isNewFile(file: string): boolean {
  try {
    const status = statSync(file, { throwIfNoEntry: false });
    return status === undefined || (status.isFile() && status.size === 0);
  } catch {
    // It may not even be looked at: opening it says so.
    return false;
  }
}

async function isEmpty(engine: Engine): Promise<boolean> {
  const [row] = await engine.read(sql`SELECT COUNT(*) AS tables FROM sqlite_master WHERE type = 'table'`);
  return row?.tables === 0;
}

/** Whether a database that is not there is gone, and PostgreSQL goes on without it. */
async function isLost(config: Config, neighbour: Neighbour | null): Promise<boolean> {
  const database = targetName(config.sqlite);
  const state = await neighbour?.().catch((error: unknown) => {
    throw cannotTell(database, error);
  });
  if (state === null || state === undefined || state.pairId === null) return false;
  if (state.finalized) throw finalized();
  if (!config.flags.primary || state.primary !== "postgres") throw partnerOfAnother(database);
  return true;
}

function missing(config: Config, logger: Logger): DualDbError {
  const database = targetName(config.sqlite);
  logger.error({ event: "sqlite-missing", database }, "the SQLite database is gone; PostgreSQL is primary and goes on");
  return new DualDbError(
    "DATABASE_UNAVAILABLE",
    `There is no SQLite database at ${database}: PostgreSQL goes on, and there is no way back. Put the file back and start again; where it is lost, run dualdb rearm --primary postgres.`,
    { side: "sqlite" },
  );
}

/** Loaded once: a process that has given up rights since may no longer find it. */
let libsql: Promise<typeof import("./engines/libsql.js")> | undefined;

async function tryToOpen(config: Config, logger: Logger, neighbour: Neighbour | null): Promise<Engine | DualDbError> {
  libsql ??= import("./engines/libsql.js");
  const { openLibsql } = await libsql;
  try {
    return await openLibsql({ config: config.sqlite, logger });
  } catch (error) {
    if (!hasCode(error, "DATABASE_UNAVAILABLE", "DATABASE_UNUSABLE", "ACCESS_DENIED")) throw error;
    if (!config.flags.primary || (await neighbour?.())?.primary !== "postgres") throw error;
    const fields = { event: "sqlite-unavailable", ...errorFields(error) };
    logger.error(fields, "SQLite cannot be opened; PostgreSQL is primary and goes on");
    return error;
  }
}

function partnerOfAnother(database: string): DualDbError {
  const advice =
    "Check SQLITE_DB_PATH or TURSO_DATABASE_URL, or put the file back; where it is lost, run dualdb rearm --primary postgres.";
  const message = `There is no SQLite database at ${database}, but this PostgreSQL database has one as its partner. ${advice}`;
  return new DualDbError("PAIR_MISMATCH", message);
}

/** Starting empty could mean starting beside the right file: better not at all. */
function cannotTell(database: string, error: unknown): unknown {
  if (!(error instanceof DualDbError)) return error;
  const { code, message, side, details } = error;
  const advice = `There is no SQLite database at ${database} yet, and it cannot be told whether PostgreSQL is the partner of another one. Check the path, make PostgreSQL reachable, or unset the variables that name it.`;
  return new DualDbError(code, `${message}. ${advice}`, { side, details, cause: error });
}
