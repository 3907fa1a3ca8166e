import type { Side, Transaction } from "../../engines/engine.js";
import type { SourceRow } from "../conversion/convert.js";
import type { Table } from "../table.js";
import { everyPostgresRow } from "./every-postgres-row.js";
import { everySqliteRow } from "./every-sqlite-row.js";

/**
 * Every row of a table of one side as the transaction sees it, to the bit, in pages that are bounded in bytes and in time. Any table will
 * do: without a key, WITHOUT ROWID, with a thousand columns. The table is that side's own, as its catalogue describes it.
 */
export function everyRow(side: Side, transaction: Transaction, table: Table): AsyncIterable<SourceRow[]> {
  return side === "sqlite" ? everySqliteRow(transaction, table) : everyPostgresRow(transaction, table);
}
