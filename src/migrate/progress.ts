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

/** @throws INTERRUPTED where somebody has asked for an end. To be called between two steps, where ending costs nothing. */
export function endIfAsked(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw interrupted();
}
