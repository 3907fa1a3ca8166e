import { DualDbError } from "../errors.js";
import { type Terminal, write } from "./terminal.js";

/** What somebody has to type before something is done that cannot be taken back. */
export interface Confirmed {
  /** The name that `--confirm` gave. */
  readonly given: unknown;
  /** What stands before the question. */
  readonly warning: string;
  /** What is to be typed, in words: `the name of the PostgreSQL database`. */
  readonly what: string;
  /** null where nobody can know. */
  readonly name: string | null;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The name as it was given or typed; whoever acts on it compares.
 * @throws VALIDATION_FAILED where nobody sits at the terminal. INTERRUPTED.
 */
export async function confirmation(
  { given, warning, what, name, signal }: Confirmed,
  terminal: Terminal,
): Promise<string> {
  if (given !== undefined) return String(given);
  if (terminal.ask === undefined || name === null)
    throw new DualDbError("VALIDATION_FAILED", `Nothing was done: give --confirm NAME, ${what}.`);
  write(terminal.stderr, terminal, "yellow", warning);
  const typed = await terminal.ask(`Type ${what} (${name}) to go on: `, signal);
  if (typed === null) throw new DualDbError("INTERRUPTED", "Nothing was done.");
  return typed.trim();
}
