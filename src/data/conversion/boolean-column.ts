import type { ExactValue } from "../../engines/engine.js";
import type { Notes } from "./carry.js";
import { wholeOf } from "./integer-column.js";

const words: Readonly<Record<string, boolean>> = {
  true: true,
  t: true,
  yes: true,
  y: true,
  on: true,
  false: false,
  f: false,
  no: false,
  n: false,
  off: false,
};

/** A flag from 0 and 1; the usual words, and other numbers, count too. */
export function booleanCarry(value: Exclude<ExactValue, null>, notes: Notes): boolean | null {
  if (value === 0 || value === 1) return value === 1;
  if (typeof value === "string") {
    const word = words[value.trim().toLowerCase()];
    if (word !== undefined) {
      notes.altered("a word in a flag column");
      return word;
    }
  }
  const whole = wholeOf(value);
  if (whole === null) return notes.refused("neither 0 nor 1 in a flag column");
  if (whole.value === 0n || whole.value === 1n) return whole.value === 1n;
  notes.altered("a number other than 0 and 1 in a flag column");
  return true;
}
