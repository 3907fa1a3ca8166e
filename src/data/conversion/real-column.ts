import type { ExactValue } from "../../engines/engine.js";
import type { Carry, Notes } from "./carry.js";
import { numberOf } from "./integer-column.js";

/** Floats of 8 bytes, or of 4 where the type is `real`. */
export function realCarry(type: string): Carry {
  return type === "real" ? singleCarry : doubleCarry;
}

function doubleCarry(value: Exclude<ExactValue, null>, notes: Notes): number | null {
  if (typeof value === "number") return value;
  if (typeof value === "bigint") {
    const number = Number(value);
    if (BigInt(number) !== value) notes.altered("integer beyond the precision of a real column");
    return number;
  }
  return numberOf(value) ?? notes.refused("not a number in a real column");
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

/** A float of 4 bytes as PostgreSQL prints it: the fewest digits that name it. So 0.1 comes back as 0.1. */
function spelled(single: number): number {
  if (!Number.isFinite(single) || (Number.isInteger(single) && Math.abs(single) <= 2 ** 24)) return single;
  const fewest = Math.abs(single) < smallestNormal ? 1 : 6;
  for (let digits = fewest; digits < 9; digits++) {
    const number = Number(single.toPrecision(digits));
    if (Math.fround(number) === single) return number;
  }
  return Number(single.toPrecision(9));
}
