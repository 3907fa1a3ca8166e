import { rowidOf } from "../data/rows/rowid.js";
import { quote, type Table } from "../data/table.js";
import { type Side, type Statement, statement, type Transaction } from "../engines/engine.js";

/** About how many rows a table has, without counting them: for a progress bar. null where nothing is known. */
export async function rowsAbout(side: Side, transaction: Transaction, table: Table): Promise<number | null> {
  const estimate = side === "sqlite" ? await rowidSpan(transaction, table) : lastAnalyzed(table);
  if (estimate === null) return null;
  const about = Number((await transaction.query(estimate))[0]?.about ?? -1);
  return about < 0 ? null : about;
}

/** null for a table without a rowid. */
async function rowidSpan(transaction: Transaction, table: Table): Promise<Statement | null> {
  const rowid = await rowidOf(transaction, table);
  const name = quote(table.name);
  if (rowid === null) return null;
  return statement(`SELECT (SELECT max(${rowid}) FROM ${name}) - (SELECT min(${rowid}) FROM ${name}) + 1 AS about`);
}

function lastAnalyzed({ name }: Table): Statement {
  return statement("SELECT reltuples::bigint AS about FROM pg_class WHERE oid = $1::text::regclass", [quote(name)]);
}
