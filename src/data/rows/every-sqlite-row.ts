import type { ExactValue, Statement, Transaction } from "../../engines/engine.js";
import { chunks } from "../chunks.js";
import type { SourceRow } from "../conversion/convert.js";
import { encodeKey } from "../key.js";
import { quote, type Table } from "../table.js";
import { PageSize } from "./page-size.js";
import { type Cell, exactValue, readable, readableBytes, sameBytes } from "./sqlite-cells.js";
import { documentOf } from "./sqlite-rows.js";

/** SQLite takes 127 arguments for one function, so wide rows are lists of lists. */
const mostArguments = 100;

/** In the order in which the rows are stored, each page behind the last row of the one before. */
export async function* everySqliteRow(transaction: Transaction, table: Table): AsyncGenerator<SourceRow[]> {
  const walk = new Walk(table, await orderOf(transaction, table));
  const pages = new PageSize();
  for (let after: Place | null = null; ; ) {
    const began = performance.now();
    const rows = await walk.page(transaction, after, pages.rows);
    const last = rows.at(-1);
    if (last === undefined) return;
    pages.learn(walk.bytes, performance.now() - began);
    after = last.place;
    yield rows.map(({ row }) => row);
  }
}

/** Where a row stands: the values that the walk is ordered by; text that is no UTF-8 as its bytes. */
type Place = readonly { readonly value: ExactValue; readonly isText: boolean }[];

interface PlacedRow {
  readonly place: Place;
  readonly row: SourceRow;
}

/** What tells the rows of a table apart and orders them as they are stored: the rowid, by a name that no column has taken, or the key of a table without. */
export async function orderOf(transaction: Transaction, table: Table): Promise<readonly string[]> {
  const listed = await transaction.query(
    statement("SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?", [table.name]),
  );
  if (listed[0]?.wr === 1n) return table.key;
  const columns = await transaction.query(statement("SELECT name FROM pragma_table_xinfo(?)", [table.name]));
  const taken = new Set(columns.map(({ name }) => String(name).toLowerCase()));
  const free = ["_rowid_", "rowid", "oid"].find((name) => !taken.has(name));
  return free === undefined ? table.key : [free];
}

class Walk {
  readonly #table: Table;
  readonly #order: readonly string[];
  readonly #keyAt: readonly number[];
  /** Bytes of the latest page. */
  bytes = 0;

  constructor(table: Table, order: readonly string[]) {
    this.#table = table;
    this.#order = order;
    this.#keyAt = table.key.map((name) => table.columns.findIndex((column) => column.name === name));
  }

  async page(transaction: Transaction, after: Place | null, rows: number): Promise<PlacedRow[]> {
    const read = (spell: typeof readable) => this.#read(transaction, after, rows, spell);
    const lists = (await read(readable)) ?? (await read(readableBytes)) ?? [];
    return lists.map(([place = [], ...cells]) => ({ place: place.map(placed), row: this.#row(cells.flat()) }));
  }

  /** null where some text of the page is no UTF-8. */
  async #read(
    transaction: Transaction,
    after: Place | null,
    rows: number,
    spell: typeof readable,
  ): Promise<Cell[][][] | null> {
    const sql = this.#text(after, spell);
    const values = [...(after ?? []).map(({ value }) => value), BigInt(rows)];
    const result = await transaction.query(statement(sql, values));
    const page = result[0]?.page;
    this.bytes = page instanceof Uint8Array ? page.length : 0;
    try {
      return documentOf<Cell[][]>(result);
    } catch (error) {
      if (error instanceof TypeError) return null;
      throw error;
    }
  }

  #text(after: Place | null, spell: typeof readable): string {
    const columns = this.#table.columns.map(({ name }, index) => `${quote(name)} AS c${index}`);
    const order = this.#order.map(quote);
    const places = order.map((name, index) => `${name} AS p${index}`);
    const marks = (after ?? []).map(({ value, isText }) =>
      isText && value instanceof Uint8Array ? "CAST(? AS TEXT)" : "?",
    );
    const where = after === null ? "" : `WHERE (${order.join(", ")}) > (${marks.join(", ")})`;
    const lists = [
      list(places, "p", spell),
      ...[...chunks(columns, mostArguments)].map((part, index) => list(part, "c", spell, index * mostArguments)),
    ];
    return `SELECT CAST(json_group_array(json_array(${lists.join(", ")})) AS BLOB) AS page
      FROM (SELECT ${[...places, ...columns].join(", ")} FROM ${quote(this.#table.name)} ${where} ORDER BY ${order.join(", ")} LIMIT ?)`;
  }

  #row(cells: readonly Cell[]): SourceRow {
    const repaired = new Map<string, Uint8Array>();
    const values = cells.map((cell, index) => {
      const value = bitExact(cell);
      if (isBroken(cell, value)) repaired.set(this.#table.columns[index]?.name ?? "", Buffer.from(cell[1], "hex"));
      return value;
    });
    return { key: encodeKey(this.#keyAt.map((index) => values[index] ?? null)), values, repaired };
  }
}

function list(columns: readonly unknown[], prefix: string, spell: typeof readable, first = 0): string {
  return `json_array(${columns.map((_, index) => spell(`${prefix}${first + index}`)).join(", ")})`;
}

/** Integers as bigint, which tells them from floats without a fraction. */
function bitExact(cell: Cell): ExactValue {
  return typeof cell === "number" ? BigInt(cell) : exactValue(cell);
}

function placed(cell: Cell): Place[number] {
  const value = bitExact(cell);
  const isText = typeof value === "string";
  return { value: isBroken(cell, value) ? new Uint8Array(Buffer.from(cell[1], "hex")) : value, isText };
}

/** Text whose bytes are no UTF-8. */
function isBroken(cell: Cell, value: ExactValue): cell is readonly ["t", string] {
  return Array.isArray(cell) && cell[0] === "t" && typeof value === "string" && !sameBytes(value, String(cell[1]));
}

function statement(sql: string, values: readonly ExactValue[]): Statement {
  return { sql, text: sql, values };
}
