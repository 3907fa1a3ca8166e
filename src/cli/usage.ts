import { CommanderError } from "commander";
import { codes, DualDbError } from "../errors.js";
import { reporting } from "./reporting.js";
import { type Terminal, write } from "./terminal.js";

/** The exit status of a command line that has failed. The person is told here, or by commander; a program gets its document. */
export async function statusOfFailure(error: unknown, args: readonly string[], terminal: Terminal): Promise<number> {
  if (error instanceof CommanderError) return statusOfUsage(error, args, terminal);
  if (!(error instanceof DualDbError)) throw error;
  for (const line of `${error.code}: ${error.message}`.split("\n")) write(terminal.stderr, terminal, "red", line, 2);
  return codes[error.code].exit;
}

/** A command line is repeated in messages, and may hold a URL. */
export function withoutPasswords(text: string): string {
  return text.replace(/(:\/\/[^\s/@:]*):\S*@/g, "$1@").replace(/\b(password=)[^\s&'"]*/gi, "$1");
}

/** commander has written its own message already. */
async function statusOfUsage(error: CommanderError, args: readonly string[], terminal: Terminal): Promise<number> {
  if (error.exitCode === 0) return 0;
  if (!args.includes("--json")) return codes.CONFIG_INVALID.exit;
  const message = withoutPasswords(error.message.replace(/^error: /, ""));
  const ended = message.endsWith(".") ? message : `${message}.`;
  const failure = new DualDbError("CONFIG_INVALID", `${ended} Run dualdb --help for the commands and options.`);
  return reporting(true, terminal, {}, () => Promise.reject(failure));
}
