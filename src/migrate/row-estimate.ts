import { quote, type Table } from "../data/table.js";
import type { Side, Statement, Transaction } from "../engines/engine.js";

/** About how many rows a table has, without counting them: for a progress bar. null where nothing is known. */
export async function rowsAbout(side: Side, transaction: Transaction, table: Table): Promise<number | null> {
  const rows = await transaction.query(side === "sqlite" ? widthOfRowids(table) : lastAnalyzed(table)).catch(() => []);
  const about = Number(rows[0]?.about ?? -1);
  return about < 0 ? null : about;
}

/** A table WITHOUT ROWID refuses this. */
function widthOfRowids({ name }: Table): Statement {
  const table = quote(name);
  return statement(`SELECT (SELECT max(_rowid_) FROM ${table}) - (SELECT min(_rowid_) FROM ${table}) + 1 AS about`);
}

function lastAnalyzed({ name }: Table): Statement {
  return statement("SELECT reltuples::bigint AS about FROM pg_class WHERE oid = $1::text::regclass", quote(name));
}

function statement(text: string, ...values: readonly unknown[]): Statement {
  return { sql: text, text, values };
}
