import { Command, Option } from "commander";
import { postgresVariables } from "../config.js";
import type { Side } from "../engines/engine.js";
import { configFor } from "../migrate/databases.js";
import { defaultFolder, type ListOptions, listMigrations, migrate } from "../migrate/migrate.js";
import { createMigration } from "../schema/migrations.js";
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
  const { json, list, dryRun, allowUnknown } = options;
  const document = { sides: [] as SideResult[], armed: [] as string[], finalized: false };
  return reporting(json, terminal, document, async (result) => {
    const wanted = functionOptions(options, terminal);
    const onSide = (side: SideResult) => {
      result.sides.push(side);
      if (!json) print(side, terminal);
    };
    if (!json) sayWhatIsNotNamed(wanted, terminal);
    if (list) {
      const { sides, finalized } = await listMigrations(wanted);
      for (const side of sides) onSide(side);
      result.finalized = finalized;
    } else {
      const { armed, finalized } = await migrate({ ...wanted, dryRun, allowUnknown, onSide });
      result.armed.push(...armed);
      result.finalized = finalized;
    }
    if (!json) printArmed(result.armed, terminal);
    if (!json && result.finalized)
      write(terminal.stdout, terminal, "dim", "SQLite is left out: the pair was finalized");
    return result.sides.some(isAmiss) ? 3 : 0;
  });
}

function functionOptions({ sqlite, pg, only, dir }: Options, { env }: Terminal): ListOptions {
  return { env, sqlite, postgres: pg, only, dir };
}

function sayWhatIsNotNamed(options: ListOptions, terminal: Terminal): void {
  if (options.only !== undefined || configFor(options).postgres !== null) return;
  write(terminal.stdout, terminal, "dim", `PostgreSQL is left out: no variable names one (${postgresVariables})`);
}
