import { styleText } from "node:util";
import type { Side } from "dualdb";

/** How things stand at a moment. */
export interface Moment {
  /** Milliseconds since the beginning. */
  readonly time: number;
  readonly primary: Side | null;
  readonly acknowledged: number;
  /** null where nobody knows. */
  readonly owed: number | null;
  /** The longest time between two acknowledged writes, in milliseconds. */
  readonly pauseMs?: number;
}

export type Colour = "red" | "green" | "yellow" | "dim" | "bold" | "cyan";

export const sideNames: Readonly<Record<Side, string>> = { sqlite: "SQLite", postgres: "PostgreSQL" };

/** What the demo shows: a title per step, a line per moment, and on a terminal the present moment below them. */
export class Screen {
  readonly #stream: NodeJS.WriteStream;
  readonly #colours: boolean;
  #live = false;

  constructor(stream: NodeJS.WriteStream, env: NodeJS.ProcessEnv) {
    this.#stream = stream;
    this.#colours = stream.isTTY === true && !env.NO_COLOR && env.TERM !== "dumb";
  }

  line(text = ""): void {
    this.#clear();
    this.#stream.write(`${text}\n`);
  }

  step(number: number, title: string, command: string): void {
    this.line();
    this.line(this.paint("bold", `${String(number).padStart(2)}  ${title}`));
    if (command !== "") this.line(`    ${this.paint("cyan", command)}`);
  }

  heads(): void {
    this.line(
      this.paint("dim", `    ${columns("time", "primary", "acknowledged", "owed", "longest pause")}`.trimEnd()),
    );
  }

  moment(moment: Moment, note = ""): void {
    this.line(`    ${columnsOf(moment)}  ${note}`.trimEnd());
  }

  /** A line that the next one replaces; only where somebody watches. */
  live(moment: Moment): void {
    if (this.#stream.isTTY !== true) return;
    this.#clear();
    this.#stream.write(this.paint("dim", `    ${columnsOf(moment)}`));
    this.#live = true;
  }

  paint(colour: Colour, text: string): string {
    return this.#colours ? styleText(colour, text, { validateStream: false }) : text;
  }

  #clear(): void {
    if (this.#live) this.#stream.write("\r\u001b[2K");
    this.#live = false;
  }
}

/** 12,345 */
export function count(value: number): string {
  return value.toLocaleString("en-US");
}

/** 1 row, 2 rows */
export function plural(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
}

function columnsOf({ time, primary, acknowledged, owed, pauseMs }: Moment): string {
  return columns(
    `${(time / 1_000).toFixed(1)} s`,
    primary === null ? "-" : sideNames[primary],
    count(acknowledged),
    owed === null ? "-" : count(owed),
    pauseMs === undefined ? "" : `${count(pauseMs)} ms`,
  );
}

function columns(time: string, primary: string, acknowledged: string, owed: string, pause: string): string {
  return [time.padStart(7), primary.padEnd(10), acknowledged.padStart(12), owed.padStart(6), pause.padStart(13)].join(
    "  ",
  );
}
