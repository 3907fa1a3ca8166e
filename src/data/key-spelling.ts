import type { Side } from "../engines/engine.js";
import { typeOfColumn } from "./catalogue/postgres-type.js";
import { affinityOf } from "./catalogue/sqlite-type.js";
import { isRespelledNumber } from "./conversion/respelled-number.js";
import { decodeKey, type KeyPart } from "./key.js";
import { type Column, columnOf, type Table } from "./table.js";

/**
 * Whether that side can have a row of this key, and spells it so. A key that its type prints in another way (`007` of an integer, a UUID in
 * capitals), or does not have at all, is none of its: to ask for it would find another row, or end in an error.
 */
export function isSpelledOn(side: Side, table: Table, key: string): boolean {
  const parts = decodeKey(table, key);
  const isSpelled = side === "sqlite" ? isSpelledOnSqlite : isSpelledOnPostgres;
  return table.key.every((name, index) => isSpelled(columnOf(table, name), parts[index] ?? null));
}

function isSpelledOnSqlite({ sqliteType, kind }: Column, part: KeyPart): boolean {
  if (typeof part !== "string" || sqliteType === undefined || kind === "blob") return true;
  const affinity = affinityOf(sqliteType);
  return affinity === "text" || affinity === "none" || !/^\s*[+-]?\d+\s*$/.test(part) || !isRespelledNumber(part);
}

function isSpelledOnPostgres(column: Column, part: KeyPart): boolean {
  if (part === null) return false;
  if (part instanceof Uint8Array) return column.kind === "blob";
  switch (column.kind) {
    case "integer":
    case "bigint":
      return typeof part === "bigint" && BigInt.asIntN(bitsOf(column), part) === part;
    case "boolean":
      return part === 0n || part === 1n;
    case "blob":
      return false;
    case "numeric":
      return /^-?\d+(\.\d+)?$/.test(String(part));
    default:
      return isSpelledAsText(typeOfColumn(column).name, String(part));
  }
}

const bits: Readonly<Record<string, number>> = { smallint: 16, integer: 32, bigint: 64 };

function bitsOf(column: Column): number {
  return bits[typeOfColumn(column).name] ?? 64;
}

function isSpelledAsText(type: string, text: string): boolean {
  if (type === "uuid") return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);
  if (type === "date") return isDate(text);
  return !text.includes("\0");
}

function isDate(text: string): boolean {
  const [, year = "", month = "", day = ""] = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text) ?? [];
  const date = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day)));
  return Number(year) > 0 && date.getUTCMonth() === Number(month) - 1 && date.getUTCDate() === Number(day);
}
