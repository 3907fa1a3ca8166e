import { setTimeout as delay } from "node:timers/promises";
import type { Engine, Side } from "../engines/engine.js";
import { DualDbError, type ErrorCode, hasCode } from "../errors.js";
import type { Logger } from "../logger.js";
import { type AppliedMigration, type ApplyOptions, applyMigration, refuseTransactionControl } from "./apply.js";
import { type MigrationFile, readMigrations } from "./files.js";
import { compare, isPending, type ListedMigration, named, names } from "./listing.js";
import { withMigrationLock } from "./postgres-lock.js";
import { rebuildStaleSearch } from "./search-index.js";
import { createTracking, readTracked } from "./tracking.js";

export type { AppliedMigration } from "./apply.js";
export { createMigration } from "./files.js";
export type { FileStatus, ListedMigration } from "./listing.js";

export interface MigrateOptions {
  readonly engine: Engine;
  /** The user's own folders, each with `libsql/` and `postgres/`; the package's own files always come first. */
  readonly folders?: readonly string[];
  /** How long to wait for another run, and for tables that others use, in milliseconds. */
  readonly timeoutMs: number;
  readonly logger: Logger;
  /** Look, but change nothing. */
  readonly dryRun?: boolean;
  /** Go on although the database has migrations that are not among the files. */
  readonly allowUnknown?: boolean;
  /** Unix time in milliseconds. */
  readonly clock?: () => number;
}

export interface MigrationReport {
  readonly side: Side;
  readonly applied: readonly AppliedMigration[];
  /** Files that a dry run would have applied. */
  readonly pending: readonly string[];
  /** Migrations that the database has and the files have not. */
  readonly unknown: readonly string[];
  /** Whether the full-text index of SQLite did not belong to its rows any more, and was made anew. */
  readonly searchRebuilt: boolean;
}

/**
 * Brings one database up to date, forward only; any number of runs may start at once.
 * @throws MIGRATION_INVALID, MIGRATION_CHANGED, MIGRATION_UNKNOWN, MIGRATION_TABLE_TAKEN, MIGRATION_LOCKED, MIGRATION_FAILED
 */
export async function migrate(options: MigrateOptions): Promise<MigrationReport> {
  const { engine, logger, dryRun = false } = options;
  const files = await readMigrations(options.folders ?? [], engine.side);
  const listed = compare(files, await readTracked(engine));
  refuse(listed, engine.side, options.allowUnknown ?? false);
  const wanted = files.filter(({ filename }) => isPending(listed, filename));
  for (const file of wanted) refuseTransactionControl(file, engine);
  const applied = dryRun || wanted.length === 0 ? [] : await applyAll(wanted, options);
  const searchRebuilt = !dryRun && engine.side === "sqlite" && (await rebuildStaleSearch(engine));
  if (searchRebuilt) logger.warn({ event: "search-rebuilt", table: "messages_fts" }, "full-text index rebuilt");
  return {
    side: engine.side,
    applied,
    pending: dryRun ? names(wanted) : [],
    unknown: named(listed, "unknown"),
    searchRebuilt,
  };
}

/** Every migration that the files or the database know, with its status; `engine` is null for a database that does not exist yet. */
export async function listMigrations(
  side: Side,
  engine: Engine | null,
  folders: readonly string[] = [],
): Promise<ListedMigration[]> {
  return compare(await readMigrations(folders, side), engine === null ? [] : await readTracked(engine));
}

/** What the package's own migrations lack in a database, by file name. Cheap: at most two reads. `unknown` may be the user's own. */
export async function checkMigrations(
  engine: Engine,
): Promise<{ readonly pending: string[]; readonly unknown: string[]; readonly changed: string[] }> {
  const listed = await listMigrations(engine.side, engine);
  const pending = [...named(listed, "pending"), ...named(listed, "failed")];
  return { pending, unknown: named(listed, "unknown"), changed: named(listed, "changed") };
}

/** @throws SCHEMA_MISSING, naming the command, unless the package's own migrations have all been applied as they are. */
export async function requireSchema(engine: Engine): Promise<void> {
  const { pending, changed } = await checkMigrations(engine);
  if (pending.length + changed.length === 0) return;
  const lacks = pending.length > 0 ? `lacks ${pending.join(", ")}` : `has another version of ${changed.join(", ")}`;
  throw new DualDbError("SCHEMA_MISSING", `The schema of ${engine.side} ${lacks}. Run: npx dualdb migrate`, {
    side: engine.side,
    details: { pending, changed },
  });
}

function refuse(listed: readonly ListedMigration[], side: Side, allowUnknown: boolean): void {
  const changed = named(listed, "changed");
  const unknown = named(listed, "unknown");
  if (changed.length > 0) {
    const advice = "Restore the file as it was applied, and put the change into a new migration.";
    throw refusal("MIGRATION_CHANGED", side, changed, `has been applied to ${side} with another content. ${advice}`);
  }
  if (unknown.length > 0 && !allowUnknown) {
    const advice = "Name their folder with --dir, install the version that made them, or pass --allow-unknown.";
    throw refusal(
      "MIGRATION_UNKNOWN",
      side,
      unknown,
      `has been applied to ${side} and is not among the files. ${advice}`,
    );
  }
}

function refusal(code: ErrorCode, side: Side, filenames: readonly string[], what: string): DualDbError {
  return new DualDbError(code, `${filenames.join(", ")} ${what}`, { side, details: { filenames } });
}

async function applyAll(files: readonly MigrationFile[], options: MigrateOptions): Promise<AppliedMigration[]> {
  const { engine, timeoutMs } = options;
  if (engine.side === "sqlite") return applyInOrder(files, options, async () => {});
  return withMigrationLock(engine, timeoutMs, (assertHeld) => applyInOrder(files, options, assertHeld));
}

async function applyInOrder(
  files: readonly MigrationFile[],
  { engine, timeoutMs, logger, clock = Date.now }: MigrateOptions,
  assertHeld: () => Promise<void>,
): Promise<AppliedMigration[]> {
  const applied: AppliedMigration[] = [];
  await patiently(engine, timeoutMs, () => createTracking(engine));
  for (const file of files) {
    await assertHeld();
    const done = await patiently(engine, timeoutMs, () => applyMigration(engine, file, applyOptions(timeoutMs, clock)));
    if (done === null) continue;
    applied.push(done);
    logger.info({ event: "migration-applied", side: engine.side, ...done }, "migration applied");
  }
  return applied;
}

function applyOptions(timeoutMs: number, clock: () => number): ApplyOptions {
  return { timeoutMs, clock };
}

/** On SQLite the write lock is what keeps runs apart: whoever waits for it waits for another run. */
async function patiently<T>(engine: Engine, timeoutMs: number, work: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (engine.side !== "sqlite" || !hasCode(error, "DATABASE_BUSY")) throw error;
      if (performance.now() >= deadline) throw busy(timeoutMs, error);
    }
    await delay(25 + Math.random() * 50);
  }
}

function busy(timeoutMs: number, cause: unknown): DualDbError {
  const message = `The SQLite file has been locked for ${timeoutMs} ms. Wait for the other writer, or raise MIGRATION_TIMEOUT.`;
  return new DualDbError("MIGRATION_LOCKED", message, { side: "sqlite", cause });
}
