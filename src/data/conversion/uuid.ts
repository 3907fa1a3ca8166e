import type { Column } from "../table.js";
import type { Carry } from "./carry.js";

/** A UUID as PostgreSQL prints it, from each spelling that it takes: with or without hyphens, in braces, in capitals; from 16 bytes too. */
export function uuidCarry(column: Column): Carry {
  const isBytes = holdsBytes(column);
  return (value, notes) => {
    if (value instanceof Uint8Array) {
      if (value.length !== 16) return notes.refused("no UUID in a column of UUIDs");
      if (!isBytes) notes.altered("bytes in a column of text");
      return spelled(Buffer.from(value).toString("hex"));
    }
    if (typeof value === "string" && isBytes) notes.altered("text in a column of bytes");
    if (typeof value !== "string") return notes.refused("no UUID in a column of UUIDs");
    return canonical.test(value) ? value : (plainUuid(value) ?? notes.refused("no UUID in a column of UUIDs"));
  };
}

/** The way back: into 16 bytes where SQLite's column is one of bytes. */
export function uuidToSqlite(column: Column): Carry | null {
  if (!holdsBytes(column)) return null;
  return (value) => new Uint8Array(Buffer.from(String(value).replaceAll("-", ""), "hex"));
}

/** The canonical form of a UUID in any spelling that PostgreSQL takes; undefined for other text. */
export function plainUuid(text: string): string | undefined {
  const inner = /^\{(.*)\}$/.exec(text)?.[1] ?? text;
  return loose.test(inner) ? spelled(inner.replaceAll("-", "").toLowerCase()) : undefined;
}

const canonical = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
/** A hyphen may follow each group of four digits but the last. */
const loose = /^(?:[0-9a-fA-F]{4}-?){7}[0-9a-fA-F]{4}$/;

function spelled(digits: string): string {
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

function holdsBytes({ sqliteType = "" }: Column): boolean {
  return /BLOB|BINARY/i.test(sqliteType);
}
