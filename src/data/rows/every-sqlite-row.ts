import { type ExactValue, statement, type Transaction } from "../../engines/engine.js";
import type { SourceRow } from "../conversion/convert.js";
import { encodeKey } from "../key.js";
import { quote, type Table } from "../table.js";
import { bitExact, isBroken, jsonRow, readDocument, valuesOf } from "./json-rows.js";
import { PageSize } from "./page-size.js";
import { rowidOf } from "./rowid.js";
import { type Cell, readable, readableBytes } from "./sqlite-cells.js";

/** In the order in which the rows are stored, each page behind the last row of the one before. */
export async function* everySqliteRow(transaction: Transaction, table: Table): AsyncGenerator<SourceRow[]> {
  const walk = new Walk(table, await orderOf(transaction, table));
  const pages = new PageSize();
  for (let after: Place | null = null; ; ) {
    const began = performance.now();
    const { rows, bytes } = await walk.page(transaction, after, pages.rows);
    const last = rows.at(-1);
    if (last === undefined) return;
    pages.learn(bytes, performance.now() - began);
    after = last.place;
    yield rows.map(({ row }) => row);
  }
}

/** The columns, as SQL identifiers, that tell the rows of a table apart and order them as they are stored: the rowid, or the key where there is none. */
export async function orderOf(transaction: Transaction, table: Table): Promise<readonly string[]> {
  const rowid = await rowidOf(transaction, table);
  return rowid === null ? table.key.map(quote) : [rowid];
}

/** Where a row stands: the values that the walk is ordered by; text that is not UTF-8 as its bytes. */
type Place = readonly { readonly value: ExactValue; readonly isText: boolean }[];

interface PlacedRow {
  readonly place: Place;
  readonly row: SourceRow;
}

class Walk {
  readonly #table: Table;
  readonly #order: readonly string[];
  readonly #keyAt: readonly number[];

  constructor(table: Table, order: readonly string[]) {
    this.#table = table;
    this.#order = order;
    this.#keyAt = table.key.map((name) => table.columns.findIndex((column) => column.name === name));
  }

  async page(
    transaction: Transaction,
    after: Place | null,
    limit: number,
  ): Promise<{ readonly rows: PlacedRow[]; readonly bytes: number }> {
    const read = (spell: typeof readable) => this.#read(transaction, after, limit, spell);
    return (await read(readable)) ?? (await read(readableBytes)) ?? { rows: [], bytes: 0 };
  }

  /** null where some text of the page is not UTF-8. */
  async #read(transaction: Transaction, after: Place | null, limit: number, spell: typeof readable) {
    const { columns, name } = this.#table;
    const aliases = [
      ...columns.map((column, index) => ({ alias: `c${index}`, expression: quote(column.name) })),
      ...this.#order.map((expression, index) => ({ alias: `p${index}`, expression })),
    ];
    const row = jsonRow(aliases.map(({ alias }) => spell(alias)));
    const selected = aliases.map(({ alias, expression }) => `${expression} AS ${alias}`).join(", ");
    const sql = `SELECT CAST(json_group_array(${row.sql}) AS BLOB) AS page
      FROM (SELECT ${selected} FROM ${quote(name)} ${this.#behind(after)} ORDER BY ${this.#order.join(", ")} LIMIT ?)`;
    const values = [...(after ?? []).map(({ value }) => value), BigInt(limit)];
    const document = await readDocument(transaction, statement(sql, values));
    return document && { rows: row.unfold(document.rows).map((cells) => this.#placed(cells)), bytes: document.bytes };
  }

  #behind(after: Place | null): string {
    if (after === null) return "";
    const marks = after.map(({ value, isText }) => (isText && value instanceof Uint8Array ? "CAST(? AS TEXT)" : "?"));
    return `WHERE (${this.#order.join(", ")}) > (${marks.join(", ")})`;
  }

  #placed(cells: readonly Cell[]): PlacedRow {
    const { columns } = this.#table;
    const found = valuesOf(columns, cells, bitExact);
    const key = encodeKey(this.#keyAt.map((index) => found.values[index] ?? null));
    return { place: cells.slice(columns.length).map(placeOf), row: { key, ...found } };
  }
}

function placeOf(cell: Cell): Place[number] {
  const value = bitExact(cell);
  const isText = typeof value === "string";
  return { value: isBroken(cell, value) ? new Uint8Array(Buffer.from(cell[1], "hex")) : value, isText };
}
