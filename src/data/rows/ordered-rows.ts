import { type Engine, type PostgresTransaction, statement, type Transaction } from "../../engines/engine.js";
import type { SourceRow } from "../conversion/convert.js";
import type { KeyOrder } from "../equality/key-order.js";
import { keyExpression } from "../key.js";
import { quote, quotedOn, type Table } from "../table.js";
import { jsonRow, readDocument, valuesOf } from "./json-rows.js";
import { PageSize } from "./page-size.js";
import { type Place, type PlaceBound, Places } from "./places.js";
import { readable as readablePostgres } from "./postgres-expression.js";
import { type Cell, exactValue, readable, readableBytes } from "./sqlite-cells.js";

/**
 * Every row of SQLite's table in the order of its key, in pages that are small in bytes and in time. Each page is a read of its own, as of
 * its own moment, so that nothing is held open on a file that others write to. Rows without a whole key come first.
 */
export async function* orderedSqliteRows(engine: Engine, table: Table, order: KeyOrder): AsyncGenerator<SourceRow[]> {
  const walk = new Walk(table, order);
  const keyless = await engine.transaction({ mode: "read" }, (transaction) => walk.keyless(transaction));
  if (keyless.length > 0) yield keyless;
  const size = new PageSize();
  for (let after: Place | null = null; ; ) {
    const page: Page = await engine.transaction({ mode: "read" }, (transaction) =>
      walk.page(transaction, after, size.rows),
    );
    if (page.rows.length > 0) yield page.rows;
    if (page.last === null) return;
    size.learn(page.bytes, page.blockedMs);
    after = page.last;
  }
}

/** Text that says the same in every session. */
export const postgresSpelling =
  "SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL IntervalStyle = 'postgres'";

/** The same of PostgreSQL's table, as lines of COPY without their line feeds: most of them need not be taken apart. */
export function orderedPostgresLines(
  transaction: PostgresTransaction,
  table: Table,
  order: KeyOrder,
): AsyncGenerator<string[]> {
  return postgresLines(transaction, table, `ORDER BY ${order.postgres}`);
}

/** Every row in any order; `rest` is what follows the table's name, where it is called `t`. */
export async function* postgresLines(
  transaction: PostgresTransaction,
  table: Table,
  rest = "",
): AsyncGenerator<string[]> {
  const columns = table.columns.map((column) => readablePostgres(column, "t")).join(", ");
  const rows = `SELECT ${columns} FROM ${quotedOn("postgres", table)} AS t ${rest}`;
  await transaction.script(postgresSpelling);
  let begun: Uint8Array[] = [];
  for await (const chunk of transaction.copyOut(`COPY (${rows}) TO STDOUT`)) {
    const end = chunk.lastIndexOf(lineFeed) + 1;
    if (end > 0) {
      const whole = Buffer.concat([...begun, chunk.subarray(0, end - 1)]).toString("utf8");
      begun = [];
      yield whole.split("\n");
    }
    if (end < chunk.length) begun.push(chunk.subarray(end));
  }
}

const lineFeed = 10;

interface Page {
  readonly rows: SourceRow[];
  /** null where this was the end of the table. */
  readonly last: Place | null;
  readonly bytes: number;
  readonly blockedMs: number;
}

class Walk {
  readonly #table: Table;
  readonly #key: readonly string[];
  readonly #places: Places;

  constructor(table: Table, order: KeyOrder) {
    this.#table = table;
    this.#key = order.sqlite;
    this.#places = new Places(table.name, order.sqlite);
  }

  /** The rows with a NULL in their key, which SQLite allows in old tables, and behind which no page could go on. */
  async keyless(transaction: Transaction): Promise<SourceRow[]> {
    const where = this.#key.map((name) => `${name} IS NULL`).join(" OR ");
    return (await this.#rows(transaction, { where, values: [] })).rows;
  }

  async page(transaction: Transaction, after: Place | null, limit: number): Promise<Page> {
    const began = performance.now();
    const last = await this.#places.last(transaction, after, limit);
    const { rows, bytes } = await this.#rows(transaction, this.#places.between(after, last));
    return { rows, last, bytes, blockedMs: performance.now() - began };
  }

  async #rows(transaction: Transaction, condition: PlaceBound): Promise<{ rows: SourceRow[]; bytes: number }> {
    const plain = await this.#read(transaction, condition, readable);
    if (plain !== null) return plain;
    return (await this.#read(transaction, condition, readableBytes)) ?? { rows: [], bytes: 0 };
  }

  /** null where some text of the page is not UTF-8. */
  async #read(
    transaction: Transaction,
    { where, values }: PlaceBound,
    spell: typeof readable,
  ): Promise<{ rows: SourceRow[]; bytes: number } | null> {
    const { columns, name } = this.#table;
    const key = `(${keyExpression("sqlite", this.#table, "t")})`;
    const cells = columns.map((column) => spell(`t.${quote(column.name)}`));
    const row = jsonRow([...cells, spell === readable ? key : spell(key)]);
    const selected = columns.map((column) => quote(column.name)).join(", ");
    // With a LIMIT the order is kept, which else is nobody's concern where rows are only collected.
    const ordered = `SELECT ${selected} FROM ${quote(name)} WHERE ${where} ORDER BY ${this.#key.join(", ")} LIMIT -1`;
    const sql = `SELECT CAST(json_group_array(${row.sql}) AS BLOB) AS page FROM (${ordered}) AS t`;
    const document = await readDocument(transaction, statement(sql, values));
    return document && { rows: row.unfold(document.rows).map((one) => this.#row(one)), bytes: document.bytes };
  }

  #row(cells: readonly Cell[]): SourceRow {
    const { columns } = this.#table;
    return { key: String(exactValue(cells[columns.length] ?? null)), ...valuesOf(columns, cells) };
  }
}
