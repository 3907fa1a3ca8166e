import { interrupted } from "../errors.js";

/** How far a run has come. */
export interface Progress {
  /** What is being done, in a word or two: `copy`, `scan`, `compare`. */
  readonly step: string;
  /** The table in hand; null where the step is about none. */
  readonly table: string | null;
  /** Rows done in this step and table. */
  readonly rows: number;
  /** Rows there are to do; null where nobody has counted. */
  readonly total: number | null;
  /** How far the file with the rows has been read, in bytes, where its rows have not been counted. */
  readonly bytes?: { readonly read: number; readonly size: number };
}

/**
 * How far a step has come with one table of about so many rows. The total follows where there are more of them, and in the end it is as many
 * as there were: a step that is done is done to the last row. null as long as nobody has counted.
 */
export class TableProgress {
  readonly #step: string;
  readonly #table: string;
  readonly #total: number | null;
  readonly #tell: (progress: Progress) => void;

  constructor(step: string, table: string, total: number | null, tell: ((progress: Progress) => void) | undefined) {
    this.#step = step;
    this.#table = table;
    this.#total = total;
    this.#tell = tell ?? (() => undefined);
  }

  at(rows: number): void {
    this.#say(rows, this.#total === null ? null : Math.max(this.#total, rows));
  }

  end(rows: number): void {
    this.#say(rows, rows);
  }

  #say(rows: number, total: number | null): void {
    this.#tell({ step: this.#step, table: this.#table, rows, total });
  }
}

/** @throws INTERRUPTED where somebody has asked for an end. To be called between two steps, where ending costs nothing. */
export function endIfAsked(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw interrupted();
}
