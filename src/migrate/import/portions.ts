import type { Transaction } from "../../engines/engine.js";
import type { DualDbError } from "../../errors.js";
import { Savepoint } from "./savepoint.js";
import type { Window } from "./stage-sql.js";

/** What became of rows that were tried, by their numbers. */
export interface Tried {
  readonly written: number;
  readonly refused: ReadonlyMap<number, DualDbError>;
}

/**
 * Writes rows, which are numbered, some at a time: where they are refused, half as many from there on, until the one at fault stands alone;
 * where they are taken, twice as many again. So a few bad ones cost little, and where most are bad each costs a statement of its own.
 * `write` tells how many were written.
 */
export async function inPortions(
  transaction: Transaction,
  rows: Window,
  most: number,
  write: (portion: Window) => Promise<number>,
): Promise<Tried> {
  const savepoint = new Savepoint(transaction);
  const refused = new Map<number, DualDbError>();
  let written = 0;
  let size = most;
  for (let from = rows.from; from <= rows.to; ) {
    const to = Math.min(rows.to, from + size - 1);
    const attempt = await savepoint.attempt(() => write({ from, to }));
    if ("refusal" in attempt && from < to) {
      size = Math.ceil((to - from + 1) / 2);
      continue;
    }
    if ("refusal" in attempt) refused.set(from, attempt.refusal);
    else {
      written += attempt.done;
      size = Math.min(most, size * 2);
    }
    from = to + 1;
  }
  await savepoint.release();
  return { written, refused };
}
