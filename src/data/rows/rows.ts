import type { ExactValue, Side, Transaction } from "../../engines/engine.js";
import type { SourceRow } from "../conversion/convert.js";
import type { Table } from "../table.js";
import { postgresRows } from "./postgres-rows.js";
import { sqliteRows } from "./sqlite-rows.js";

/** A row found by what it holds. */
export interface Holder {
  readonly key: string;
  readonly values: readonly ExactValue[];
}

/** Rows of any table on one side, with exact values. Every method takes any number of rows, none included. */
export interface Rows {
  /** The rows of these keys that exist, their values in the order of `table.columns`. */
  read(transaction: Transaction, table: Table, keys: readonly string[]): Promise<SourceRow[]>;
  /** The rows whose `columns` hold one of these lists of values, with those values. */
  holders(
    transaction: Transaction,
    table: Table,
    columns: readonly string[],
    values: readonly (readonly ExactValue[])[],
  ): Promise<Holder[]>;
  /** Into a PostgreSQL table without a key, an insert. */
  upsert(transaction: Transaction, table: Table, rows: readonly (readonly ExactValue[])[]): Promise<void>;
  remove(transaction: Transaction, table: Table, keys: readonly string[]): Promise<void>;
  /** Every key of the table, in pages; the bytes of those that are no UTF-8. */
  keys(transaction: Transaction, table: Table): AsyncIterable<(string | Uint8Array)[]>;
}

export function rowsOf(side: Side): Rows {
  return side === "sqlite" ? sqliteRows : postgresRows;
}
