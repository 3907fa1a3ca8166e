import type { ExactValue } from "../../engines/engine.js";
import { type Affinity, affinityOf } from "../catalogue/sqlite-type.js";
import type { Column } from "../table.js";
import type { Carry, Notes } from "./carry.js";
import { infinityFor } from "./real-column.js";

/**
 * Decimal numbers as text of exactly their digits, spelled as PostgreSQL prints them: those of a `numeric(9,2)` with two decimals. Digits
 * behind the scale are rounded, halves away from zero; more digits before the point than the column has are refused.
 */
export function numericCarry([precision, scale = 0]: readonly number[]): Carry {
  return (value, notes) => {
    const decimal = decimalOf(value);
    if (decimal === null) return special(value, precision, notes);
    if (precision === undefined)
      return fitsAny(decimal) ? spell(decimal) : notes.refused("number beyond the column's range");
    const rounded = roundTo(decimal, scale);
    if (rounded.digits.length - rounded.scale > precision - scale && rounded.digits !== "")
      return notes.refused("number beyond the column's range");
    if (rounded.altered) notes.altered("more decimals than the column has");
    return spell(rounded);
  };
}

/**
 * A number of SQLite where it says the same. Otherwise the digits as text, which a column of text keeps; one of numbers makes a float of
 * it, which is an alteration.
 */
export function numericToSqlite({ sqliteType = "NUMERIC", ...column }: Column): Carry {
  const affinity: Affinity = affinityOf(sqliteType);
  if (affinity === "text") return (value) => String(value);
  const infinity = infinityFor({ ...column, sqliteType });
  return (value, notes) => {
    const text = String(value);
    if (/^-?Infinity$/.test(text)) return infinity(Number(text)) ?? text;
    const number = exactNumber(text);
    const isFloat = affinity === "real" && typeof number === "bigint";
    if (number !== null && !(isFloat && BigInt(Number(number)) !== number)) return number;
    if (affinity !== "none" && decimalOf(text) !== null) notes.altered("more digits than SQLite's number keeps");
    return text;
  };
}

/** The integer that a text says or is rounded to, halves away from zero, digit by digit; null for text that is no number. */
export function wholeNumber(text: string): { readonly value: bigint; readonly rounded: boolean } | null {
  const decimal = decimalOf(text);
  if (decimal === null) return null;
  const rounded = roundTo(isHuge(decimal) ? { ...decimal, digits: "1", scale: -mostDigits } : decimal, 0);
  return { value: BigInt(spell(rounded)), rounded: rounded.altered };
}

/** No column of integers has so many. */
const mostDigits = 100;

function isHuge({ digits, scale }: Decimal): boolean {
  return digits !== "" && digits.length - scale > mostDigits;
}

/** `digits` without leading zeros (none at all for zero), of which the last `scale` are decimals; a negative scale stands for zeros. */
interface Decimal {
  readonly negative: boolean;
  readonly digits: string;
  readonly scale: number;
}

const pattern = /^\s*([+-]?)(?=\.?\d)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,6}))?\s*$/;

function decimalOf(value: ExactValue): Decimal | null {
  if (typeof value === "boolean") return decimalOf(Number(value));
  if (value instanceof Uint8Array) return null;
  const parts = pattern.exec(String(value));
  if (parts === null) return null;
  const [, sign, whole = "", fraction = "", exponent = "0"] = parts;
  const digits = (whole + fraction).replace(/^0+/, "");
  return { negative: sign === "-", digits, scale: fraction.length - Number(exponent) };
}

/** PostgreSQL ends at 131,072 digits before and 16,383 behind the point. */
function fitsAny({ digits, scale }: Decimal): boolean {
  return digits === "" || (digits.length - scale <= 131_072 && scale <= 16_383);
}

function roundTo(decimal: Decimal, scale: number): Decimal & { readonly altered: boolean } {
  const { negative, digits } = decimal;
  const surplus = decimal.scale - scale;
  if (surplus <= 0)
    return { ...decimal, altered: false, digits: digits && digits + "0".repeat(Math.min(-surplus, 2_000)), scale };
  const kept = digits.slice(0, Math.max(0, digits.length - surplus));
  const cut = digits.padStart(surplus, "0").slice(-surplus);
  const up = cut.charCodeAt(0) >= 53 ? 1n : 0n;
  const rounded = (BigInt(kept || "0") + up).toString();
  return { negative, digits: rounded === "0" ? "" : rounded, scale, altered: /[1-9]/.test(cut) };
}

function spell({ negative, digits, scale }: Decimal): string {
  const sign = negative && digits !== "" ? "-" : "";
  if (scale <= 0) return digits === "" ? "0" : `${sign}${digits}${"0".repeat(-scale)}`;
  const padded = digits.padStart(scale + 1, "0");
  return `${sign}${padded.slice(0, -scale)}.${padded.slice(-scale)}`;
}

function special(value: Exclude<ExactValue, null>, precision: number | undefined, notes: Notes): string | null {
  const text = String(value);
  const isKnown = text === "NaN" || (precision === undefined && /^-?Infinity$/.test(text));
  return isKnown ? text : notes.refused("not a number in a numeric column");
}

/** The number that the text says, digit by digit; null where a float or 64 bits cannot, and for text that says none. */
export function exactNumber(text: string): number | bigint | null {
  const decimal = decimalOf(text);
  if (decimal === null) return null;
  const plain = withoutZeros(decimal);
  if (plain.scale <= 0 && plain.digits.length - plain.scale <= 19) {
    const integer = BigInt(spell(plain));
    return BigInt.asIntN(64, integer) === integer ? integer : null;
  }
  const number = Number(text);
  const again = decimalOf(number);
  return again !== null && spell(withoutZeros(again)) === spell(plain) ? number : null;
}

function withoutZeros({ negative, digits, scale }: Decimal): Decimal {
  const significant = digits.replace(/0+$/, "");
  return significant === ""
    ? { negative: false, digits: "", scale: 0 }
    : { negative, digits: significant, scale: scale - (digits.length - significant.length) };
}
