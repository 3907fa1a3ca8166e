import type { Run } from "../runs.js";

/** What a `verify` leaves behind about tables, for whoever judges later: SQLite's names, and never a row. */
export interface Verdicts {
  /** The tables that it looked at. */
  readonly compared: readonly string[];
  /** Those of them in which something was amiss: rows, keys, counters, the search. */
  readonly differing: readonly string[];
}

/** What is known of one table from all runs of `verify`. */
export interface TableVerdict {
  readonly table: string;
  /** When it was last found to differ, and no later run has found it equal; null where that is not so. Unix time in milliseconds. */
  readonly differedAt: number | null;
  /** The last run that found it equal, and that began after every one that had found it to differ; null where there is none. */
  readonly equal: Run | null;
}

/**
 * Each table by itself: a later run of other tables says nothing about it. A run that began before a difference was found may have looked at
 * the table before the difference was there, so that it does not clear it.
 */
export function tableVerdict(table: string, runs: readonly Run[]): TableVerdict {
  const looks = runs.filter(isVerify).filter((run) => verdictsIn(run).compared.includes(table));
  const found = (run: Run) => verdictsIn(run).differing.includes(table);
  const differedAt = latest(looks.filter(found));
  const equals = looks.filter((run) => !found(run) && run.beganAt >= differedAt);
  const equal = equals.reduce<Run | null>((last, run) => (run.endedAt > (last?.endedAt ?? -1) ? run : last), null);
  return { table, equal, differedAt: equal === null && differedAt > never ? differedAt : null };
}

/** Whether every one of these tables has been found equal by a run that began after that time. */
export function areEqualSince(tables: readonly string[], runs: readonly Run[], time: number): boolean {
  return tables.every((table) => (tableVerdict(table, runs).equal?.beganAt ?? never) > time);
}

const never = Number.NEGATIVE_INFINITY;

function latest(runs: readonly Run[]): number {
  return Math.max(never, ...runs.map(({ endedAt }) => endedAt));
}

/** One that came to its end: what was broken off has told nothing. */
function isVerify({ command, outcome }: Run): boolean {
  return command === "verify" && (outcome === "done" || outcome === "differs");
}

function verdictsIn({ facts }: Run): Verdicts {
  return { compared: namesIn(facts.compared), differing: namesIn(facts.differing) };
}

function namesIn(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((name) => typeof name === "string") : [];
}
