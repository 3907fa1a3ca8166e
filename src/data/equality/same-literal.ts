import { decimalOf } from "../conversion/decimal.js";
import { hasDuplicateKeys } from "../conversion/duplicate-keys.js";
import { parseIso, parseTime } from "../conversion/instant.js";
import { plainUuid } from "../conversion/uuid.js";
import { sameJson } from "./same-json.js";
import { instantOf } from "./same-value.js";

/**
 * Whether two texts of a type that only PostgreSQL understands certainly say the same. Blanks between the parts of an array, a range or a row
 * are no difference, nor quotes around a part that needs none, nor other spellings of a number, a time or a UUID; anything else is one.
 */
export function isSameLiteral(left: string, right: string): boolean {
  if (left === right) return true;
  const mine = partsOf(left);
  const other = partsOf(right);
  return mine.length === other.length && mine.every((part, index) => isSamePart(part, other[index] as Part));
}

/** A word, whether or not it stood in quotes, or a sign between words. */
interface Part {
  readonly text: string;
  readonly isSign: boolean;
}

/** A quoted word, a sign, or all up to the next of these. */
const parts = /"(?:[^"\\]|\\.|"")*"|[{}()[\],=>]|[^"{}()[\],=>]+|"/gs;
const sign = /^[{}()[\],=>]$/;

function partsOf(text: string): Part[] {
  return [...text.matchAll(parts)].flatMap(([part]) => {
    if (sign.test(part)) return { text: part, isSign: true };
    if (part.length > 1 && part.startsWith('"')) return { text: unquoted(part), isSign: false };
    return part.trim() === "" ? [] : { text: part.trim(), isSign: false };
  });
}

function unquoted(part: string): string {
  return part.slice(1, -1).replace(/\\(.)|""/gs, (_, escaped: string | undefined) => escaped ?? '"');
}

function isSamePart(mine: Part, other: Part): boolean {
  return mine.isSign === other.isSign && (mine.isSign ? mine.text === other.text : isSameWord(mine.text, other.text));
}

function isSameWord(mine: string, other: string): boolean {
  if (mine === other) return true;
  // A type with a limit drops blanks at the end.
  if (mine !== mine.trim() || other !== other.trim()) return false;
  const decimal = decimalOf(mine);
  if (decimal !== null) return decimal === decimalOf(other);
  if (isSameTime(mine, other) || isSameUuid(mine, other) || isSameDocument(mine, other)) return true;
  return isLiteral.test(mine) && isSameLiteral(mine, other);
}

/** Something that has parts itself. */
const isLiteral = /["{}()[\],=>]/;

function isSameTime(mine: string, other: string): boolean {
  const [given, held] = [parseIso(mine), parseIso(other)];
  if (given !== null && held !== null)
    return !given.rounded && instantOf(mine) === instantOf(other) && (given.offset ?? 0) === (held.offset ?? 0);
  const [clock, heldClock] = [parseTime(mine), parseTime(other)];
  return clock !== null && !clock.rounded && clock.micros === heldClock?.micros;
}

/** Of keys that stand in a document twice, jsonb keeps the last. */
function isSameDocument(mine: string, other: string): boolean {
  return /^[[{]/.test(mine) && sameJson(mine, other) && !hasDuplicateKeys(mine);
}

function isSameUuid(mine: string, other: string): boolean {
  const uuid = plainUuid(mine);
  return uuid !== undefined && uuid === plainUuid(other);
}
