import type { ExactValue } from "../../engines/engine.js";
import type { Carry } from "./carry.js";
import { parseNumber, roundHalfAway } from "./number.js";
import { wholeNumber } from "./numeric.js";

/** Integers of `smallint`, `integer` or `bigint`: fractions are rounded, and what is beyond the range is refused. */
export function integerCarry(type: string): Carry {
  const bits = type === "smallint" ? 15n : type === "bigint" ? 63n : 31n;
  const limit = 2n ** bits;
  // Larger floats are spelled with an exponent.
  const plainLimit = Math.min(Number(limit), 1e15);
  return (value, notes) => {
    if (typeof value === "number" && Number.isInteger(value) && value > -plainLimit && value < plainLimit)
      return value + 0;
    const whole = wholeOf(value);
    if (whole === null) return notes.refused("not a number in an integer column");
    if (whole.value >= limit || whole.value < -limit) return notes.refused("integer beyond the column's range");
    if (whole.rounded) notes.altered("fraction in an integer column");
    return whole.value;
  };
}

/** The integer that a value is or is rounded to; null for what is no number. */
export function wholeOf(value: ExactValue): { readonly value: bigint; readonly rounded: boolean } | null {
  if (typeof value === "bigint") return { value, rounded: false };
  if (typeof value === "boolean") return { value: value ? 1n : 0n, rounded: false };
  if (typeof value === "string") return wholeNumber(value);
  if (typeof value !== "number" || !Number.isFinite(value)) return null;
  return { value: BigInt(roundHalfAway(value)), rounded: !Number.isInteger(value) };
}

/** The float that a value is or spells; null for what is no number. */
export function numberOf(value: ExactValue): number | null {
  if (typeof value === "number") return value;
  return typeof value === "string" ? (parseNumber(value) ?? null) : null;
}
