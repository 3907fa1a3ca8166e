import sql from "sql-template-tag";
import type { Pairing } from "../../data/catalogue/discover.js";
import { countSqlite } from "../../data/rows/count.js";
import type { Engine, Transaction } from "../../engines/engine.js";
import { countPostgres } from "../row-estimate.js";

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

async function owedRows(transaction: Transaction): Promise<ReadonlyMap<string, number>> {
  const rows = await transaction.query(
    sql`SELECT table_name, COUNT(*) AS owed FROM dualdb_journal GROUP BY table_name`,
  );
  return new Map(rows.map((row) => [String(row.table_name), Number(row.owed)]));
}
