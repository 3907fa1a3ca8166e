import { Presets, SingleBar } from "cli-progress";
import type { Progress } from "../migrate/progress.js";
import { counted, type Terminal, write } from "./terminal.js";

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
  #current = "";
  #began = 0;

  constructor({ stderr }: Terminal) {
    this.#bar = new SingleBar(
      {
        format: "{what} {bar} {percentage}% | {value}/{total} rows | {rate} rows/s | {eta_formatted} left",
        stream: stderr as unknown as NodeJS.WritableStream,
        clearOnComplete: true,
        hideCursor: true,
        gracefulExit: false,
        barsize: 24,
        etaBuffer: 50,
      },
      Presets.shades_classic,
    );
  }

  readonly show = (progress: Progress): void => {
    const what = nameOf(progress);
    if (what !== this.#current) this.#begin(what, progress);
    const seconds = (performance.now() - this.#began) / 1_000;
    const rate = seconds > 0 ? counted(Math.round(progress.rows / seconds)) : "-";
    if (progress.total !== null && progress.total !== this.#bar.getTotal()) this.#bar.setTotal(progress.total);
    this.#bar.update(progress.rows, { what, rate });
  };

  readonly end = (): void => {
    this.#bar.stop();
    this.#current = "";
  };

  #begin(what: string, { total }: Progress): void {
    if (this.#current !== "") this.#bar.stop();
    this.#current = what;
    this.#began = performance.now();
    this.#bar.start(total ?? 0, 0, { what, rate: "-" });
  }
}

function nameOf({ step, table }: Progress): string {
  return table === null ? step : `${step} ${table}`;
}

function lineOf(progress: Progress, elapsedMs: number): string {
  const { rows, total } = progress;
  const rate = elapsedMs > 0 ? (rows / elapsedMs) * 1_000 : 0;
  const of = total === null ? "" : ` of ${total} (${total === 0 ? 100 : Math.floor((100 * rows) / total)} %)`;
  const left = total === null || rate === 0 ? "" : `, ${Math.ceil((total - rows) / rate)} s left`;
  return `${nameOf(progress)}: ${rows} rows${of}, ${Math.round(rate)} rows/s${left}`;
}
