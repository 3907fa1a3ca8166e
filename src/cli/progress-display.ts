import { SingleBar } from "cli-progress";
import type { Progress } from "../migrate/progress.js";
import { counted, type Stream, type Terminal, write } from "./terminal.js";

/** Shows how far a run has come: a bar where a person looks, a line now and then elsewhere; nothing where nobody wants it. */
export interface ProgressDisplay {
  readonly show: (progress: Progress) => void;
  /** Takes the bar off the screen. */
  readonly end: () => void;
}

export function progressDisplay(terminal: Terminal, quiet: boolean): ProgressDisplay {
  if (quiet) return { show: () => undefined, end: () => undefined };
  return terminal.stderr.isTTY === true ? new Bar(terminal) : new Lines(terminal);
}

const linesEveryMs = 5_000;

/** Standard output belongs to the result, so progress goes to standard error. */
class Lines implements ProgressDisplay {
  readonly #terminal: Terminal;
  #next = 0;
  #current = "";
  #began = 0;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  readonly show = (progress: Progress): void => {
    const now = performance.now();
    const what = nameOf(progress);
    if (what !== this.#current) {
      this.#current = what;
      this.#began = now;
      this.#next = now + linesEveryMs;
    } else if (now >= this.#next) {
      this.#next = now + linesEveryMs;
      write(this.#terminal.stderr, this.#terminal, null, lineOf(progress, now - this.#began));
    }
  };

  readonly end = (): void => undefined;
}

class Bar implements ProgressDisplay {
  readonly #bar: SingleBar;
  readonly #stream: Stream;
  #progress: Progress | null = null;
  #began = 0;

  constructor({ stderr }: Terminal) {
    this.#stream = stderr;
    this.#bar = new SingleBar({
      format: (_options, { eta }) => this.#text(eta),
      stream: stderr as unknown as NodeJS.WritableStream,
      clearOnComplete: true,
      hideCursor: true,
      gracefulExit: false,
      etaBuffer: 50,
    });
  }

  readonly show = (progress: Progress): void => {
    if (this.#progress === null || nameOf(progress) !== nameOf(this.#progress)) this.#begin(progress);
    this.#progress = progress;
    const measure = measureOf(progress);
    this.#bar.setTotal(measure?.total ?? 0);
    this.#bar.update(measure?.done ?? progress.rows);
  };

  readonly end = (): void => {
    this.#bar.stop();
    this.#progress = null;
  };

  #begin(progress: Progress): void {
    if (this.#progress !== null) this.#bar.stop();
    this.#progress = progress;
    this.#began = performance.now();
    this.#bar.start(measureOf(progress)?.total ?? 0, 0);
  }

  /** `secondsLeft` is no number as long as nobody can tell. The last column stays free: some terminals would begin a line there. */
  #text(secondsLeft: number): string {
    if (this.#progress === null) return "";
    const room = (this.#stream.columns ?? 80) - 1;
    const texts = barTexts(this.#progress, performance.now() - this.#began, secondsLeft);
    return texts.find((text) => text.length <= room) ?? (texts.at(-1) ?? "").slice(0, room);
  }
}

/** What can be said of a run, from the longest text to the shortest. */
function barTexts(progress: Progress, elapsedMs: number, secondsLeft: number): string[] {
  const { rows, total } = progress;
  const name = nameOf(progress);
  const rate = rows > 0 ? `${counted(rateOf(rows, elapsedMs))} rows/s` : "";
  const soFar = rows > 0 ? `${counted(rows)} rows` : "";
  const measure = measureOf(progress);
  if (measure === null) return [joined(name, soFar, rate), joined(name, soFar)];
  const share = shareOf(measure);
  const bar = (width: number) => {
    const full = Math.floor(share * width);
    return `${name} ${"█".repeat(full)}${"░".repeat(width - full)} ${percent(share)}`;
  };
  const of = total === null ? soFar : `${counted(rows)} of ${counted(total)} rows`;
  const left = Number.isFinite(secondsLeft) ? `${timeOf(secondsLeft)} left` : "";
  return [
    joined(bar(24), of, rate, left),
    joined(bar(10), of, rate, left),
    joined(bar(10), rate, left),
    joined(bar(10), left),
    `${name} ${percent(share)}`,
  ];
}

function joined(...parts: readonly string[]): string {
  return parts.filter((part) => part !== "").join(" | ");
}

function nameOf({ step, table }: Progress): string {
  return table === null ? step : `${step} ${table}`;
}

function lineOf(progress: Progress, elapsedMs: number): string {
  const { rows, total } = progress;
  const measure = measureOf(progress);
  const share = measure === null ? 0 : shareOf(measure);
  const done = measure === null ? "" : ` (${percent(share)})`;
  const of = total === null ? done : ` of ${counted(total)}${done}`;
  const left = share === 0 ? "" : `, ${timeOf((elapsedMs / 1_000) * (1 / share - 1))} left`;
  return `${nameOf(progress)}: ${counted(rows)} rows${of}, ${counted(rateOf(rows, elapsedMs))} rows/s${left}`;
}

interface Measure {
  readonly done: number;
  readonly total: number;
}

/** By rows where they have been counted, else by bytes; null where nobody knows the end. */
function measureOf({ rows, total, bytes }: Progress): Measure | null {
  if (total !== null) return { done: rows, total };
  return bytes === undefined ? null : { done: bytes.read, total: bytes.size };
}

/** From 0 to 1: more may have come since it was counted. */
function shareOf({ done, total }: Measure): number {
  return total === 0 ? 1 : Math.min(1, done / total);
}

/** Rows a second. */
function rateOf(rows: number, elapsedMs: number): number {
  return elapsedMs > 0 ? Math.round((rows / elapsedMs) * 1_000) : 0;
}

function percent(share: number): string {
  return `${Math.floor(share * 100)} %`;
}

/** Seconds as a person reads them: `45 s`, `12 min`, `3 h`. */
function timeOf(seconds: number): string {
  if (seconds < 120) return `${Math.ceil(seconds)} s`;
  return seconds < 7_200 ? `${Math.ceil(seconds / 60)} min` : `${Math.ceil(seconds / 3_600)} h`;
}
