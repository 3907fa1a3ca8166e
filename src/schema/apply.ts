import sql from "sql-template-tag";
import { quote } from "../data/table.js";
import { type Engine, type Side, statement, type Transaction } from "../engines/engine.js";
import { DualDbError, hasCode } from "../errors.js";
import { type MigrationFile, sideFolders } from "./files.js";
import { migrationLimitMs } from "./postgres-lock.js";
import { findTransactionControl, splitStatements } from "./statements.js";
import { isApplied, record } from "./tracking.js";
import { takeTurn } from "./turns.js";

/** A file that this run has applied. */
export interface AppliedMigration {
  readonly filename: string;
  readonly executionTimeMs: number;
}

export interface ApplyOptions {
  /** How long a statement may wait for a table that others use, in milliseconds. */
  readonly timeoutMs: number;
  /** Unix time in milliseconds. */
  readonly clock: () => number;
}

/** @throws MIGRATION_INVALID where a file begins or ends a transaction by itself, naming the line. */
export function refuseTransactionControl(file: MigrationFile, engine: Engine): void {
  const found = findTransactionControl(splitStatements(file.text, engine.side));
  if (found === undefined) return;
  throw new DualDbError(
    "MIGRATION_INVALID",
    `${file.filename} has ${found.words[0]} on line ${found.line}: each file runs in a transaction already. Remove it.`,
    { side: engine.side, details: { filename: file.filename, line: found.line } },
  );
}

/**
 * Applies one file, and remembers it in the same transaction; null where another run has done so meanwhile.
 * @throws MIGRATION_FAILED after remembering the failure, nothing else changed (unless the file asked for no transaction).
 */
export async function applyMigration(
  engine: Engine,
  file: MigrationFile,
  options: ApplyOptions,
): Promise<AppliedMigration | null> {
  const place = new Place();
  try {
    return file.directives.noTransaction
      ? await applyOneByOne(engine, file, options, place)
      : await applyWhole(engine, file, options, place);
  } catch (error) {
    if (hasCode(error, ...passing)) throw error;
    const { reason, failure } = failureOf(engine, file, place.line, error);
    await engine.write([record(file, options.clock(), place.elapsedMs(), reason)]);
    throw failure;
  }
}

/** Errors of the connection rather than of the file. */
const passing = [
  "DATABASE_UNAVAILABLE",
  "DATABASE_BUSY",
  "DATABASE_CLOSED",
  "DATABASE_UNUSABLE",
  "OUTCOME_UNKNOWN",
] as const;

/** How far a file has come. */
class Place {
  line: number | null = null;
  readonly #start = performance.now();

  elapsedMs(): number {
    return Math.round(performance.now() - this.#start);
  }
}

function applyWhole(engine: Engine, file: MigrationFile, options: ApplyOptions, place: Place) {
  return engine.transaction({ mode: "write", timeoutMs: migrationLimitMs }, async (transaction) => {
    if (await isApplied(transaction, file.filename)) return null;
    if (engine.side === "postgres") await transaction.script(lockTimeout(options.timeoutMs));
    for (const table of file.directives.dropTriggersNaming) await dropTriggersNaming(transaction, table);
    for (const statement of splitStatements(file.text, engine.side)) {
      place.line = statement.line;
      await transaction.script(statement.text);
    }
    place.line = null;
    const executionTimeMs = place.elapsedMs();
    await transaction.execute(record(file, options.clock(), executionTimeMs, null));
    return { filename: file.filename, executionTimeMs };
  });
}

/** A statement may take long, but must not queue for a table for long: everybody else queues behind it. 0 would mean no limit. */
function lockTimeout(timeoutMs: number): string {
  return `SET LOCAL lock_timeout = ${Math.max(1, Math.ceil(timeoutMs))}`;
}

/** Without a transaction nothing undoes the statements before one that fails: such a file must be able to run again. */
async function applyOneByOne(engine: Engine, file: MigrationFile, options: ApplyOptions, place: Place) {
  const isOurs = engine.side === "sqlite" ? await takeTurn(engine, file, options) : !(await wasApplied(engine, file));
  if (!isOurs) return null;
  for (const { text, line } of splitStatements(file.text, engine.side)) {
    place.line = line;
    await engine.write([statement(text)], { timeoutMs: migrationLimitMs });
  }
  place.line = null;
  const executionTimeMs = place.elapsedMs();
  await engine.write([record(file, options.clock(), executionTimeMs, null)]);
  return { filename: file.filename, executionTimeMs };
}

function wasApplied(engine: Engine, { filename }: MigrationFile): Promise<boolean> {
  return engine.transaction({ mode: "read" }, (transaction) => isApplied(transaction, filename));
}

/** An older schema may have called its triggers anything. */
async function dropTriggersNaming(transaction: Transaction, table: string): Promise<void> {
  const triggers = await transaction.query(sql`SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'`);
  const mention = new RegExp(`\\b${table}\\b`, "i");
  for (const { name, sql: text } of triggers) {
    if (mention.test(String(text))) await transaction.script(`DROP TRIGGER ${quote(String(name))}`);
  }
}

function failureOf(engine: Engine, file: MigrationFile, line: number | null, error: unknown) {
  const reason = `${line === null ? "" : `line ${line}: `}${reasonOf(error)}`;
  const failure = new DualDbError(
    "MIGRATION_FAILED",
    `${file.filename} failed on ${engine.side}, ${reason}. ${adviceFor(error, engine.side)} and run dualdb migrate again.`,
    { cause: error, side: engine.side, details: { filename: file.filename, line, ...detailsOf(error) } },
  );
  return { reason, failure };
}

/** Rows that are changed on the side that is not primary would be others than the primary's. */
function adviceFor(error: unknown, side: Side): string {
  if (!hasCode(error, "NOT_PRIMARY")) return "Correct the file";
  const others = sideFolders[side === "sqlite" ? "postgres" : "sqlite"];
  return `Rows are changed by the file in ${others} alone, and the mirror carries them over: take the statement out of ${sideFolders[side]}`;
}

/** The error's own words, but for advice that leads back here. */
function reasonOf(error: unknown): string {
  if (!(error instanceof DualDbError)) return "the statement failed";
  if (error.code !== "SCHEMA_MISSING" || (error.table ?? error.column) === undefined)
    return error.message.replace(/\.$/, "");
  return `there is no ${error.column === undefined ? `table ${error.table}` : `column ${error.column}`}`;
}

function detailsOf(error: unknown): Readonly<Record<string, unknown>> {
  return error instanceof DualDbError ? { reason: error.code, ...error.details } : {};
}
