import { countSqlite } from "../data/rows/count.js";
import { quotedOn, type Table } from "../data/table.js";
import { type Side, statement, type Transaction } from "../engines/engine.js";

/**
 * About how many rows a table has, for a progress bar: SQLite's are counted, since nothing that it remembers of a table can be relied on;
 * PostgreSQL remembers how many there were lately. `onRows` is told how many have been counted.
 */
export async function rowsAbout(
  side: Side,
  transaction: Transaction,
  table: Table,
  onRows?: (rows: number) => void,
): Promise<number> {
  if (side === "sqlite") return countSqlite(transaction, table, onRows);
  return (await lastAnalyzed(transaction, table)) ?? countPostgres(transaction, table);
}

/** null where PostgreSQL has not looked yet: some versions say -1 then, and others 0. */
async function lastAnalyzed(transaction: Transaction, table: Table): Promise<number | null> {
  const text = "SELECT reltuples::bigint AS about FROM pg_class WHERE oid = $1::text::regclass";
  const [row] = await transaction.query(statement(text, [quotedOn("postgres", table)]));
  const about = Number(row?.about ?? 0);
  return about > 0 ? about : null;
}

/** How many rows a table of PostgreSQL has. */
export async function countPostgres(transaction: Transaction, table: Table): Promise<number> {
  const [row] = await transaction.query(statement(`SELECT COUNT(*) AS n FROM ${quotedOn("postgres", table)}`));
  return Number(row?.n);
}
