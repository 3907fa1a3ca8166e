import { toUSVString } from "node:util";
import type { ExactValue } from "../../engines/engine.js";
import { type Affinity, affinityOf } from "../catalogue/sqlite-type.js";
import type { Column } from "../table.js";
import type { Carry, Notes } from "./carry.js";
import { exactNumber, wholeNumber } from "./numeric.js";
import { isNumberToSqlite } from "./respelled-number.js";

/**
 * What brings a value to a column of SQLite that was not made for it, as from JSON: SQLite's own conversion makes text of the first 15 digits
 * of a float, and floats of digits, without a word. Numbers may be larger than any that SQLite has, and have their digits as text.
 */
export function carryToAffinity({ sqliteType = "" }: Column): Carry {
  const affinity = affinityOf(sqliteType);
  if (affinity === "text") return textCarry;
  // ANY of a STRICT table takes everything as it is.
  return affinity === "none" || /^ANY$/i.test(sqliteType) ? anyCarry : numberCarry(affinity);
}

type Given = Exclude<ExactValue, null>;

function textCarry(value: Given, notes: Notes): ExactValue {
  if (typeof value === "string") return paired(value, notes);
  if (value instanceof Uint8Array) return value;
  // As SQLite spells a float that is a whole number.
  const text = String(value);
  return typeof value === "number" && /^-?\d+$/.test(text) ? `${text}.0` : text;
}

function anyCarry(value: Given, notes: Notes): ExactValue {
  if (typeof value === "string") return paired(value, notes);
  if (typeof value !== "bigint" || fits(value)) return value;
  return BigInt(Number(value)) === value ? Number(value) : String(value);
}

function numberCarry(affinity: Affinity): Carry {
  return (value, notes) => {
    if (typeof value === "string") {
      if (!isNumberToSqlite(value)) return paired(value, notes);
      const number = exactNumber(value);
      return number === null ? fromDigits(value, affinity, notes) : fromNumber(number, affinity, notes);
    }
    return typeof value === "bigint" || typeof value === "number" ? fromNumber(value, affinity, notes) : value;
  };
}

function fromNumber(number: number | bigint, affinity: Affinity, notes: Notes): ExactValue {
  if (typeof number === "number") {
    const isBeyond = affinity === "integer" && Number.isInteger(number) && !fits(BigInt(number));
    return isBeyond ? notes.refused(beyondIntegers) : number;
  }
  const isExact = BigInt(Number(number)) === number;
  if (affinity === "real" || (!fits(number) && affinity !== "integer")) {
    if (!isExact) return fromDigits(String(number), affinity, notes);
    return fits(number) ? number : Number(number);
  }
  return fits(number) ? number : notes.refused(beyondIntegers);
}

/** Of digits that no number of SQLite's keeps. */
function fromDigits(digits: string, affinity: Affinity, notes: Notes): ExactValue {
  if (affinity === "integer" && wholeNumber(digits)?.rounded === false) return notes.refused(beyondIntegers);
  const number = Number(digits);
  if (!Number.isFinite(number) || number === 0) return notes.refused("number beyond the column's range");
  notes.altered("more digits than SQLite's number keeps");
  return number;
}

const beyondIntegers = "integer beyond the column's range";

function fits(integer: bigint): boolean {
  return BigInt.asIntN(64, integer) === integer;
}

function paired(text: string, notes: Notes): string {
  const whole = toUSVString(text);
  if (whole !== text) notes.altered("a lone surrogate in text");
  return whole;
}
