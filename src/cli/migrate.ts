import { existsSync } from "node:fs";
import { join } from "node:path";
import { Command, Option } from "commander";
import { type Config, postgresVariables, targetName } from "../config.js";
import type { Engine, Side } from "../engines/engine.js";
import { DualDbError } from "../errors.js";
import { silentLogger } from "../logger.js";
import { configFor } from "../migrate/databases.js";
import { sideFolders } from "../schema/files.js";
import { createMigration, type ListedMigration, listMigrations, migrate } from "../schema/migrations.js";
import { arm } from "../shadow/arm.js";
import { readPostgresState } from "../shadow/state.js";
import { helpText } from "./help-text.js";
import { isAmiss, jsonHelp, print, printArmed, type SideResult } from "./migrate-report.js";
import { reporting } from "./reporting.js";
import { type Terminal, write } from "./terminal.js";
import { databaseOptions } from "./tool.js";

interface Options {
  readonly sqlite?: string;
  readonly pg?: string;
  readonly list?: boolean;
  readonly dryRun?: boolean;
  readonly only?: Side;
  readonly dir?: string;
  readonly allowUnknown?: boolean;
  readonly json?: boolean;
}

/** `dualdb migrate`, and `dualdb migrate create`; `finish` takes the exit status. */
export function migrateCommand(terminal: Terminal, finish: (status: number) => void): Command {
  const command = new Command("migrate")
    .description("bring the schema of both databases up to date")
    .option("--list", "show every migration and its status; status 3 if one failed, was changed or is unknown")
    .option("--dry-run", "show what would be applied, and change nothing")
    .addOption(new Option("--only <side>", "leave the other database alone").choices(["sqlite", "postgres"]))
    .option("--dir <folder>", "your own migrations, in libsql/ and postgres/ (default: ./migrations where it exists)")
    .option("--allow-unknown", "go on although a database has migrations that are not among the files");
  databaseOptions(command)
    .option("--json", "write one JSON document to standard output")
    .addHelpText("after", helpText(jsonHelp))
    .action(async (options: Options) => finish(await runMigrate(options, terminal)));
  const create = new Command("create")
    .argument("<name>", "a to z, 0 to 9 and underscores")
    .description("make an empty pair of migrations in your folder")
    .action(async (name: string) => finish(await runCreate(name, command.opts<Options>(), terminal)));
  return command.addCommand(create);
}

async function runCreate(name: string, options: Options, terminal: Terminal): Promise<number> {
  return reporting(options.json, terminal, { paths: [] as string[] }, async (result) => {
    result.paths.push(...(await createMigration(options.dir ?? defaultFolder, name)));
    if (!options.json) for (const path of result.paths) write(terminal.stdout, terminal, null, path);
    return 0;
  });
}

async function runMigrate(options: Options, terminal: Terminal): Promise<number> {
  return reporting(
    options.json,
    terminal,
    { sides: [] as SideResult[], armed: [] as string[] },
    async ({ sides, armed }) => {
      const config = configOf(options, terminal);
      const isAlone = await isFinalized(config, options);
      if (!options.json) sayWhatIsLeftOut(config, options, isAlone, terminal);
      await withEngines(config, isAlone ? ["postgres"] : sidesOf(config, options), options, async (engines) => {
        for (const { side, engine } of engines) {
          const result = { side, target: targetOf(config, side), ...(await visit(side, engine, config, options)) };
          sides.push(result);
          if (!options.json) print(result, terminal);
        }
        armed.push(...(await armBoth(engines, options)));
        if (!options.json) printArmed(armed, terminal);
      });
      return sides.some(isAmiss) ? 3 : 0;
    },
  );
}

function configOf({ sqlite, pg }: Options, { env }: Terminal): Config {
  return configFor({
    env,
    ...(sqlite === undefined ? {} : { sqlite }),
    ...(pg === undefined ? {} : { postgres: pg }),
  });
}

