import type { ExactValue } from "../../engines/engine.js";
import type { PostgresType } from "../catalogue/postgres-type.js";
import { affinityOf } from "../catalogue/sqlite-type.js";
import type { Column } from "../table.js";
import type { Carry, Notes } from "./carry.js";
import { cleanText } from "./text.js";

/** Text for PostgreSQL: without NUL and lone surrogates, and never longer than the column. */
export function textCarry(column: Column, { name, limits }: PostgresType): Carry {
  const plain = plainText(column);
  const [limit] = limits;
  if (name === "character" || name === "bpchar") return paddedText(plain, limit);
  if (name === "character varying" && limit !== undefined) return limitedText(plain, limit);
  const bytes = shortTypes[name];
  return bytes === undefined ? plain : limitedBytes(plain, bytes);
}

/** The text of any value, as SQLite itself would cast it. Bytes are read as UTF-8. */
export function textOf(value: Exclude<ExactValue, null>): string {
  if (typeof value === "string") return value;
  if (value instanceof Uint8Array) return Buffer.from(value).toString("utf8");
  return typeof value === "boolean" ? String(Number(value)) : String(value);
}

/** NUL, or half of a surrogate pair; whole pairs are found too, and looked at again. */
export const doubtful = /[\0\ud800-\udfff]/;
const bytesReason = "bytes in a column of text";

/** Types that cut what they are given, and after how many bytes. */
const shortTypes: Readonly<Record<string, number>> = { name: 63, '"char"': 1 };

function plainText({ sqliteType }: Column): Carry {
  // A number that SQLite holds as such comes back as text, unless the column's affinity makes a number of it again.
  const keepsNumbers = sqliteType === undefined || affinityOf(sqliteType) !== "none";
  return (value, notes) => {
    if (typeof value === "string") return doubtful.test(value) ? cleaned(value, notes) : value;
    if (value instanceof Uint8Array) return decoded(value, notes);
    if (!keepsNumbers) notes.altered("a number in a column of text");
    return textOf(value);
  };
}

function cleaned(text: string, notes: Notes): string {
  const clean = cleanText(text);
  if (clean !== text) notes.altered("NUL or a lone surrogate in text");
  return clean;
}

function decoded(bytes: Uint8Array, notes: Notes): string {
  const text = textOf(bytes);
  const clean = cleanText(text);
  notes.altered(clean === text ? bytesReason : "NUL or a lone surrogate in text");
  return clean;
}

function limitedText(plain: Carry, limit: number): Carry {
  return (value, notes) => {
    const text = plain(value, notes);
    return typeof text === "string" && isLonger(text, limit) ? tooLong(limit, notes) : text;
  };
}

/** Trailing blanks mean nothing in such a column, and are not read back. */
function paddedText(plain: Carry, limit: number | undefined): Carry {
  return (value, notes) => {
    const text = plain(value, notes);
    if (typeof text !== "string") return text;
    const trimmed = text.replace(/ +$/, "");
    if (limit !== undefined && isLonger(trimmed, limit)) return tooLong(limit, notes);
    if (trimmed !== text) notes.altered("trailing blanks in a column that pads with blanks");
    return trimmed;
  };
}

function limitedBytes(plain: Carry, limit: number): Carry {
  return (value, notes) => {
    const text = plain(value, notes);
    if (typeof text !== "string" || Buffer.byteLength(text) <= limit) return text;
    return notes.refused(`text of more than ${limit} bytes`);
  };
}

/** Characters, of which some count twice in the length of a JavaScript string. */
function isLonger(text: string, limit: number): boolean {
  return text.length > limit && (text.length > 2 * limit || [...text].length > limit);
}

function tooLong(limit: number, notes: Notes): null {
  return notes.refused(`text of more than ${limit} characters`);
}
