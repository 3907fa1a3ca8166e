import { type ExactValue, type Statement, statement, type Transaction } from "../../engines/engine.js";
import { chunks } from "../chunks.js";
import type { SourceRow } from "../conversion/convert.js";
import { decodeKey, type KeyPart, keyExpression, textOrBytes } from "../key.js";
import { isSpelledOn } from "../key-spelling.js";
import { columnOf, quote, type Table } from "../table.js";
import { jsonRow, readDocument, valuesOf } from "./json-rows.js";
import { type Condition, partsByRowid } from "./rowid.js";
import type { Rows } from "./rows.js";
import { type Cell, exactValue, readable, readableBytes } from "./sqlite-cells.js";

/** SQLite takes at most 32,766 parameters in a statement. */
const mostParameters = 30_000;
const upsertsInAPiece = 200;
/** Keys of which each is a condition of its own: SQLite nests conditions at most 1,000 deep. */
const oddKeysInAPiece = 100;

/** Rows of the SQLite side. They are read as bytes of one JSON document: the driver aborts the process on text that is no UTF-8. */
export const sqliteRows: Rows = {
  async read(transaction, table, keys) {
    const rows: SourceRow[] = [];
    const wanted = keys.filter((key) => isSpelledOn("sqlite", table, key)).map((key) => decodeKey(table, key));
    const whole = wanted.filter((parts) => !parts.includes(null));
    for (const part of chunks(whole, mostParameters / table.key.length))
      rows.push(...(await readPage(transaction, table, condition(table.key, part))));
    for (const part of chunks(
      wanted.filter((parts) => parts.includes(null)),
      oddKeysInAPiece,
    ))
      rows.push(...(await readPage(transaction, table, nullCondition(table, part))));
    return rows;
  },

  async holders(transaction, table, columns, values) {
    const narrow = { ...table, columns: [...new Set([...columns, ...table.key])].map((name) => columnOf(table, name)) };
    const rows: SourceRow[] = [];
    for (const part of chunks(values, mostParameters / columns.length)) {
      rows.push(...(await readPage(transaction, narrow, condition(columns, part))));
    }
    return rows.map((row) => ({ key: row.key, values: row.values.slice(0, columns.length) }));
  },

  async upsert(transaction, table, rows) {
    for (const part of chunks(rows, Math.min(mostUpserts(table), mostParameters / table.columns.length))) {
      await transaction.execute(upsert(table, part));
    }
  },

  async remove(transaction, table, keys) {
    const spelled = keys.filter((key) => isSpelledOn("sqlite", table, key));
    for (const part of chunks(spelled, mostParameters / table.key.length)) {
      const { text, values } = condition(
        table.key,
        part.map((key) => decodeKey(table, key)),
      );
      await transaction.execute(statement(`DELETE FROM ${quote(table.name)} WHERE ${text}`, values));
    }
  },

  async *keys(transaction, table) {
    for await (const part of partsByRowid(transaction, table)) yield await keysIn(transaction, table, part);
  },
};

/** The rows whose keys are these bytes, for keys that are no UTF-8: the driver takes no such text. */
export async function rowsOfBytes(
  transaction: Transaction,
  table: Table,
  keys: readonly Uint8Array[],
): Promise<SourceRow[]> {
  const rows: SourceRow[] = [];
  for (const part of chunks(keys, oddKeysInAPiece))
    rows.push(...(await readPage(transaction, table, bytesCondition(table, part))));
  return rows;
}

/** As one document of texts; where one of them is not UTF-8, as one of their bytes. */
async function keysIn(transaction: Transaction, table: Table, where: Condition): Promise<(string | Uint8Array)[]> {
  const key = keyExpression("sqlite", table, "t");
  const listed = (cell: string) => {
    const sql = `SELECT CAST(json_group_array(${cell}) AS BLOB) AS page FROM ${quote(table.name)} AS t WHERE ${where.text}`;
    return readDocument<string>(transaction, statement(sql, where.values));
  };
  const texts = await listed(key);
  if (texts !== null) return texts.rows;
  const bytes = await listed(`hex(CAST(${key} AS BLOB))`);
  return (bytes?.rows ?? []).map((hex) => textOrBytes(Buffer.from(hex, "hex")));
}

