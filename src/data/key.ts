import type { ExactValue, Side } from "../engines/engine.js";
import { type Column, columnOf, quotedOn, type Table } from "./table.js";

/** One column's part of a key; null and bytes are only met in SQLite files, where a key column may hold anything. */
export type KeyPart = string | bigint | null | Uint8Array;

/**
 * A row's key as one text, the same on both sides: the parts joined by commas, backslash and comma escaped by a backslash, `\N` for
 * NULL and `\x…` for bytes. A key of one ordinary text is that text.
 */
export function encodeKey(parts: readonly ExactValue[]): string {
  return parts.map(encodePart).join(",");
}

/** The parts of a key; integers as bigint where the table's column is one. */
export function decodeKey(table: Table, key: string): KeyPart[] {
  return splitKey(key).map((part, index) => decodePart(part, table, index));
}

/** The text of a key; its bytes where they are no UTF-8, which only SQLite has: it looks at no text. */
export function textOrBytes(bytes: Uint8Array): string | Uint8Array {
  const text = Buffer.from(bytes).toString("utf8");
  return Buffer.from(text).equals(bytes) ? text : bytes;
}

/** A key as a person may read it, whatever its bytes are. */
export function legible(key: string | Uint8Array): string {
  return typeof key === "string" ? key : Buffer.from(key).toString("utf8");
}

export const notUtf8 = "the key is not UTF-8";

/** Why only SQLite can have a row of this key; null where PostgreSQL can, too. */
export function whyOnlyInSqlite(table: Table, key: string | Uint8Array): string | null {
  if (typeof key !== "string") return notUtf8;
  if (key.includes("\0")) return "NUL in the key";
  return decodeKey(table, key).includes(null) ? "NULL in the key" : null;
}

/** The SQL expression that spells the key of a row called `row` (`NEW`, `OLD`, a table's alias) as `encodeKey` does. */
export function keyExpression(side: Side, table: Table, row: string): string {
  const spell = side === "sqlite" ? sqlitePart : postgresPart;
  return table.key
    .map((name) => columnOf(table, name))
    .map((column) => spell(`${row}.${quotedOn(side, column)}`, column))
    .join(" || ',' || ");
}

function encodePart(value: ExactValue): string {
  if (value === null) return "\\N";
  if (value instanceof Uint8Array) return `\\x${Buffer.from(value).toString("hex").toUpperCase()}`;
  if (typeof value === "boolean") return value ? "1" : "0";
  return String(value).replaceAll("\\", "\\\\").replaceAll(",", "\\,");
}

function splitKey(key: string): string[] {
  if (!key.includes("\\")) return key.split(",");
  const parts = [""];
  for (const [token] of key.matchAll(/\\[\s\S]|[^\\]/gu)) {
    if (token === ",") parts.push("");
    else parts[parts.length - 1] += token;
  }
  return parts;
}

function decodePart(part: string, table: Table, index: number): KeyPart {
  if (part === "\\N") return null;
  if (part.startsWith("\\x")) return new Uint8Array(Buffer.from(part.slice(2), "hex"));
  const text = part.replace(/\\([\s\S])/g, "$1");
  return (isInteger(table, index) ? integerOf(text) : null) ?? text;
}

/** Only as integers are printed: 007 is another key than 7, which SQLite may hold as text. */
function integerOf(text: string): bigint | null {
  if (!/^(0|-?[1-9]\d{0,18})$/.test(text)) return null;
  const integer = BigInt(text);
  return BigInt.asIntN(64, integer) === integer ? integer : null;
}

function isInteger(table: Table, index: number): boolean {
  const name = table.key[index];
  const kind = name === undefined ? "text" : columnOf(table, name).kind;
  return kind === "integer" || kind === "bigint" || kind === "boolean";
}

function sqlitePart(column: string): string {
  const text = `replace(replace(${column}, '\\', '\\\\'), ',', '\\,')`;
  return `CASE typeof(${column}) WHEN 'null' THEN '\\N' WHEN 'blob' THEN '\\x' || hex(${column}) ELSE ${text} END`;
}

function postgresPart(column: string, { kind, type, base }: Column): string {
  // Else the session of whoever writes the row would decide how.
  if ((base ?? type) === "date")
    return `CASE WHEN ${column} BETWEEN '0001-01-01' AND '9999-12-31' THEN to_char(${column}, 'YYYY-MM-DD') ELSE ${column}::text END`;
  if (kind === "blob") return `'\\x' || upper(encode(${column}, 'hex'))`;
  if (kind === "boolean") return `${column}::int::text`;
  if (kind === "integer" || kind === "bigint") return `${column}::text`;
  return `replace(replace(${column}::text, '\\', '\\\\'), ',', '\\,')`;
}
