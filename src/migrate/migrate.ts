import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Config, postgresVariables, targetName } from "../config.js";
import type { Engine, Side } from "../engines/engine.js";
import { DualDbError } from "../errors.js";
import { silentLogger } from "../logger.js";
import { sideFolders } from "../schema/files.js";
import {
  type ListedMigration,
  listMigrations as listSide,
  type MigrationReport,
  migrate as migrateSide,
} from "../schema/migrations.js";
import { arm } from "../shadow/arm.js";
import { mismatchOf } from "../shadow/mismatch.js";
import { bereftPartner, isNewFile, isNewOnServer, partnerOfAnother } from "../shadow/new-database.js";
import { configFor, openEngine, withEngine, wordOf, wordsOf } from "./databases.js";
import type { ToolOptions } from "./options.js";

/** Which migrations, and of which databases. All of it is optional. */
export interface ListOptions extends Pick<ToolOptions, "env" | "sqlite" | "postgres" | "logger"> {
  /** The one database that is meant; by default both, or SQLite alone where no variable names a PostgreSQL. */
  readonly only?: Side | undefined;
  /** Your own migrations, in `libsql/` and `postgres/`; by default ./migrations, where it has one of the two. */
  readonly dir?: string | undefined;
}

export interface MigrateOptions extends ListOptions, Pick<ToolOptions, "clock"> {
  /** Look, but change nothing. */
  readonly dryRun?: boolean | undefined;
  /** Go on although a database has migrations that are not among the files. */
  readonly allowUnknown?: boolean | undefined;
  /** Told of each side once it is up to date, also where the other one fails afterwards. It must not throw. */
  readonly onSide?: ((side: MigratedSide) => void) | undefined;
}

/** One side, brought up to date. */
export interface MigratedSide extends MigrationReport {
  /** The database as a person may read it: no password, no token. */
  readonly target: string;
}

/** One side's migrations, with their status. */
export interface ListedSide {
  readonly side: Side;
  /** The database as a person may read it: no password, no token. */
  readonly target: string;
  readonly migrations: readonly ListedMigration[];
}

export interface MigrateReport {
  readonly sides: readonly MigratedSide[];
  /** Tables that have got their triggers now, and whose rows are owed to the other side. */
  readonly armed: readonly string[];
  /** Whether PostgreSQL goes on alone, for good: then SQLite is left out. */
  readonly finalized: boolean;
}

export interface MigrationList {
  readonly sides: readonly ListedSide[];
  /** Whether PostgreSQL goes on alone, for good: then SQLite is left out. */
  readonly finalized: boolean;
}

/** Where a user's own migrations are looked for. */
export const defaultFolder = "migrations";
const glanceMs = 5_000;

/**
 * Brings the schema of both databases up to date, forward only, and makes them a pair: what is written from then on is journaled. Any number
 * of runs may start at once; the same again goes on where it ended.
 * @throws PAIR_MISMATCH where one of them has another partner: nothing has been made or changed then.
 * @throws CONFIG_INVALID, DATABASE_UNAVAILABLE, MIGRATION_INVALID, MIGRATION_CHANGED, MIGRATION_UNKNOWN, MIGRATION_LOCKED, MIGRATION_FAILED
 */
export async function migrate(options: MigrateOptions = {}): Promise<MigrateReport> {
  const config = configFor(options);
  const finalized = await isFinalized(config, options);
  const sides = finalized ? (["postgres"] as const) : sidesOf(config, options);
  if (sides.includes("sqlite")) await assertPartners(config, options);
  const { dryRun = false, onSide, clock = Date.now } = options;
  return withEngines(config, sides, options, dryRun, async (engines) => {
    const migrated: MigratedSide[] = [];
    for (const { side, engine } of engines) {
      const report = { target: targetOf(config, side), ...(await bringUpToDate(side, engine, config, options)) };
      migrated.push(report);
      onSide?.(report);
    }
    const armed = dryRun ? [] : await armBoth(engines, clock);
    return { sides: migrated, armed, finalized };
  });
}

/**
 * Every migration that the files or the databases know, with its status. Changes nothing.
 * @throws CONFIG_INVALID, DATABASE_UNAVAILABLE, MIGRATION_INVALID
 */
export async function listMigrations(options: ListOptions = {}): Promise<MigrationList> {
  const config = configFor(options);
  const finalized = await isFinalized(config, options);
  const sides = finalized ? (["postgres"] as const) : sidesOf(config, options);
  return withEngines(config, sides, options, true, async (engines) => {
    const listed: ListedSide[] = [];
    for (const { side, engine } of engines) {
      const migrations = await listSide(side, engine, foldersOf(options));
      listed.push({ side, target: targetOf(config, side), migrations });
    }
    return { sides: listed, finalized };
  });
}

