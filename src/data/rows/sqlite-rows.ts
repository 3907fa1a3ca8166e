import type { ExactValue, Statement, Transaction } from "../../engines/engine.js";
import { chunks } from "../chunks.js";
import type { SourceRow } from "../conversion/convert.js";
import { decodeKey, type KeyPart, keyExpression, textOrBytes } from "../key.js";
import { columnOf, quote, type Table } from "../table.js";
import type { Rows } from "./rows.js";
import { type Cell, exactValue, readable, readableBytes, sameBytes } from "./sqlite-cells.js";

/** SQLite takes at most 32,766 parameters in a statement. */
const mostParameters = 30_000;
const upsertsInAPiece = 200;
const keysInAPage = 5_000;
/** Each is a condition of its own, and SQLite nests conditions at most 1,000 deep. */
const keysOfBytesInAPiece = 100;

/** Rows of the SQLite side. They are read as bytes of one JSON document: the driver aborts the process on text that is no UTF-8. */
export const sqliteRows: Rows = {
  async read(transaction, table, keys) {
    const rows: SourceRow[] = [];
    for (const part of chunks(keys, mostParameters / table.key.length)) {
      const wanted = part.map((key) => decodeKey(table, key));
      rows.push(...(await readPage(transaction, table, keyCondition(table, wanted))));
    }
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
    for (const part of chunks(keys, mostParameters / table.key.length)) {
      const { text, values } = condition(
        table.key,
        part.map((key) => decodeKey(table, key)),
      );
      await transaction.execute(statement(`DELETE FROM ${quote(table.name)} WHERE ${text}`, values));
    }
  },

  async *keys(transaction, table) {
    for await (const window of windows(transaction, table)) yield await keysIn(transaction, table, window);
  },
};

/** The rows whose keys are these bytes, for keys that are no UTF-8: the driver takes no such text. */
export async function rowsOfBytes(
  transaction: Transaction,
  table: Table,
  keys: readonly Uint8Array[],
): Promise<SourceRow[]> {
  const rows: SourceRow[] = [];
  for (const part of chunks(keys, keysOfBytesInAPiece))
    rows.push(...(await readPage(transaction, table, bytesCondition(table, part))));
  return rows;
}

/** As one document of texts; where one of them is no UTF-8, as one of their bytes. */
async function keysIn(transaction: Transaction, table: Table, where: Condition): Promise<(string | Uint8Array)[]> {
  const key = keyExpression("sqlite", table, "t");
  const listed = async (cell: string) => {
    const sql = `SELECT CAST(json_group_array(${cell}) AS BLOB) AS page FROM ${quote(table.name)} AS t WHERE ${where.text}`;
    return transaction.query(statement(sql, where.values));
  };
  try {
    return documentOf<string>(await listed(key));
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return documentOf<string>(await listed(`hex(CAST(${key} AS BLOB))`)).map((hex) =>
      textOrBytes(Buffer.from(hex, "hex")),
    );
  }
}

interface Condition {
  readonly text: string;
  readonly values: readonly ExactValue[];
}

/**
 * Conditions that cut a table into parts of some thousand rows, so that work on a whole table gives the event loop its turns.
 * A table WITHOUT ROWID is one part.
 */
export async function* windows(transaction: Transaction, table: Table): AsyncIterable<Condition> {
  if (await lacksRowid(transaction, table)) {
    yield { text: "TRUE", values: [] };
    return;
  }
  let after: ExactValue = -(2n ** 63n);
  for (;;) {
    const sql = `SELECT _rowid_ AS last FROM ${quote(table.name)} WHERE _rowid_ > ? ORDER BY _rowid_ LIMIT 1 OFFSET ${keysInAPage}`;
    const last: ExactValue | undefined = (await transaction.query(statement(sql, [after])))[0]?.last;
    if (last === undefined) break;
    yield { text: "_rowid_ > ? AND _rowid_ <= ?", values: [after, last] };
    after = last;
  }
  yield { text: "_rowid_ > ?", values: [after] };
}

async function lacksRowid(transaction: Transaction, table: Table): Promise<boolean> {
  const sql = "SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?";
  return (await transaction.query(statement(sql, [table.name])))[0]?.wr === 1n;
}

function statement(sql: string, values: readonly ExactValue[]): Statement {
  return { sql, text: sql, values };
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
function keyCondition({ key }: Table, tuples: readonly (readonly KeyPart[])[]): Condition {
  const whole = condition(
    key,
    tuples.filter((parts) => !parts.includes(null)),
  );
  const others = tuples.filter((parts) => parts.includes(null));
  if (others.length === 0) return whole;
  const same = `(${key.map((name) => `${quote(name)} IS ?`).join(" AND ")})`;
  const texts = [...(whole.values.length === 0 ? [] : [whole.text]), ...others.map(() => same)];
  return { text: `(${texts.join(" OR ")})`, values: [...whole.values, ...others.flat()] };
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
  const cells = await tryPage(transaction, table, where, plainSpelling);
  const rows = cells ?? (await tryPage(transaction, table, where, bytesSpelling)) ?? [];
  return rows.map((row) => sourceRow(table, row));
}

/** null where the document is no UTF-8. */
async function tryPage(
  transaction: Transaction,
  table: Table,
  where: Condition,
  spelling: Spelling,
): Promise<Cell[][] | null> {
  const key = spelling.key(`(${keyExpression("sqlite", table, "t")})`);
  const columns = table.columns.map(({ name }) => spelling.column(`t.${quote(name)}`));
  const row = jsonRow([key, ...columns]);
  const sql = `SELECT CAST(json_group_array(${row.sql}) AS BLOB) AS page FROM ${quote(table.name)} AS t WHERE ${where.text}`;
  const result = await transaction.query(statement(sql, where.values));
  try {
    return row.unfold(documentOf(result));
  } catch (error) {
    if (error instanceof TypeError) return null;
    throw error;
  }
}

/** SQLite takes no more arguments for one function. */
const mostArguments = 127;

/** A row as one JSON array; a wide one as an array of arrays, which `unfold` puts together again. */
function jsonRow(cells: readonly string[]): { readonly sql: string; unfold(rows: unknown[]): Cell[][] } {
  const parts = [...chunks(cells, mostArguments)].map((part) => `json_array(${part.join(", ")})`);
  if (parts.length === 1) return { sql: parts.join(), unfold: (rows) => rows as Cell[][] };
  return { sql: `json_array(${parts.join(", ")})`, unfold: (rows) => (rows as Cell[][][]).map((row) => row.flat()) };
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The list in a result of one JSON document, which a statement calls `page`. Throws a TypeError where it is no UTF-8. */
export function documentOf<T>(rows: readonly { readonly page?: ExactValue }[]): T[] {
  const page = rows[0]?.page;
  return page instanceof Uint8Array ? (JSON.parse(strict.decode(page)) as T[]) : [];
}

function sourceRow(table: Table, [key, ...cells]: readonly Cell[]): SourceRow {
  const repaired = new Map<string, Uint8Array>();
  const values = cells.map((cell, index) => {
    const value = exactValue(cell ?? null);
    if (Array.isArray(cell) && cell[0] === "t" && typeof value === "string" && !sameBytes(value, cell[1])) {
      repaired.set(table.columns[index]?.name ?? "", Buffer.from(cell[1], "hex"));
    }
    return value;
  });
  return { key: String(exactValue(key ?? null)), values, repaired };
}
