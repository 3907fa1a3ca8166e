import { type ExactRow, type ExactValue, statement, type Transaction } from "../../engines/engine.js";
import type { SourceRow } from "../conversion/convert.js";
import { encodeKey } from "../key.js";
import { quote, type Table } from "../table.js";
import { PageSize } from "./page-size.js";

/** Text that says the same wherever and whenever it is read again. */
const spelling = `SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL IntervalStyle = 'postgres';
  SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = 'hex'`;

/** Through a cursor, so that memory does not grow with the table. */
export async function* everyPostgresRow(transaction: Transaction, table: Table): AsyncGenerator<SourceRow[]> {
  const pages = new PageSize();
  const keyAt = table.key.map((name) => table.columns.findIndex((column) => column.name === name));
  await transaction.script(`${spelling}; DECLARE dualdb_rows NO SCROLL CURSOR FOR ${selectText(table)}`);
  for (;;) {
    const rows = await transaction.query(statement(`FETCH ${pages.rows} FROM dualdb_rows`));
    if (rows.length === 0) break;
    const read = rows.map((row) => sourceRow(table, keyAt, row));
    pages.learn(
      read.reduce((sum, { values }) => sum + sizeOf(values), 0),
      0,
    );
    yield read;
  }
  await transaction.script("CLOSE dualdb_rows");
}

function selectText(table: Table): string {
  const columns = table.columns.map(
    ({ name, kind }, index) => `${quote(name)}${kind === "other" ? "::text" : ""} AS c${index}`,
  );
  return `SELECT ${columns.join(", ")} FROM ${quote(table.name)}`;
}

function sourceRow(table: Table, keyAt: readonly number[], row: ExactRow): SourceRow {
  const values = table.columns.map((_, index) => row[`c${index}`] ?? null);
  return { key: encodeKey(keyAt.map((index) => values[index] ?? null)), values };
}

function sizeOf(values: readonly ExactValue[]): number {
  let size = 0;
  for (const value of values) size += typeof value === "string" || value instanceof Uint8Array ? value.length : 8;
  return size;
}
