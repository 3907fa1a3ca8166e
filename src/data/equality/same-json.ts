import { plainDecimal } from "../conversion/decimal.js";

/**
 * Whether two JSON texts are the same document in PostgreSQL's terms: the order of keys and the spelling of numbers and strings are no
 * difference, a changed digit is one, however many digits there are. Text that is no JSON is only the same as itself.
 */
export function sameJson(left: string, right: string): boolean {
  if (left === right) return true;
  const exact = manyDigits.test(left) || manyDigits.test(right);
  const mine = parse(left, exact);
  const other = parse(right, exact);
  return mine !== undefined && other !== undefined && isSame(mine, other);
}

/** A text that two documents share where they are the same, and no others. Text that is no JSON comes back as it is. */
export function canonicalJson(text: string): string {
  const value = parse(text, true);
  return value === undefined ? text : JSON.stringify(value, sorted);
}

/** Entries in place of an object, since one lists keys that look like numbers in an order of its own. */
function sorted(_: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const entries = Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1));
  return entries.length === 0 ? "{}" : ["{", ...entries];
}

/** 15 digits and a point survive the way into a float and back; an exponent may go beyond its range. */
const manyDigits = /[\d.]{16}|\d[eE]/;

function parse(text: string, exact: boolean): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return exact ? (JSON.parse(text.replace(tokens, exactToken)) as unknown) : value;
  } catch {
    return undefined;
  }
}

/** Strings as a whole, so that what looks like a number inside them is left alone. */
const tokens = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g;

/** Numbers as strings that begin with `n`, and strings, keys among them, as such that begin with `s`. */
function exactToken(token: string): string {
  return token.startsWith('"') ? `"s${token.slice(1)}` : `"n${plainDecimal(token)}"`;
}

function isSame(left: unknown, right: unknown): boolean {
  if (typeof left !== "object" || left === null || typeof right !== "object" || right === null) return left === right;
  if (Array.isArray(left) !== Array.isArray(right)) return false;
  const mine = left as Readonly<Record<string, unknown>>;
  const other = right as Readonly<Record<string, unknown>>;
  const keys = Object.keys(mine);
  if (keys.length !== Object.keys(other).length) return false;
  return keys.every((key) => Object.hasOwn(other, key) && isSame(mine[key], other[key]));
}
