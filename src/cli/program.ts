import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { codes, DualDbError } from "../errors.js";
import { copyCommand } from "./copy.js";
import { doctorCommand } from "./doctor.js";
import { exportCommand } from "./export.js";
import { finalizeCommand } from "./finalize.js";
import { importCommand } from "./import.js";
import { migrateCommand } from "./migrate.js";
import { repairCommand } from "./repair.js";
import { statusCommand } from "./status.js";
import { type Terminal, write } from "./terminal.js";
import { verifyCommand } from "./verify.js";

/** In the order of the help. */
const commands = [
  migrateCommand,
  doctorCommand,
  copyCommand,
  exportCommand,
  importCommand,
  verifyCommand,
  repairCommand,
  statusCommand,
  finalizeCommand,
];

/**
 * The command line: parses the arguments, calls a command, resolves to the exit status. 0: done. 1: could not tell or could not do it.
 * 2: wrong usage or configuration. 3: done, but something differs or was set aside. 130: interrupted.
 */
export async function run(args: readonly string[], terminal: Terminal): Promise<number> {
  let status = 0;
  const program = newProgram(terminal);
  for (const make of commands) {
    program.addCommand(
      make(terminal, (result) => {
        status = result;
      }),
    );
  }
  for (const command of [program, ...program.commands, ...program.commands.flatMap(({ commands }) => commands)]) {
    command.exitOverride().configureOutput({
      writeOut: (text) => terminal.stdout.write(text),
      writeErr: (text) => terminal.stderr.write(text),
    });
  }
  try {
    await program.parseAsync(args, { from: "user" });
    return status;
  } catch (error) {
    return statusOf(error, terminal);
  }
}

function newProgram(terminal: Terminal): Command {
  return new Command("dualdb")
    .description("Move an application from SQLite to PostgreSQL while it runs.")
    .version(version())
    .showHelpAfterError("Run dualdb --help for the commands and options.")
    .configureHelp({ helpWidth: terminal.stdout.columns ?? 80 });
}

function version(): string {
  const file = new URL("../../package.json", import.meta.url);
  const { version }: { version: string } = JSON.parse(readFileSync(file, "utf8"));
  return version;
}

/** commander has written its own messages already. */
function statusOf(error: unknown, terminal: Terminal): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : codes.CONFIG_INVALID.exit;
  if (!(error instanceof DualDbError)) throw error;
  write(terminal.stderr, terminal, "red", `${error.code}: ${error.message}`);
  return codes[error.code].exit;
}
