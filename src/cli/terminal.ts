import { styleText } from "node:util";
import type { Environment } from "../config.js";

/** What a command may use of the process. */
export interface Terminal {
  readonly env: Environment;
  readonly stdout: Stream;
  readonly stderr: Stream;
  /** Aborted when somebody presses Ctrl-C. Asked for once by a command that can end early; the others end at once. */
  readonly interruption: () => AbortSignal;
  /** Asks whoever sits there, who may leave it (null), also by the signal; absent where nobody does. */
  readonly ask?: ((question: string, signal: AbortSignal | undefined) => Promise<string | null>) | undefined;
}

export interface Stream {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

export type Colour = "red" | "green" | "yellow" | "dim" | "bold";

/** One line, coloured on a terminal; and with `hang`, broken there between words, what follows as many columns to the right. */
export function write(stream: Stream, terminal: Terminal, colour: Colour | null, text: string, hang?: number): void {
  const broken = hang === undefined || stream.isTTY !== true ? text : wrapped(text, stream.columns ?? 80, hang);
  stream.write(`${colour === null ? broken : paint(stream, terminal.env, colour, broken)}\n`);
}

/** A word that does not fit stays whole. */
function wrapped(text: string, width: number, hang: number): string {
  if (text.length <= width) return text;
  const last = text.lastIndexOf(" ", width);
  const space = last > hang ? last : text.indexOf(" ", width);
  if (space === -1) return text;
  const rest = `${" ".repeat(hang)}${text.slice(space).trimStart()}`;
  return `${text.slice(0, space).trimEnd()}\n${wrapped(rest, width, hang)}`;
}

/** A number as a person reads it: `86,671`. */
export function counted(number: number): string {
  return number.toLocaleString("en");
}

/** So many of something: `1 row`, `86,671 rows`; in a list, with room for so many digits. */
export function countedAs(noun: string, number: number, digits = 0): string {
  return `${counted(number).padStart(digits)} ${noun}${number === 1 ? "" : "s"}`;
}

/** A key is whatever somebody has written: it must not move the cursor. */
export function printable(key: string): string {
  return key.replace(/\p{Cc}/gu, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

/** Lines of a table: names to the left, figures to the right, every column as wide as its widest cell. */
export function inColumns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const cell = (text: string, column: number) =>
    column === 0 ? text.padEnd(widths[0] ?? 0) : text.padStart(widths[column] ?? 0);
  return rows.map((row) => row.map(cell).join("  "));
}

/** Colours only where a person looks, and has not asked for none (no-color.org). */
function paint(stream: Stream, env: Environment, colour: Colour, text: string): string {
  const wanted = stream.isTTY === true && !env.NO_COLOR && env.TERM !== "dumb";
  return wanted ? styleText(colour, text, { validateStream: false }) : text;
}