/** Whether PostgreSQL goes on alone, so that SQLite is never opened again. */
async function isFinalized(config: Config, options: ListOptions): Promise<boolean> {
  if (config.postgres === null || options.only === "sqlite") return false;
  try {
    const state = await withEngine("postgres", config, options, (postgres) => wordOf(postgres, glanceMs));
    return state?.finalized === true;
  } catch (error) {
    // Whoever works with it says what is wrong.
    if (error instanceof DualDbError) return false;
    throw error;
  }
}

/** Before anything is made or changed: that would have to be undone by hand. */
async function assertPartners(config: Config, options: ListOptions): Promise<void> {
  const { sqlite, postgres } = config;
  if (postgres === null) return;
  await withEngine("postgres", config, options, async (right) => {
    const assertNotNew = async (isNew: () => Promise<boolean>) => {
      if ((await bereftPartner(sqlite, isNew, () => wordOf(right, config.migrationTimeoutMs))) !== null)
        throw partnerOfAnother(sqlite);
    };
    if (await isNewFile(sqlite)) return assertNotNew(() => isNewFile(sqlite));
    await withEngine("sqlite", config, { ...options, onlyRead: true }, async (left) => {
      await assertNotNew(() => isNewOnServer(sqlite, left));
      if (options.only === undefined) await assertNoStrangers(left, right);
    });
  });
}

/** A change of the primary between the looks at the two can make partners look like strangers, but not twice. */
async function assertNoStrangers(sqlite: Engine, postgres: Engine): Promise<void> {
  if (mismatchOf(await wordsOf(sqlite, postgres)) === null) return;
  const mismatch = mismatchOf(await wordsOf(sqlite, postgres));
  if (mismatch !== null) throw mismatch;
}

function sidesOf(config: Config, { only }: ListOptions): readonly Side[] {
  if (only === "postgres" && config.postgres === null) {
    throw new DualDbError("CONFIG_INVALID", `--only postgres, but no PostgreSQL is named: set ${postgresVariables}`);
  }
  if (only !== undefined) return [only];
  return config.postgres === null ? ["sqlite"] : ["sqlite", "postgres"];
}

function targetOf(config: Config, side: Side): string {
  return targetName(side === "postgres" && config.postgres !== null ? config.postgres : config.sqlite);
}

interface OpenSide {
  readonly side: Side;
  /** null for a SQLite file that does not exist, where nothing may be changed. */
  readonly engine: Engine | null;
}

/** The drivers are loaded for the sides that are visited only. */
async function withEngines<T>(
  config: Config,
  sides: readonly Side[],
  options: ListOptions,
  onlyRead: boolean,
  work: (engines: readonly OpenSide[]) => Promise<T>,
): Promise<T> {
  const open: OpenSide[] = [];
  try {
    for (const side of sides) {
      const isNone = onlyRead && side === "sqlite" && (await isNewFile(config.sqlite));
      const opening = { ...options, onlyRead, createFile: !onlyRead };
      open.push({ side, engine: isNone ? null : await openEngine(side, config, opening) });
    }
    return await work(open);
  } finally {
    for (const { engine } of open) await engine?.close();
  }
}

async function bringUpToDate(
  side: Side,
  engine: Engine | null,
  config: Config,
  options: MigrateOptions,
): Promise<MigrationReport> {
  const folders = foldersOf(options);
  const { dryRun = false, allowUnknown = false, logger = silentLogger, clock = Date.now } = options;
  if (engine === null) return nothingYet(side, await listSide(side, null, folders));
  const timeoutMs = config.migrationTimeoutMs;
  return migrateSide({ engine, folders, timeoutMs, logger, dryRun, allowUnknown, clock });
}

/** A ./migrations without a folder for a side is another tool's. */
function foldersOf({ dir }: ListOptions): string[] {
  if (dir !== undefined) return [dir];
  const isOurs = Object.values(sideFolders).some((folder) => existsSync(join(defaultFolder, folder)));
  return isOurs ? [defaultFolder] : [];
}

function nothingYet(side: Side, migrations: readonly ListedMigration[]): MigrationReport {
  return { side, applied: [], pending: migrations.map(({ filename }) => filename), unknown: [], searchRebuilt: false };
}

async function armBoth(engines: readonly OpenSide[], clock: () => number): Promise<readonly string[]> {
  const engineOf = (wanted: Side) => engines.find(({ side }) => side === wanted)?.engine ?? null;
  const [sqlite, postgres] = [engineOf("sqlite"), engineOf("postgres")];
  return sqlite === null || postgres === null ? [] : (await arm(sqlite, postgres, clock)).armed;
}
