import { existsSync } from "node:fs";
import { Command, Option } from "commander";
import { type Config, postgresVariables, readConfig, targetName } from "../config.js";
import type { Engine, Side } from "../engines/engine.js";
import { codes, DualDbError, type ErrorCode } from "../errors.js";
import { silentLogger } from "../logger.js";
import {
  createMigration,
  type ListedMigration,
  listMigrations,
  type MigrationReport,
  migrate,
} from "../schema/migrations.js";
import { type Colour, type Terminal, write } from "./terminal.js";

interface Options {
  readonly list?: boolean;
  readonly dryRun?: boolean;
  readonly only?: Side;
  readonly dir?: string;
  readonly allowUnknown?: boolean;
  readonly json?: boolean;
}

/** A side's part of the `--json` document. */
type SideResult = { readonly side: Side; readonly target: string } & (
  | Omit<MigrationReport, "side">
  | { readonly migrations: readonly ListedMigration[] }
);

/** `dualdb migrate`, and `dualdb migrate create`; `finish` takes the exit status. */
export function migrateCommand(terminal: Terminal, finish: (status: number) => void): Command {
  const command = new Command("migrate")
    .description("bring the schema of both databases up to date")
    .option("--list", "show every migration and its status; status 3 if one failed, was changed or is unknown")
    .option("--dry-run", "show what would be applied, and change nothing")
    .addOption(new Option("--only <side>", "leave the other database alone").choices(["sqlite", "postgres"]))
    .option("--dir <folder>", "your own migrations, in libsql/ and postgres/ (default: ./migrations where it exists)")
    .option("--allow-unknown", "go on although a database has migrations that are not among the files")
    .option("--json", "write one JSON document to standard output")
    .addHelpText("after", jsonHelp)
    .action(async (options: Options) => finish(await runMigrate(options, terminal)));
  const create = new Command("create")
    .argument("<name>", "a to z, 0 to 9 and underscores")
    .description("make an empty pair of migrations in your folder")
    .action((name: string) => runCreate(name, command.opts<Options>(), terminal));
  return command.addCommand(create);
}

const jsonHelp = `
The JSON document: { ok, sides: [{ side, target, … }], error?: { code, message, side, details } }.
A side has { applied: [{ filename, executionTimeMs }], pending: [filename], unknown: [filename], searchRebuilt };
with --list { migrations: [{ filename, status, appliedAt, executionTimeMs, error }] }, where status is applied,
pending, failed, changed or unknown, and times are Unix milliseconds.`;

async function runCreate(name: string, options: Options, terminal: Terminal): Promise<void> {
  const paths = await createMigration(options.dir ?? defaultFolder, name);
  if (options.json) terminal.stdout.write(`${JSON.stringify({ ok: true, paths })}\n`);
  else for (const path of paths) write(terminal.stdout, terminal, null, path);
}

async function runMigrate(options: Options, terminal: Terminal): Promise<number> {
  const done: SideResult[] = [];
  try {
    const config = readConfig(terminal.env);
    const sides = sidesOf(config, options);
    if (!options.json && options.only === undefined && config.postgres === null) {
      write(terminal.stdout, terminal, "dim", `PostgreSQL is left out: no variable names one (${postgresVariables})`);
    }
    await withEngines(config, sides, options, async (engines) => {
      for (const { side, engine } of engines) {
        const result = { side, target: targetOf(config, side), ...(await visit(side, engine, config, options)) };
        done.push(result);
        if (!options.json) print(result, terminal);
      }
      // Here both databases have their schema, and both engines are open: where both sides were migrated, this is where they are armed.
    });
    if (options.json) terminal.stdout.write(`${JSON.stringify({ ok: true, sides: done })}\n`);
    return done.some(isAmiss) ? 3 : 0;
  } catch (error) {
    if (!options.json || !(error instanceof DualDbError)) throw error;
    const { code, message, side, details } = error;
    terminal.stdout.write(`${JSON.stringify({ ok: false, sides: done, error: { code, message, side, details } })}\n`);
    return codes[code].exit;
  }
}

const defaultFolder = "migrations";

function sidesOf(config: Config, { only }: Options): Side[] {
  if (only === "postgres" && config.postgres === null) {
    const code: ErrorCode = "CONFIG_INVALID";
    throw new DualDbError(code, `--only postgres, but no PostgreSQL is named: set ${postgresVariables}`);
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
  return openLibsql({ config: config.sqlite, logger: silentLogger });
}

async function visit(side: Side, engine: Engine | null, config: Config, options: Options) {
  const folders = foldersOf(options);
  if (options.list) return { migrations: await listMigrations(side, engine, folders) };
  if (engine === null) return nothingYet(await listMigrations(side, null, folders));
  const { dryRun = false, allowUnknown = false } = options;
  const timeoutMs = config.migrationTimeoutMs;
  const report = await migrate({ engine, folders, timeoutMs, logger: silentLogger, dryRun, allowUnknown });
  return report;
}

function foldersOf({ dir }: Options): string[] {
  if (dir !== undefined) return [dir];
  return existsSync(defaultFolder) ? [defaultFolder] : [];
}

function nothingYet(migrations: readonly ListedMigration[]) {
  return { applied: [], pending: migrations.map(({ filename }) => filename), unknown: [], searchRebuilt: false };
}

function isAmiss(result: SideResult): boolean {
  return "migrations" in result && result.migrations.some(({ status }) => status !== "applied" && status !== "pending");
}

const colours = { applied: "green", pending: "yellow", failed: "red", changed: "red", unknown: "red" } as const;

function print(result: SideResult, terminal: Terminal): void {
  const line = (colour: Colour | null, text: string) => write(terminal.stdout, terminal, colour, text);
  line("bold", `${result.side}  ${result.target}`);
  if ("migrations" in result) {
    for (const { filename, status, error } of result.migrations) {
      line(colours[status], `  ${status.padEnd(8)} ${filename}${error === null ? "" : `  ${error}`}`);
    }
    return;
  }
  for (const { filename, executionTimeMs } of result.applied)
    line("green", `  applied  ${filename}  ${executionTimeMs} ms`);
  for (const filename of result.pending) line("yellow", `  pending  ${filename}`);
  for (const filename of result.unknown) line("yellow", `  unknown  ${filename}`);
  if (result.searchRebuilt) line("yellow", "  full-text index rebuilt: it belonged to other rows");
  if (result.applied.length + result.pending.length === 0) line("dim", "  up to date");
}
