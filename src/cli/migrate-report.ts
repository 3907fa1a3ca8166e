import type { ListedSide, MigratedSide } from "../migrate/migrate.js";
import { type Colour, type Terminal, write } from "./terminal.js";

/** A side's part of the `--json` document. */
export type SideResult = MigratedSide | ListedSide;

/** What `--json` promises. */
export const jsonHelp = `
The JSON document: { ok, sides: [{ side, target, … }], armed: [table], finalized, error?: { code, message, side,
details } }; finalized: PostgreSQL goes on alone, and SQLite is left out.
A side has { applied: [{ filename, executionTimeMs }], pending: [filename], unknown: [filename], searchRebuilt };
with --list { migrations: [{ filename, status, appliedAt, executionTimeMs, error }] }, where status is applied,
pending, failed, changed or unknown, and times are Unix milliseconds.

Exit status: 0 both sides are up to date, or as --list and --dry-run found them; 3 --list found a migration that failed, was changed or
is unknown; 1 it could not be done; 2 wrong usage or configuration. The same again goes on where it ended.`;

/** Whether a listed migration needs somebody to look at it. */
export function isAmiss(result: SideResult): boolean {
  return "migrations" in result && result.migrations.some(({ status }) => status !== "applied" && status !== "pending");
}

/** One side for a person. */
export function print(result: SideResult, terminal: Terminal): void {
  const line = (colour: Colour | null, text: string) => write(terminal.stdout, terminal, colour, text);
  line("bold", `${result.side.padEnd("postgres".length)}  ${result.target}`);
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

/** The tables that have got their journal now. */
export function printArmed(armed: readonly string[], terminal: Terminal): void {
  if (armed.length > 0) write(terminal.stdout, terminal, "green", `armed  ${armed.join(", ")}`, "armed  ".length);
}

const colours = { applied: "green", pending: "yellow", failed: "red", changed: "red", unknown: "red" } as const;
