import { type Config, targetName } from "./config.js";
import type { Engine } from "./engines/engine.js";
import { DualDbError, errorFields, hasCode } from "./errors.js";
import type { Logger } from "./logger.js";
import { migrate } from "./schema/migrations.js";
import { bereftPartner, isNewFile, isNewOnServer, type Neighbour, partnerOfAnother } from "./shadow/new-database.js";
import { restoreAlone } from "./shadow/restore.js";
import { type SqliteState, stateOf } from "./shadow/state.js";

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
  if (await isLost(config, () => isNewFile(config.sqlite), neighbour)) return missing(config, logger);
  const engine = await tryToOpen(config, logger, neighbour);
  if (engine instanceof DualDbError) return engine;
  if (!(await isLost(config, () => isNewOnServer(config.sqlite, engine), neighbour))) return engine;
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

/** Whether a database that is not there is gone, and PostgreSQL goes on without it. */
async function isLost(
  { sqlite, flags }: Config,
  isNew: () => Promise<boolean>,
  neighbour: Neighbour | null,
): Promise<boolean> {
  const partner = await bereftPartner(sqlite, isNew, neighbour);
  if (partner === null) return false;
  if (!flags.primary || partner.primary !== "postgres") throw partnerOfAnother(sqlite);
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
