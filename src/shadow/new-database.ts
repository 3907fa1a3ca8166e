import { stat } from "node:fs/promises";
import sql from "sql-template-tag";
import { type SqliteConfig, targetName } from "../config.js";
import type { Engine } from "../engines/engine.js";
import { DualDbError } from "../errors.js";
import { finalized } from "./disarm.js";
import type { PostgresState } from "./state.js";

/** Asks PostgreSQL for its state; null where it has no tables of ours yet. */
export type Neighbour = () => Promise<PostgresState | null>;

/** Whether opening would make a new database: SQLite takes a file without a byte for one, too. */
export async function isNewFile({ file }: SqliteConfig): Promise<boolean> {
  if (file === null) return false;
  try {
    const status = await stat(file);
    return status.isFile() && status.size === 0;
  } catch (error) {
    // One that may not even be looked at says so when it is opened.
    return error instanceof Error && "code" in error && error.code === "ENOENT";
  }
}

/** Whether a server's database is as new as a file that is not there. */
export async function isNewOnServer({ file }: SqliteConfig, engine: Engine): Promise<boolean> {
  if (file !== null) return false;
  const [row] = await engine.read(sql`SELECT COUNT(*) AS tables FROM sqlite_master WHERE type = 'table'`);
  return row?.tables === 0;
}

/**
 * Of a SQLite database that is new: the state of the PostgreSQL beside it, where that one has a partner, which has then been lost, or is
 * somewhere else. null where the database is not new, or nothing speaks against a new one.
 * @throws FINALIZED. What keeps PostgreSQL from being asked: starting empty could mean starting beside the right file, better not at all.
 */
export async function bereftPartner(
  sqlite: SqliteConfig,
  isNew: () => Promise<boolean>,
  neighbour: Neighbour | null,
): Promise<PostgresState | null> {
  if (neighbour === null || !(await isNew())) return null;
  const state = await neighbour().catch((error: unknown) => Promise.reject(cannotTell(sqlite, error)));
  // Another process may have made the database, and the pair, meanwhile.
  if (state === null || state.pairId === null || !(await isNew())) return null;
  if (state.finalized) throw finalized();
  return state;
}

/** Where a new database is not to be made. */
export function partnerOfAnother(sqlite: SqliteConfig): DualDbError {
  const advice =
    "Check SQLITE_DB_PATH or TURSO_DATABASE_URL, or put the file back; where it is lost, run dualdb rearm --primary postgres.";
  const message = `There is no SQLite database at ${targetName(sqlite)}, but this PostgreSQL database has one as its partner. ${advice}`;
  return new DualDbError("PAIR_MISMATCH", message);
}

function cannotTell(sqlite: SqliteConfig, error: unknown): unknown {
  if (!(error instanceof DualDbError)) return error;
  const { code, message, side, details } = error;
  const advice = `There is no SQLite database at ${targetName(sqlite)} yet, and it cannot be told whether PostgreSQL is the partner of another one. Check the path, make PostgreSQL reachable, or unset the variables that name it.`;
  return new DualDbError(code, `${message}. ${advice}`, { side, details, cause: error });
}
