import { type ExactValue, statement, type Transaction } from "../../engines/engine.js";
import { affinityOf } from "../catalogue/sqlite-type.js";
import type { SourceRow } from "../conversion/convert.js";
import { encodeKey } from "../key.js";
import { type Column, quote, type Table } from "../table.js";
import { bitExact, jsonRow, readDocument, valuesOf } from "./json-rows.js";
import type { PlainFormat } from "./plain-format.js";
import { rowidOf } from "./rowid.js";
import { rowsOf } from "./rows.js";
import { type Cell, exactValue, readable, readableBytes } from "./sqlite-cells.js";
import { rowsOfBytes } from "./sqlite-rows.js";

/** Some rows of a SQLite table that are stored behind each other. */
export interface SqlitePage {
  /**
   * The rows as SQLite's JSON spells them: columns of kind `real` have their digits as text; see `sqlite-cells` for the others. null
   * where they were not read as JSON.
   */
  readonly cells: readonly (readonly Cell[])[] | null;
  readonly size: number;
  /** Of the document that SQLite has written; 0 where nobody has counted. */
  readonly bytes: number;
  /** One of them with its values, to the bit. */
  row(index: number): SourceRow;
  /** The page once more, from the same snapshot: whoever holds no pages holds little memory. */
  again(): Promise<SqlitePage>;
}

/** A part of a table: the rows behind one rowid, up to and including another; null is an end of the table. */
export interface Window {
  readonly after: bigint | null;
  readonly last: bigint | null;
}

export const wholeTable: Window = { after: null, last: null };

/** Rows that SQLite itself has written as data for COPY. */
export interface PlainPage {
  readonly data: Uint8Array;
  /** Rows. */
  readonly size: number;
  readonly bytes: number;
}

/**
 * The rows of these keys to the bit: integers as bigint, which tells them from floats without a fraction. Keys that are no UTF-8 are given
 * by their bytes.
 */
export async function exactRowsOf(
  transaction: Transaction,
  table: Table,
  keys: readonly string[],
  bytes: readonly Uint8Array[] = [],
): Promise<SourceRow[]> {
  const found = await rowsOf("sqlite").read(transaction, table, keys);
  const rows = [...found, ...(await rowsOfBytes(transaction, table, bytes))];
  const isFloat = table.columns.map(({ sqliteType }) => affinityOf(sqliteType ?? "") === "real");
  return rows.map((row) => ({
    ...row,
    values: row.values.map((value, index) =>
      typeof value === "number" && Number.isInteger(value) && isFloat[index] !== true ? BigInt(value) : value,
    ),
  }));
}

/**
 * Reads a SQLite table in parts, in the order in which its rows are stored: several times faster than rows of values, as long as few of
 * those are asked for. Tables WITHOUT ROWID cannot be read like that.
 */
export class SqlitePages {
  readonly #transaction: Transaction;
  readonly #table: Table;
  readonly #rowid: string;
  readonly #plainPages = new Map<PlainFormat, string>();
  #known: Promise<Extent | null> | null = null;

  /** null for a table WITHOUT ROWID. */
  static async of(transaction: Transaction, table: Table): Promise<SqlitePages | null> {
    const rowid = await rowidOf(transaction, table);
    return rowid === null ? null : new SqlitePages(transaction, table, rowid);
  }

  private constructor(transaction: Transaction, table: Table, rowid: string) {
    this.#transaction = transaction;
    this.#table = table;
    this.#rowid = rowid;
  }

  /** The first rows of a part of the table: about so many, never more. */
  async next({ after, last: end }: Window, rows: number): Promise<Window> {
    const extent = await this.#extent();
    if (extent === null) return { after, last: end };
    if (extent.isDense) {
      const last = (after ?? extent.first - 1n) + BigInt(rows);
      return { after, last: last >= (end ?? extent.last) ? end : last };
    }
    const { where, values } = conditionOf(this.#rowid, { after, last: end });
    const sql = `SELECT ${this.#rowid} AS last FROM ${quote(this.#table.name)} ${where} ORDER BY ${this.#rowid} LIMIT 1 OFFSET ?`;
    const [row] = await this.#transaction.query(statement(sql, [...values, BigInt(rows - 1)]));
    return { after, last: typeof row?.last === "bigint" ? row.last : end };
  }

  /** Where most rowids are taken, nobody has to count rows to find the end of a page. null where there is no row. */
  #extent(): Promise<Extent | null> {
    this.#known ??= this.#readExtent();
    return this.#known;
  }

