import { Command, InvalidArgumentError, Option } from "commander";
import { type EpochChoices, epochChoices } from "../data/catalogue/discover.js";
import { DualDbError } from "../errors.js";
import type { ToolOptions } from "../migrate/options.js";
import { helpText } from "./help-text.js";
import { progressDisplay } from "./progress-display.js";
import { reporting } from "./reporting.js";
import { type Terminal, write } from "./terminal.js";

/** A command of the toolkit: a function, and how its result is shown. */
export interface Tool<Result extends object> {
  readonly name: string;
  readonly description: string;
  /** What `--json` promises, shown below the options. */
  readonly jsonHelp: string;
  /** Adds the options and arguments that only this command has; they come first in its help. */
  readonly configure?: (command: Command) => void;
  /** Options of the others that mean nothing here: they are understood, and not in the help. */
  readonly without?: readonly ("tables" | "epoch")[];
  /** Calls the function. `own` holds the parsed options of `configure`, and its arguments under `args`. */
  readonly run: (options: ToolOptions, own: OwnOptions, already: Already<Result>) => Promise<Result>;
  /** The result for a person, on standard output. Called with `--quiet` too: then only what is amiss is worth a line. */
  readonly print: (result: Result, terminal: Terminal, quiet: boolean) => void;
  /** 0: done and equal; 3: done, but something differs or was set aside. */
  readonly status: (result: Result) => 0 | 1 | 3;
}

/** Takes what is done before the end, so that it is told whatever comes: a person sees the line at once, the document has it at its end. */
export type Already<Result> = (part: Partial<Result>, line: string) => void;

export type OwnOptions = Readonly<Record<string, unknown>> & { readonly args: readonly string[] };

interface CommonOptions {
  readonly sqlite?: string;
  readonly pg?: string;
  readonly tables?: readonly string[];
  readonly epoch?: readonly string[];
  readonly json?: boolean;
  readonly quiet?: boolean;
}

/** The command with the options that all of the toolkit has; `finish` takes the exit status. */
export function toolCommand<Result extends object>(
  tool: Tool<Result>,
  terminal: Terminal,
  finish: (status: number) => void,
): Command {
  const command = new Command(tool.name).description(tool.description);
  tool.configure?.(command);
  const offered = (name: "tables" | "epoch", option: Option) => option.hideHelp(tool.without?.includes(name) ?? false);
  databaseOptions(command)
    .addOption(offered("tables", new Option("--tables <a,b>", "only these tables").argParser(namesOf)))
    .addOption(
      offered(
        "epoch",
        new Option(
          "--epoch <unit>",
          "SQLite's numbers for times count seconds or milliseconds; table.column=unit for one column, repeatable (default: MIGRATION_EPOCHS, else as the rows tell)",
        ).argParser((choice, before: readonly string[] = []) => [...before, choice]),
      ),
    )
    .option("--json", "write one JSON document to standard output")
    .option("--quiet", "no progress, and only what is amiss")
    .addHelpText("after", helpText(tool.jsonHelp));
  return command.action(async () => finish(await runTool(tool, command, terminal)));
}

/** The options that name the databases. */
export function databaseOptions(command: Command): Command {
  return command
    .option("--sqlite <path|url>", "the SQLite file or libSQL server (default: TURSO_DATABASE_URL or SQLITE_DB_PATH)")
    .option("--pg <url>", "the PostgreSQL database (default: DATABASE_URL and the like)");
}

async function runTool<Result extends object>(
  tool: Tool<Result>,
  command: Command,
  terminal: Terminal,
): Promise<number> {
  const { sqlite, pg, tables, epoch, json = false, quiet = false } = command.opts<CommonOptions>();
  const display = progressDisplay(terminal, quiet || json);
  return reporting(json, terminal, {} as Partial<Result>, async (document) => {
    const options: ToolOptions = {
      env: terminal.env,
      ...(sqlite === undefined ? {} : { sqlite }),
      ...(pg === undefined ? {} : { postgres: pg }),
      ...(tables === undefined ? {} : { tables }),
      ...(epoch === undefined ? {} : { epochs: epochsOf(epoch) }),
      signal: terminal.interruption(),
      onProgress: display.show,
    };
    const already: Already<Result> = (part, line) => {
      Object.assign(document, part);
      display.end();
      if (!json) write(terminal.stdout, terminal, "dim", line);
    };
    const own = { ...command.opts(), args: command.args };
    const running = tool.run(options, own, already).finally(display.end);
    const result = await running.catch((error: unknown) => {
      throw epoch === undefined ? error : namingEpoch(error);
    });
    Object.assign(document, result);
    if (!json) tool.print(result, terminal, quiet);
    return tool.status(result);
  });
}

function epochsOf(texts: readonly string[]): EpochChoices {
  const choices = epochChoices(texts);
  if (choices !== undefined) return choices;
  throw new DualDbError(
    "CONFIG_INVALID",
    "--epoch takes TABLE.COLUMN=seconds, TABLE.COLUMN=milliseconds, or one of the words for all columns.",
  );
}

/** What is wrong with a choice is wrong with the option. */
function namingEpoch(error: unknown): unknown {
  if (!(error instanceof DualDbError) || error.details.epochs === undefined) return error;
  const { code, message, side, details } = error;
  return new DualDbError(code, `--epoch: ${message}`, { side, details, cause: error });
}

function namesOf(text: string): readonly string[] {
  const names = text.split(",").map((name) => name.trim());
  if (names.some((name) => name === "")) throw new InvalidArgumentError("Give names of tables, separated by commas.");
  return names;
}
