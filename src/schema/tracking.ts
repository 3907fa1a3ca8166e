import sql, { raw } from "sql-template-tag";
import { isTracking, tracking } from "../data/catalogue/catalogue.js";
import type { Engine, ExactRow, Row, Side, Statement, Transaction } from "../engines/engine.js";
import { DualDbError } from "../errors.js";
import type { MigrationFile } from "./files.js";

/** A row of schema_migrations. */
export interface TrackedMigration {
  readonly filename: string;
  readonly checksum: string;
  readonly success: boolean;
  /** Unix time in milliseconds. */
  readonly appliedAt: number;
  readonly executionTimeMs: number;
  readonly error: string | null;
}

/**
 * What the database remembers, in the order in which it happened; nothing where it has never been migrated.
 * @throws MIGRATION_TABLE_TAKEN where another tool keeps a table of that name.
 */
export async function readTracked(engine: Engine): Promise<TrackedMigration[]> {
  return (await isThere(engine)) ? (await engine.read(allTracked)).map(trackedOf) : [];
}

/**
 * Creates schema_migrations where it is missing.
 * @throws MIGRATION_TABLE_TAKEN where another tool keeps a table of that name.
 */
export async function createTracking(engine: Engine): Promise<void> {
  if (!(await isThere(engine)))
    await engine.transaction({ mode: "write" }, (transaction) => transaction.script(definition[engine.side]));
}

/** What is remembered of a file as of now, inside this transaction; null where it is nothing. */
export async function trackedIn(transaction: Transaction, filename: string): Promise<TrackedMigration | null> {
  const [row] = await transaction.query(sql`${raw(selectTracked)} WHERE filename = ${filename}`);
  return row === undefined ? null : trackedOf(row);
}

/** Whether that file has been applied, as of now, inside this transaction. */
export async function isApplied(transaction: Transaction, filename: string): Promise<boolean> {
  return (await trackedIn(transaction, filename))?.success === true;
}

/** The statement that remembers how a file went; `error` is null where it went well. */
export function record(file: MigrationFile, at: number, executionTimeMs: number, error: string | null): Statement {
  return sql`
    INSERT INTO schema_migrations (filename, applied_at, checksum, execution_time_ms, success, error_message)
    VALUES (${file.filename}, ${at}, ${file.checksum}, ${executionTimeMs}, ${error === null}, ${error})
    ON CONFLICT (filename) DO UPDATE SET
      applied_at = excluded.applied_at, checksum = excluded.checksum, execution_time_ms = excluded.execution_time_ms,
      success = excluded.success, error_message = excluded.error_message`;
}

/** Rails and golang-migrate, for two, remember their own migrations in a table of that name. */
async function isThere(engine: Engine): Promise<boolean> {
  const columns = (await engine.read(columnsThere)).map(({ name }) => String(name));
  if (columns.length > 0 && !isTracking(columns)) throw taken(engine.side);
  return columns.length > 0;
}

const columnsThere: Statement = {
  sql: "SELECT name FROM pragma_table_info('schema_migrations')",
  text: `SELECT attname AS name FROM pg_attribute WHERE attrelid = to_regclass(quote_ident(current_schema()) || '.schema_migrations')
    AND attnum > 0 AND NOT attisdropped`,
  values: [],
};

function taken(side: Side): DualDbError {
  const name = side === "sqlite" ? "SQLite" : "PostgreSQL";
  const whose = `${name} has a table ${tracking.table} of another tool's, and dualdb remembers its own migrations under that name. Nothing was changed there.`;
  const next =
    "Give that tool's table another name there (Rails: config.active_record.schema_migrations_table_name; golang-migrate: x-migrations-table). All other commands of dualdb work without migrate, on databases that are no pair, and carry the table like any other.";
  return new DualDbError("MIGRATION_TABLE_TAKEN", `${whose} ${next}`, { side, table: tracking.table });
}

const selectTracked =
  "SELECT filename, checksum, success, applied_at, execution_time_ms, error_message FROM schema_migrations";

const allTracked = sql`${raw(selectTracked)} ORDER BY id`;

const definition: Record<Side, string> = {
  sqlite: `CREATE TABLE IF NOT EXISTS schema_migrations (
    id INTEGER PRIMARY KEY,
    filename TEXT NOT NULL UNIQUE,
    applied_at INTEGER NOT NULL,
    checksum TEXT NOT NULL,
    execution_time_ms INTEGER NOT NULL,
    success INTEGER NOT NULL,
    error_message TEXT
  )`,
  postgres: `CREATE TABLE IF NOT EXISTS schema_migrations (
    id INTEGER GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    filename TEXT NOT NULL UNIQUE,
    applied_at BIGINT NOT NULL,
    checksum TEXT NOT NULL,
    execution_time_ms INTEGER NOT NULL,
    success BOOLEAN NOT NULL,
    error_message TEXT
  )`,
};

function trackedOf(row: Row | ExactRow): TrackedMigration {
  return {
    filename: String(row.filename),
    checksum: String(row.checksum),
    success: Number(row.success) === 1,
    appliedAt: Number(row.applied_at),
    executionTimeMs: Number(row.execution_time_ms),
    error: row.error_message === null ? null : String(row.error_message),
  };
}