/** With both schemas up to date the databases become a pair: what is written from now on is journaled. */
async function armBoth(engines: readonly OpenSide[], { list, dryRun }: Options): Promise<readonly string[]> {
  const sqlite = engines.find(({ side }) => side === "sqlite")?.engine ?? null;
  const postgres = engines.find(({ side }) => side === "postgres")?.engine ?? null;
  if (list || dryRun || sqlite === null || postgres === null) return [];
  return (await arm(sqlite, postgres, Date.now)).armed;
}

function sayWhatIsLeftOut({ postgres }: Config, { only }: Options, isAlone: boolean, terminal: Terminal): void {
  if (isAlone) write(terminal.stdout, terminal, "dim", "SQLite is left out: the pair was finalized");
  if (postgres !== null || only !== undefined) return;
  write(terminal.stdout, terminal, "dim", `PostgreSQL is left out: no variable names one (${postgresVariables})`);
}

/** Whether PostgreSQL goes on alone, so that SQLite is never opened again. */
async function isFinalized(config: Config, { only }: Options): Promise<boolean> {
  if (config.postgres === null || only === "sqlite") return false;
  const { openPostgres } = await import("../engines/postgres.js");
  const engine = openPostgres({ config: config.postgres, logger: silentLogger });
  try {
    return (await engine.transaction({ mode: "read", timeoutMs: stateTimeoutMs }, readPostgresState)).finalized;
  } catch (error) {
    // Not migrated yet, or what migrating will say itself.
    if (error instanceof DualDbError) return false;
    throw error;
  } finally {
    await engine.close();
  }
}

const stateTimeoutMs = 5_000;
const defaultFolder = "migrations";

function sidesOf(config: Config, { only }: Options): Side[] {
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

async function withEngines(
  config: Config,
  sides: readonly Side[],
  options: Options,
  work: (engines: readonly OpenSide[]) => Promise<void>,
): Promise<void> {
  const open: OpenSide[] = [];
  try {
    for (const side of sides) open.push({ side, engine: await openSide(config, side, options) });
    await work(open);
  } finally {
    for (const { engine } of open) await engine?.close();
  }
}

/** The drivers are loaded for the sides that are visited only. */
async function openSide(config: Config, side: Side, { list, dryRun }: Options): Promise<Engine | null> {
  if (side === "postgres") {
    if (config.postgres === null) return null;
    const { openPostgres } = await import("../engines/postgres.js");
    return openPostgres({ config: config.postgres, logger: silentLogger });
  }
  const { file } = config.sqlite;
  if ((list || dryRun) && file !== null && !existsSync(file)) return null;
  const { openLibsql } = await import("../engines/libsql.js");
  const onlyRead = list === true || dryRun === true;
  return openLibsql({ config: config.sqlite, logger: silentLogger, busyLimitMs: config.migrationTimeoutMs, onlyRead });
}

async function visit(side: Side, engine: Engine | null, config: Config, options: Options) {
  const folders = foldersOf(options);
  if (options.list) return { migrations: await listMigrations(side, engine, folders) };
  if (engine === null) return nothingYet(await listMigrations(side, null, folders));
  const { dryRun = false, allowUnknown = false } = options;
  const timeoutMs = config.migrationTimeoutMs;
  return migrate({ engine, folders, timeoutMs, logger: silentLogger, dryRun, allowUnknown });
}

/** A ./migrations without a folder for a side is another tool's. */
function foldersOf({ dir }: Options): string[] {
  if (dir !== undefined) return [dir];
  const isOurs = Object.values(sideFolders).some((folder) => existsSync(join(defaultFolder, folder)));
  return isOurs ? [defaultFolder] : [];
}

function nothingYet(migrations: readonly ListedMigration[]) {
  return { applied: [], pending: migrations.map(({ filename }) => filename), unknown: [], searchRebuilt: false };
}
