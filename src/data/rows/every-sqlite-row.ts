import { statement, type Transaction } from "../../engines/engine.js";
import type { SourceRow } from "../conversion/convert.js";
import { encodeKey } from "../key.js";
import { quote, type Table } from "../table.js";
import { bitExact, jsonRow, readDocument, valuesOf } from "./json-rows.js";
import { PageSize } from "./page-size.js";
import { type Place, type PlaceBound, Places } from "./places.js";
import { rowidOf } from "./rowid.js";
import { type Cell, readable, readableBytes } from "./sqlite-cells.js";

/** In the order in which the rows are stored, each page behind the last row of the one before. */
export async function* everySqliteRow(transaction: Transaction, table: Table): AsyncGenerator<SourceRow[]> {
  const places = new Places(table.name, await orderOf(transaction, table));
  const page = new Page(table);
  const size = new PageSize();
  for (let after: Place | null = null; ; ) {
    const began = performance.now();
    const last: Place | null = await places.last(transaction, after, size.rows);
    const { rows, bytes } = await page.read(transaction, places.between(after, last));
    size.learn(bytes, performance.now() - began);
    if (rows.length > 0) yield rows;
    if (last === null) return;
    after = last;
  }
}

/** The columns, as SQL identifiers, that tell the rows of a table apart and order them as they are stored: the rowid, or the key where there is none. */
export async function orderOf(transaction: Transaction, table: Table): Promise<readonly string[]> {
  const rowid = await rowidOf(transaction, table);
  return rowid === null ? table.key.map(quote) : [rowid];
}

interface ReadRows {
  readonly rows: SourceRow[];
  /** Of the document that SQLite has written. */
  readonly bytes: number;
}

class Page {
  readonly #table: Table;
  readonly #keyAt: readonly number[];

  constructor(table: Table) {
    this.#table = table;
    this.#keyAt = table.key.map((name) => table.columns.findIndex((column) => column.name === name));
  }

  async read(transaction: Transaction, bound: PlaceBound): Promise<ReadRows> {
    const read = (spell: typeof readable) => this.#read(transaction, bound, spell);
    return (await read(readable)) ?? (await read(readableBytes)) ?? { rows: [], bytes: 0 };
  }

  /** null where some text of the page is not UTF-8. Without a subquery, whose columns SQLite counts: a table may have all that it allows. */
  async #read(
    transaction: Transaction,
    { where, values }: PlaceBound,
    spell: typeof readable,
  ): Promise<ReadRows | null> {
    const row = jsonRow(this.#table.columns.map(({ name }) => spell(quote(name))));
    const sql = `SELECT CAST(json_group_array(${row.sql}) AS BLOB) AS page FROM ${quote(this.#table.name)} WHERE ${where}`;
    const document = await readDocument(transaction, statement(sql, values));
    return document && { rows: row.unfold(document.rows).map((cells) => this.#row(cells)), bytes: document.bytes };
  }

  #row(cells: readonly Cell[]): SourceRow {
    const found = valuesOf(this.#table.columns, cells, bitExact);
    return { key: encodeKey(this.#keyAt.map((index) => found.values[index] ?? null)), ...found };
  }
}
