import { setImmediate as turn } from "node:timers/promises";
import { type ExactValue, statement, type Transaction } from "../../engines/engine.js";
import { quote, type Table } from "../table.js";
import { rowidOf } from "./rowid.js";

/** So many rows are counted at once, which takes some hundredths of a second. */
const mostAtOnce = 500_000n;
/** Of more of them, so many between two turns of the event loop. */
const rowsInAPart = 20_000;

/**
 * Counts the rows of a table of SQLite. The event loop gets its turns where there may be many, which takes about three times as long; a
 * table without a rowid is counted in one piece. `onRows` is told how many have been counted.
 */
export async function countSqlite(
  transaction: Transaction,
  table: Table,
  onRows: (rows: number) => void = () => undefined,
): Promise<number> {
  const rowid = await rowidOf(transaction, table);
  if (rowid === null || (await mayHave(transaction, table, rowid)) <= mostAtOnce) {
    const [row] = await transaction.query(statement(`SELECT COUNT(*) AS n FROM ${quote(table.name)}`));
    return Number(row?.n);
  }
  return countInParts(transaction, table, rowid, onRows);
}

/** As many as there is room for between the first rowid and the last. */
async function mayHave(transaction: Transaction, { name }: Table, rowid: string): Promise<bigint> {
  const ends = `SELECT (SELECT min(${rowid}) FROM ${quote(name)}) AS first, (SELECT max(${rowid}) FROM ${quote(name)}) AS last`;
  const [row] = await transaction.query(statement(ends));
  return typeof row?.first === "bigint" && typeof row.last === "bigint" ? row.last - row.first + 1n : 0n;
}

async function countInParts(
  transaction: Transaction,
  { name }: Table,
  rowid: string,
  onRows: (rows: number) => void,
): Promise<number> {
  const part = (condition: string) => `SELECT COUNT(*) AS n, MAX(r) AS last
    FROM (SELECT ${rowid} AS r FROM ${quote(name)} WHERE ${condition} ORDER BY ${rowid} LIMIT ${rowsInAPart})`;
  let rows = 0;
  for (let after: ExactValue = null; ; ) {
    const counting = after === null ? statement(part("TRUE")) : statement(part(`${rowid} > ?`), [after]);
    const [found] = await transaction.query(counting);
    rows += Number(found?.n);
    if (Number(found?.n) < rowsInAPart) return rows;
    after = found?.last ?? null;
    onRows(rows);
    await turn();
  }
}
