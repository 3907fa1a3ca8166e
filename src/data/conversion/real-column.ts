import type { ExactValue } from "../../engines/engine.js";
import { affinityOf } from "../catalogue/sqlite-type.js";
import type { Column } from "../table.js";
import type { Carry, Notes } from "./carry.js";
import { numberOf } from "./integer-column.js";
import { exactNumber } from "./numeric.js";

/** Floats of 8 bytes, or of 4 where the type is `real`. */
export function realCarry(type: string): Carry {
  return type === "real" ? singleCarry : doubleCarry;
}

/** The way back. A column of numbers takes infinity, too; NaN SQLite has not. */
export function realToSqlite(column: Column): Carry {
  const infinity = infinityFor(column);
  return (value, notes) => {
    if (typeof value !== "number" || Number.isFinite(value)) return value;
    return infinity(value) ?? notes.refused("a number that is not finite");
  };
}

/** The driver cannot bind infinity: it goes as text of a number so large that a column of numbers makes infinity of it. null for NaN. */
export function infinityFor({ sqliteType = "REAL" }: Column): (value: number) => string | null {
  const affinity = affinityOf(sqliteType);
  if (affinity === "text" || affinity === "none") return () => null;
  return (value) => (Number.isNaN(value) ? null : value > 0 ? "9e999" : "-9e999");
}

function doubleCarry(value: Exclude<ExactValue, null>, notes: Notes): number | null {
  if (typeof value === "number") return value;
  if (typeof value === "bigint") {
    const number = Number(value);
    if (BigInt(number) !== value) notes.altered("integer beyond the precision of a real column");
    return number;
  }
  const number = numberOf(value);
  return typeof value === "string" && number !== null
    ? digitsCarry(value, number, notes)
    : notes.refused("not a number in a real column");
}

/** Digits, of which a float keeps some 16. */
function digitsCarry(digits: string, number: number, notes: Notes): number | null {
  const exact = exactNumber(digits);
  if (typeof exact === "bigint") return doubleCarry(exact, notes);
  if (exact !== null) return exact;
  if (!Number.isFinite(number) || number === 0) return notes.refused("a number beyond the range of a real column");
  notes.altered("more digits than a real column keeps");
  return number;
}

function singleCarry(value: Exclude<ExactValue, null>, notes: Notes): number | null {
  const number = doubleCarry(value, notes);
  if (number === null) return null;
  const single = Math.fround(number);
  if (Number.isFinite(number) && (!Number.isFinite(single) || (single === 0 && number !== 0)))
    return notes.refused("a number beyond the range of a real column of 4 bytes");
  const read = spelled(single);
  if (read !== number) notes.altered("more digits than a real column of 4 bytes keeps");
  return read;
}

/** Below it floats of 4 bytes have fewer than 6 digits. */
const smallestNormal = 2 ** -126;

/** A float of 4 bytes as PostgreSQL prints it: the fewest digits that lie nearer to it than to any other. So 0.1 comes back as 0.1. */
function spelled(single: number): number {
  if (!Number.isFinite(single) || (Number.isInteger(single) && Math.abs(single) <= 2 ** 24)) return single;
  const fewest = Math.abs(single) < smallestNormal ? 1 : 6;
  for (let digits = fewest; digits <= 9; digits++) {
    const number = beside(single, digits).find((found) => Math.fround(found) === single && !isTie(found, single));
    if (number !== undefined) return number;
  }
  return single;
}

/** The two numbers of so many significant digits beside it, the nearer one first; of two as near, the one whose last digit is even. */
function beside(single: number, digits: number): number[] {
  const [, first = "", rest = "", exponent = ""] = /^-?(\d)\.(\d+)e(.*)$/.exec(single.toExponential(40)) ?? [];
  const down = Number(first + rest.slice(0, digits - 1));
  const left = rest.slice(digits - 1);
  const half = "5".padEnd(left.length, "0");
  const isUp = left > half || (left === half && down % 2 === 1);
  const scale = Number(exponent) - digits + 1;
  return (isUp ? [down + 1, down] : [down, down + 1]).map((found) => Math.sign(single) * Number(`${found}e${scale}`));
}

/** Whether a number lies exactly between this float of 4 bytes and the next: it reads back to the even one of the two, and names neither. */
function isTie(number: number, single: number): boolean {
  const mirrored = 2 * number - single;
  return mirrored !== single && Math.fround(mirrored) === mirrored;
}
