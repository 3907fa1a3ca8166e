import { Command } from "commander";
import { packageVersion } from "../migrate/manifest.js";
import { copyCommand } from "./copy.js";
import { doctorCommand } from "./doctor.js";
import { exportCommand } from "./export.js";
import { finalizeCommand } from "./finalize.js";
import { importCommand } from "./import.js";
import { migrateCommand } from "./migrate.js";
import { rearmCommand } from "./rearm.js";
import { repairCommand } from "./repair.js";
import { statusCommand } from "./status.js";
import type { Terminal } from "./terminal.js";
import { statusOfFailure, withoutPasswords } from "./usage.js";
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
  rearmCommand,
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
  for (const command of [...program.commands, ...program.commands.flatMap(({ commands }) => commands)])
    command.copyInheritedSettings(program);
  try {
    await program.parseAsync(args, { from: "user" });
    return status;
  } catch (error) {
    return statusOfFailure(error, args, terminal);
  }
}

function newProgram(terminal: Terminal): Command {
  return new Command("dualdb")
    .description("Move an application from SQLite to PostgreSQL while it runs.")
    .version(version)
    .showHelpAfterError("Run dualdb --help for the commands and options.")
    .configureHelp({ helpWidth: terminal.stdout.columns ?? 80, minWidthToWrap: 20 })
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.stdout.write(text),
      writeErr: (text) => terminal.stderr.write(withoutPasswords(text)),
    });
}

const version = packageVersion();
