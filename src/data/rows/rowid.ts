import { type ExactValue, statement, type Transaction } from "../../engines/engine.js";
import { quote, type Table } from "../table.js";

/** A name of the rowid that no column has taken, as an SQL identifier; null where the table is WITHOUT ROWID, or every name is taken. */
export async function rowidOf(transaction: Transaction, { name }: Pick<Table, "name">): Promise<string | null> {
  const [listed] = await transaction.query(
    statement("SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?", [name]),
  );
  if (listed?.wr === 1n) return null;
  const columns = await transaction.query(statement("SELECT name FROM pragma_table_xinfo(?)", [name]));
  const taken = new Set(columns.map((column) => String(column.name).toLowerCase()));
  return ["_rowid_", "rowid", "oid"].find((candidate) => !taken.has(candidate)) ?? null;
}

/** A condition of a WHERE clause and its parameters. */
export interface Condition {
  readonly text: string;
  readonly values: readonly ExactValue[];
}

/** Some milliseconds' work. */
export const rowsInAPart = 5_000;

/**
 * Conditions that cut a table of SQLite into parts of some thousand rows, so that work on a whole table gives the event loop its turns.
 * A table without a rowid is one part.
 */
export async function* partsByRowid(transaction: Transaction, table: Table): AsyncIterable<Condition> {
  const rowid = await rowidOf(transaction, table);
  if (rowid === null) {
    yield { text: "TRUE", values: [] };
    return;
  }
  let after: ExactValue = -(2n ** 63n);
  for (;;) {
    const next = `SELECT ${rowid} AS last FROM ${quote(table.name)} WHERE ${rowid} > ? ORDER BY ${rowid} LIMIT 1 OFFSET ${rowsInAPart}`;
    const last: ExactValue | undefined = (await transaction.query(statement(next, [after])))[0]?.last;
    if (last === undefined) break;
    yield { text: `${rowid} > ? AND ${rowid} <= ?`, values: [after, last] };
    after = last;
  }
  yield { text: `${rowid} > ?`, values: [after] };
}
