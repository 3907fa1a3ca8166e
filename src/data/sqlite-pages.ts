import type { ExactRow, ExactValue, Transaction } from "../engines/engine.js";
import { chunks } from "./chunks.js";
import type { SourceRow } from "./convert.js";
import { everySqliteRow } from "./every-sqlite-row.js";
import { encodeKey } from "./key.js";
import { PageSize } from "./page-size.js";
import { rowsOf } from "./rows.js";
import { type Cell, exactValue, readable, readableBytes, sameBytes } from "./sqlite-cells.js";
import { documentOf } from "./sqlite-rows.js";
import { affinityOf } from "./sqlite-type.js";
import { quote, type Table } from "./table.js";

/** A row as SQLite's JSON spells it, and as itself where somebody has to look closer. */
export interface PagedRow {
  /** null where the row was not read as JSON. */
  readonly cells: readonly Cell[] | null;
  source(): SourceRow;
}

/**
 * Every row of a SQLite table, in the order in which they are stored, in pages that are bounded in bytes and in time. Much faster than
 * rows of values, as long as few of them are asked for.
 */
export async function* sqlitePages(transaction: Transaction, table: Table): AsyncGenerator<readonly PagedRow[]> {
  const rowid = await rowidOf(transaction, table);
  if (rowid === null) {
    for await (const page of everySqliteRow(transaction, table)) yield page.map(alreadyRead);
    return;
  }
  const size = new PageSize();
  for (let after: ExactValue | undefined; ; ) {
    const began = performance.now();
    const page = await readPage(transaction, table, rowid, after, size.rows);
    if (page.rows.length === 0) return;
    size.learn(page.bytes, performance.now() - began);
    after = page.last;
    yield page.rows;
  }
}

/** The rows of these keys to the bit: integers as bigint, which tells them from floats without a fraction. */
export async function exactRowsOf(
  transaction: Transaction,
  table: Table,
  keys: readonly string[],
): Promise<SourceRow[]> {
  const rows = await rowsOf("sqlite").read(transaction, table, keys);
  const isFloat = table.columns.map(({ sqliteType }) => affinityOf(sqliteType ?? "") === "real");
  return rows.map((row) => ({
    ...row,
    values: row.values.map((value, index) =>
      typeof value === "number" && Number.isInteger(value) && isFloat[index] !== true ? BigInt(value) : value,
    ),
  }));
}

/** SQLite takes 127 arguments for one function, so wide rows are lists of lists. */
const mostArguments = 100;

/** A name for the rowid that no column has taken; null for a table WITHOUT ROWID. */
async function rowidOf(transaction: Transaction, table: Table): Promise<string | null> {
  const listed = await transaction.query(
    statement("SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?", [table.name]),
  );
  if (listed[0]?.wr === 1n) return null;
  const columns = await transaction.query(statement("SELECT name FROM pragma_table_xinfo(?)", [table.name]));
  const taken = new Set(columns.map(({ name }) => String(name).toLowerCase()));
  return ["_rowid_", "rowid", "oid"].find((name) => !taken.has(name)) ?? null;
}

interface Page {
  readonly rows: readonly PagedRow[];
  readonly bytes: number;
  /** The last row's rowid. */
  readonly last: ExactValue;
}

async function readPage(
  transaction: Transaction,
  table: Table,
  rowid: string,
  after: ExactValue | undefined,
  rows: number,
): Promise<Page> {
  const read = async (spell: typeof readable) => {
    const values = after === undefined ? [BigInt(rows)] : [after, BigInt(rows)];
    const text = pageText(table, rowid, after !== undefined, spell);
    return pageOf(table, await transaction.query(statement(text, values)));
  };
  return (await read(readable)) ?? (await read(readableBytes)) ?? { rows: [], bytes: 0, last: null };
}

function pageText(table: Table, rowid: string, isLater: boolean, spell: typeof readable): string {
  const columns = table.columns.map(({ name }, index) => `${quote(name)} AS c${index}`);
  const cells = columns.map((_, index) => spell(`c${index}`));
  const lists = [...chunks(cells, mostArguments)].map((part) => `json_array(${part.join(", ")})`);
  const row = lists.length === 1 ? lists.join() : `json_array(${lists.join(", ")})`;
  return `SELECT CAST(json_group_array(${row}) AS BLOB) AS page, MAX(p) AS last
    FROM (SELECT ${[`${rowid} AS p`, ...columns].join(", ")} FROM ${quote(table.name)} ${isLater ? `WHERE ${rowid} > ?` : ""}
      ORDER BY ${rowid} LIMIT ?)`;
}

/** null where some text of the page is no UTF-8. */
function pageOf(table: Table, result: readonly ExactRow[]): Page | null {
  const page = result[0]?.page;
  const isWide = table.columns.length > mostArguments;
  try {
    const rows = documentOf<Cell[] | Cell[][]>(result).map(
      (row) => new JsonRow(table, isWide ? (row as Cell[][]).flat() : (row as Cell[])),
    );
    return { rows, bytes: page instanceof Uint8Array ? page.length : 0, last: result[0]?.last ?? null };
  } catch (error) {
    if (error instanceof TypeError) return null;
    throw error;
  }
}

class JsonRow implements PagedRow {
  readonly cells: readonly Cell[];
  readonly #table: Table;

  constructor(table: Table, cells: readonly Cell[]) {
    this.#table = table;
    this.cells = cells;
  }

  source(): SourceRow {
    const repaired = new Map<string, Uint8Array>();
    const { columns, key } = this.#table;
    const values = this.cells.map((cell, index) => {
      const value = bitExact(cell);
      if (isBroken(cell, value)) repaired.set(columns[index]?.name ?? "", Buffer.from(cell[1], "hex"));
      return value;
    });
    const parts = key.map((name) => values[columns.findIndex((column) => column.name === name)] ?? null);
    return { key: encodeKey(parts), values, repaired };
  }
}

function alreadyRead(row: SourceRow): PagedRow {
  return { cells: null, source: () => row };
}

/** Integers as bigint, which tells them from floats without a fraction. */
function bitExact(cell: Cell): ExactValue {
  return typeof cell === "number" ? BigInt(cell) : exactValue(cell);
}

/** Text whose bytes are no UTF-8. */
function isBroken(cell: Cell, value: ExactValue): cell is readonly ["t", string] {
  return Array.isArray(cell) && cell[0] === "t" && typeof value === "string" && !sameBytes(value, String(cell[1]));
}

function statement(sql: string, values: readonly ExactValue[]) {
  return { sql, text: sql, values };
}
