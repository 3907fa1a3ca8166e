import sql from "sql-template-tag";
import type { Engine, ExactRow, Row, Side, Statement, Transaction } from "../engines/engine.js";
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

/** What the database remembers, in the order in which it happened; nothing where it has never been migrated. */
export async function readTracked(engine: Engine): Promise<TrackedMigration[]> {
  const [table] = await engine.read(tableExists);
  if (!table?.found) return [];
  return (await engine.read(allTracked)).map(trackedOf);
}

/** Creates schema_migrations where it is missing. */
export async function createTracking(engine: Engine): Promise<void> {
  const [table] = await engine.read(tableExists);
  if (!table?.found)
    await engine.transaction({ mode: "write" }, (transaction) => transaction.script(definition[engine.side]));
}

/** Whether that file has been applied, as of now, inside this transaction. */
export async function isApplied(transaction: Transaction, filename: string): Promise<boolean> {
  const rows = await transaction.query(sql`SELECT success FROM schema_migrations WHERE filename = ${filename}`);
  return rows.some((row) => Number(row.success) === 1);
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

const tableExists: Statement = {
  sql: "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migrations') AS found",
  text: "SELECT to_regclass('schema_migrations') IS NOT NULL AS found",
  values: [],
};

const allTracked = sql`
  SELECT filename, checksum, success, applied_at, execution_time_ms, error_message FROM schema_migrations ORDER BY id`;

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