function condition(columns: readonly string[], tuples: readonly (readonly ExactValue[])[]): Condition {
  const [only] = columns;
  const values = tuples.flat();
  if (columns.length === 1 && only !== undefined)
    return { text: `${quote(only)} IN (${marks(tuples.length)})`, values };
  const rows = Array.from(tuples, () => `(${marks(columns.length)})`).join(", ");
  return { text: `(${columns.map(quote).join(", ")}) IN (VALUES ${rows})`, values };
}

/** A key of SQLite may hold NULL, which nothing but IS finds. */
function nullCondition({ key }: Table, tuples: readonly (readonly KeyPart[])[]): Condition {
  const same = `(${key.map((name) => `${quote(name)} IS ?`).join(" AND ")})`;
  return { text: `(${tuples.map(() => same).join(" OR ")})`, values: tuples.flat() };
}

/** Bytes read as Latin-1 keep their places, so that the key's commas and backslashes part them as they do text. */
function bytesCondition(table: Table, keys: readonly Uint8Array[]): Condition {
  const tuples = keys.map((key) => decodeKey(table, Buffer.from(key).toString("latin1")));
  const isSame = (part: KeyPart | undefined, index: number) =>
    `${quote(table.key[index] ?? "")} IS ${typeof part === "string" ? "CAST(? AS TEXT)" : "?"}`;
  return {
    text: `(${tuples.map((parts) => `(${parts.map(isSame).join(" AND ")})`).join(" OR ")})`,
    values: tuples.flat().map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : part)),
  };
}

function marks(count: number): string {
  return Array.from({ length: count }, () => "?").join(", ");
}

/** A statement holds up the event loop; but rows that may point to each other have to be written by one. */
function mostUpserts(table: Table): number {
  return table.foreignKeys.some(({ parent }) => parent === table.name) ? mostParameters : upsertsInAPiece;
}

/** A column that no row has a value for costs SQLite the more the more parameters it has to read: it is spelled out. */
function upsert(table: Table, rows: readonly (readonly ExactValue[])[]): Statement {
  const filled = table.columns.map((_, index) => rows.some((row) => (row[index] ?? null) !== null));
  const values = rows.flatMap((row) => row.filter((_, index) => filled[index]));
  const list = `(${filled.map((isFilled) => (isFilled ? "?" : "NULL")).join(", ")})`;
  return statement(upsertText(table, Array.from(rows, () => list).join(", ")), values);
}

function upsertText(table: Table, values: string): string {
  const names = table.columns.map(({ name }) => quote(name));
  const others = table.columns.filter(({ name }) => !table.key.includes(name)).map(({ name }) => quote(name));
  const change =
    others.length === 0 ? "NOTHING" : `UPDATE SET ${others.map((name) => `${name} = excluded.${name}`).join(", ")}`;
  return `INSERT INTO ${quote(table.name)} (${names.join(", ")}) VALUES ${values}
    ON CONFLICT (${table.key.map(quote).join(", ")}) DO ${change}`;
}

/** How a key, which is text by itself, and a column are spelled in the document. */
interface Spelling {
  readonly key: (expression: string) => string;
  readonly column: (expression: string) => string;
}

const plainSpelling: Spelling = { key: (expression) => expression, column: readable };
const bytesSpelling: Spelling = { key: readableBytes, column: readableBytes };

async function readPage(transaction: Transaction, table: Table, where: Condition): Promise<SourceRow[]> {
  const rows = await tryPage(transaction, table, where, plainSpelling);
  return rows ?? (await tryPage(transaction, table, where, bytesSpelling)) ?? [];
}

/** null where some text is not UTF-8. */
async function tryPage(
  transaction: Transaction,
  table: Table,
  where: Condition,
  spelling: Spelling,
): Promise<SourceRow[] | null> {
  const { columns, name } = table;
  const key = spelling.key(`(${keyExpression("sqlite", table, "t")})`);
  const row = jsonRow([...columns.map((column) => spelling.column(`t.${quote(column.name)}`)), key]);
  const sql = `SELECT CAST(json_group_array(${row.sql}) AS BLOB) AS page FROM ${quote(name)} AS t WHERE ${where.text}`;
  const document = await readDocument(transaction, statement(sql, where.values));
  return document && row.unfold(document.rows).map((cells) => sourceRow(table, cells));
}

function sourceRow({ columns }: Table, cells: readonly Cell[]): SourceRow {
  return { key: String(exactValue(cells[columns.length] ?? null)), ...valuesOf(columns, cells) };
}
