import { setImmediate as turn } from "node:timers/promises";
import sql, { raw } from "sql-template-tag";
import type { Pairing } from "../../data/catalogue/discover.js";
import { partsByRowid } from "../../data/rows/rowid.js";
import { quotedOn, type Table } from "../../data/table.js";
import { type Engine, statement, type Transaction } from "../../engines/engine.js";

/** Rows of a table on both sides at about the same time. */
export interface TableCount {
  readonly table: string;
  readonly sqlite: number;
  readonly postgres: number;
  /** Rows of it that either side is still owed: so far the two may be apart. */
  readonly owed: number;
}

const timeoutMs = 600_000;

/** Counts every table that both sides have, each side in one snapshot of its own. Gives the event loop its turns. */
export async function countTables(
  sqlite: Engine,
  postgres: Engine,
  pairing: Pairing,
  paired: boolean,
): Promise<TableCount[]> {
  return sqlite.transaction({ mode: "read" }, (left) =>
    postgres.transaction({ mode: "read", timeoutMs }, async (right) => {
      // Both snapshots begin here, and not with the first table.
      const owed = paired ? [await owedRows(left), await owedRows(right)] : [];
      const counts: TableCount[] = [];
      for (const { table } of pairing.pairs)
        counts.push({
          table: table.name,
          sqlite: await countSqlite(left, table),
          postgres: await countPostgres(right, table),
          owed: owed.reduce((sum, journal) => sum + (journal.get(table.name) ?? 0), 0),
        });
      return counts;
    }),
  );
}

/** Counts every table of SQLite, where the other side cannot be looked at. */
export async function countSqlite(transaction: Transaction, table: Table): Promise<number> {
  let count = 0;
  for await (const { text, values } of partsByRowid(transaction, table)) {
    const counting = `SELECT COUNT(*) AS rows FROM ${quotedOn("sqlite", table)} WHERE ${text}`;
    count += numberIn(await transaction.query(statement(counting, values)));
    await turn();
  }
  return count;
}

export async function countPostgres(transaction: Transaction, table: Table): Promise<number> {
  return numberIn(await transaction.query(sql`SELECT COUNT(*) AS rows FROM ${raw(quotedOn("postgres", table))}`));
}

async function owedRows(transaction: Transaction): Promise<ReadonlyMap<string, number>> {
  const rows = await transaction.query(
    sql`SELECT table_name, COUNT(*) AS owed FROM dualdb_journal GROUP BY table_name`,
  );
  return new Map(rows.map((row) => [String(row.table_name), Number(row.owed)]));
}

function numberIn(rows: readonly { readonly rows?: unknown }[]): number {
  return Number(rows[0]?.rows);
}
