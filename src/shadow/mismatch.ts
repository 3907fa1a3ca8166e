import { DualDbError } from "../errors.js";
import type { PostgresState, SqliteState } from "./state.js";

/** What the states of two databases say about their being partners; null for one that has no tables of ours. */
export interface Words {
  readonly sqlite: Pick<SqliteState, "primary" | "forced" | "pairId"> | null;
  readonly postgres: Pick<PostgresState, "primary" | "pairId"> | null;
}

/** PAIR_MISMATCH, with what to do, where two databases neither are partners nor can be made a pair as they are; else null. */
export function mismatchOf({ sqlite, postgres }: Words): DualDbError | null {
  // A forced roll-back says so: else somebody has put an older file back, which knows nothing of the change.
  if (sqlite?.primary === "sqlite" && !sqlite.forced && postgres?.primary === "postgres") return mismatch(restored);
  const partner = postgres?.pairId ?? null;
  const known = sqlite?.pairId ?? null;
  if (partner !== null && partner !== known) return mismatch(strangers);
  return partner === null && known !== null && sqlite?.primary === "postgres" ? mismatch(lost) : null;
}

function mismatch(message: string): DualDbError {
  return new DualDbError("PAIR_MISMATCH", message);
}

const restored =
  "PostgreSQL is primary, and this SQLite database is from before that: it has been restored or replaced. Put the file back that was there; where it is lost, say whose rows count: dualdb rearm --primary postgres (or sqlite).";

const strangers =
  "This PostgreSQL database is the partner of another SQLite database. Check SQLITE_DB_PATH or TURSO_DATABASE_URL, and DATABASE_URL; where that one was a mistake, say whose rows count: dualdb rearm --primary sqlite (or postgres).";

const lost =
  "The SQLite database says that PostgreSQL is primary, but this PostgreSQL database has never been its partner. Point DATABASE_URL to the right one; where that is lost, bring the rows of this SQLite to a new one: dualdb migrate --only postgres, then dualdb rearm --primary sqlite.";