  async #readExtent(): Promise<Extent | null> {
    const text = `SELECT MIN(${this.#rowid}) AS first, MAX(${this.#rowid}) AS last, COUNT(*) AS n FROM ${quote(this.#table.name)}`;
    const [row] = await this.#transaction.query(statement(text));
    if (typeof row?.first !== "bigint" || typeof row.last !== "bigint" || typeof row.n !== "bigint") return null;
    return { first: row.first, last: row.last, isDense: 2n * row.n > row.last - row.first };
  }

  /** The rows as data for COPY in that form; null where one of them is not plain. */
  async plain(format: PlainFormat, window: Window): Promise<PlainPage | null> {
    const { where, values } = conditionOf(this.#rowid, window);
    const [row] = await this.#transaction.query(statement(`${this.#plainSelect(format)} ${where}`, values));
    const size = Number(row?.n);
    const data = size === 0 ? new Uint8Array() : row?.page;
    return data instanceof Uint8Array && format.isPlain(data, size) ? { data, size, bytes: data.length } : null;
  }

  #plainSelect(format: PlainFormat): string {
    const known = this.#plainPages.get(format);
    if (known !== undefined) return known;
    const select = `SELECT ${format.page(this.#table)} AS page, COUNT(*) AS n FROM ${quote(this.#table.name)}`;
    this.#plainPages.set(format, select);
    return select;
  }

  async page(window: Window): Promise<SqlitePage> {
    const page = (await this.#read(spelled, window)) ?? (await this.#read(spelledInBytes, window));
    return page ?? new JsonPage(this.#table, [], 0, () => this.page(window));
  }

  /** null where some text of the page is not UTF-8. Without a subquery: it would copy every value once more. */
  async #read(spell: (column: Column) => string, window: Window): Promise<JsonPage | null> {
    const { where, values } = conditionOf(this.#rowid, window);
    const row = jsonRow(this.#table.columns.map(spell));
    const sql = `SELECT CAST(json_group_array(${row.sql}) AS BLOB) AS page FROM ${quote(this.#table.name)} ${where}`;
    const document = await readDocument(this.#transaction, statement(sql, values));
    return document && new JsonPage(this.#table, row.unfold(document.rows), document.bytes, () => this.page(window));
  }
}

interface Extent {
  readonly first: bigint;
  readonly last: bigint;
  readonly isDense: boolean;
}

function conditionOf(rowid: string, { after, last }: Window) {
  const bounds = [
    ...(after === null ? [] : [{ text: `${rowid} > ?`, value: after }]),
    ...(last === null ? [] : [{ text: `${rowid} <= ?`, value: last }]),
  ];
  const where = bounds.length === 0 ? "" : `WHERE ${bounds.map(({ text }) => text).join(" AND ")}`;
  return { where, values: bounds.map(({ value }) => value) };
}

/** What a column's kind promises comes first, since each comparison costs. */
function spelled({ name, kind }: Column): string {
  const column = quote(name);
  if (kind === "real")
    return `CASE typeof(${column}) WHEN 'real' THEN printf('%!.17g', ${column}) ELSE ${readableBytes(column)} END`;
  if (kind === "integer" || kind === "bigint" || kind === "boolean")
    return `CASE WHEN ${column} BETWEEN -9007199254740991 AND 9007199254740991 AND typeof(${column}) = 'integer' THEN ${column} ELSE ${readable(column)} END`;
  return `CASE typeof(${column}) WHEN 'text' THEN ${column} ELSE ${readable(column)} END`;
}

function spelledInBytes({ name }: Column): string {
  return readableBytes(quote(name));
}

class JsonPage implements SqlitePage {
  readonly cells: readonly (readonly Cell[])[];
  readonly bytes: number;
  readonly again: () => Promise<SqlitePage>;
  readonly #table: Table;

  constructor(table: Table, cells: readonly (readonly Cell[])[], bytes: number, again: () => Promise<SqlitePage>) {
    this.#table = table;
    this.cells = cells;
    this.bytes = bytes;
    this.again = again;
  }

  get size(): number {
    return this.cells.length;
  }

  row(index: number): SourceRow {
    const { columns, key } = this.#table;
    const found = valuesOf(columns, this.cells[index] ?? [], exactIn);
    const parts = key.map((name) => found.values[columns.findIndex((column) => column.name === name)] ?? null);
    return { key: encodeKey(parts), ...found };
  }
}

/** Rows that were read as values. */
export class ReadPage implements SqlitePage {
  readonly cells = null;
  readonly bytes = 0;
  readonly #rows: readonly SourceRow[];

  constructor(rows: readonly SourceRow[]) {
    this.#rows = rows;
  }

  get size(): number {
    return this.#rows.length;
  }

  row(index: number): SourceRow {
    return this.#rows[index] as SourceRow;
  }

  again(): Promise<SqlitePage> {
    return Promise.resolve(this);
  }
}

/** Columns of kind `real` have their digits as text. */
function exactIn(cell: Cell, { kind }: Column): ExactValue {
  return kind === "real" && typeof cell === "string" ? exactValue(["r", cell]) : bitExact(cell);
}
