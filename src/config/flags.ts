import { z } from "zod";

/** The three flags, as zod reads them from the environment. */
export const flagShape = { USE_POSTGRES_PRIMARY: flag(), USE_POSTGRES_READ: flag(), USE_POSTGRES_SHADOW: flag() };

/** A problem for each variable that looks like a flag and is none: a misspelt flag must not count as unset. */
export function unknownFlagProblems(names: readonly string[]): string[] {
  return names
    .filter((name) => name.toUpperCase().startsWith("USE_POSTGRES_") && !flags.includes(name))
    .map((name) => `${name} is not a flag; did you mean ${nearest(name.toUpperCase())}?`);
}

const flags = Object.keys(flagShape);
const on = ["true", "1", "on", "yes"];
const off = ["false", "0", "off", "no", ""];

function flag() {
  return z
    .string()
    .optional()
    .transform((text) => (text ?? "").trim().toLowerCase())
    .refine((word) => on.includes(word) || off.includes(word), {
      error: "must be true, 1, on or yes, or false, 0, off or no",
    })
    .transform((word) => on.includes(word));
}

function nearest(name: string): string {
  const byDistance = flags.map((known) => ({ known, distance: editDistance(name, known) }));
  return byDistance.reduce((best, next) => (next.distance < best.distance ? next : best)).known;
}

/** Levenshtein's distance, row by row. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const substitute = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(substitute, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
