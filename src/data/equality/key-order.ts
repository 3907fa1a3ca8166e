import { affinityOf } from "../catalogue/sqlite-type.js";
import { decodeKey, type KeyPart } from "../key.js";
import { type Column, columnOf, quote, quotedOn, type Table } from "../table.js";

/**
 * One total order of a table's rows that both sides can produce: SQLite's own order of its key, which PostgreSQL is told to follow. A row
 * whose key SQLite holds as something else than its column says (text among numbers) may stand elsewhere on the two sides.
 */
export class KeyOrder {
  /** The key's columns for SQLite, without a prefix. */
  readonly sqlite: readonly string[];
  /** An ORDER BY for PostgreSQL, where the table is called `t`. */
  readonly postgres: string;
  readonly #table: Table;
  readonly #byNumber: readonly boolean[];

  constructor(table: Table) {
    const columns = table.key.map((name) => columnOf(table, name));
    this.#table = table;
    this.#byNumber = columns.map(isNumber);
    this.sqlite = columns.map(({ name }) => quote(name));
    this.postgres = columns.map((column) => (isNumber(column) ? byNumber(column) : byBytes(column))).join(", ");
  }

  /** Which of two keys, as the journal spells them, comes first: below, at or above zero. */
  compare(left: string, right: string): number {
    if (left === right) return 0;
    const mine = decodeKey(this.#table, left);
    const other = decodeKey(this.#table, right);
    for (let index = 0; index < mine.length; index++) {
      const order = compareParts(mine[index] ?? null, other[index] ?? null, this.#byNumber[index] ?? false);
      if (order !== 0) return order;
    }
    return 0;
  }
}

/** Whether SQLite stores what the column's declared type promises as a number, and so orders it by value. */
function isNumber({ kind, sqliteType }: Column): boolean {
  if (sqliteType === undefined) return kind === "integer" || kind === "bigint" || kind === "boolean";
  const affinity = affinityOf(sqliteType);
  return affinity !== "text" && affinity !== "none";
}

function byNumber(column: Column): string {
  const name = `t.${quotedOn("postgres", column)}`;
  if (column.kind !== "text" && column.kind !== "other") return name;
  return `CASE WHEN ${name}::text ~ '^-?[0-9]+$' THEN ${name}::text::numeric END NULLS LAST, ${name}::text COLLATE "C"`;
}

function byBytes(column: Column): string {
  const name = `t.${quotedOn("postgres", column)}`;
  if (column.kind === "blob" || column.type === "uuid") return name;
  if (column.kind === "text") return `${name} COLLATE "C"`;
  return `${column.kind === "boolean" ? `${name}::int` : name}::text COLLATE "C"`;
}

/** As SQLite compares: NULL, numbers, text, bytes. */
function compareParts(left: KeyPart, right: KeyPart, isByNumber: boolean): number {
  const mine = isByNumber ? numberOf(left) : textOf(left);
  const other = isByNumber ? numberOf(right) : textOf(right);
  if (typeof mine === "bigint" && typeof other === "bigint") return mine < other ? -1 : mine > other ? 1 : 0;
  if (typeof mine === "string" && typeof other === "string") return compareText(mine, other);
  if (mine instanceof Uint8Array && other instanceof Uint8Array) return Buffer.compare(mine, other);
  return rankOf(mine) - rankOf(other);
}

function numberOf(part: KeyPart): KeyPart {
  return typeof part === "string" && /^-?\d+$/.test(part) ? BigInt(part) : part;
}

function textOf(part: KeyPart): KeyPart {
  return typeof part === "bigint" ? String(part) : part;
}

function rankOf(part: KeyPart): number {
  if (part === null) return 0;
  if (typeof part === "bigint") return 1;
  return typeof part === "string" ? 2 : 3;
}

/** By the bytes of UTF-8, in which what JavaScript spells as surrogates comes last. */
function compareText(left: string, right: string): number {
  const length = Math.min(left.length, right.length);
  for (let index = 0; index < length; index++) {
    const difference = weightOf(left.charCodeAt(index)) - weightOf(right.charCodeAt(index));
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

function weightOf(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}
