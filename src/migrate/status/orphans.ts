import { setImmediate as turn } from "node:timers/promises";
import sql, { raw } from "sql-template-tag";
import type { Pairing } from "../../data/discover.js";
import { type Reference, TableGraph } from "../../data/graph.js";
import { windows } from "../../data/sqlite-rows.js";
import { columnOf, nameOn, quote, type Table } from "../../data/table.js";
import type { Engine, Side } from "../../engines/engine.js";

/** Rows that name a parent which is not there. */
export interface Orphans {
  readonly side: Side;
  readonly table: string;
  readonly columns: readonly string[];
  readonly rows: number;
}

const timeoutMs = 600_000;

/** The foreign keys of either side that rows violate, asked of both: a database may not have had them checked. */
export async function findOrphans(engine: Engine, pairing: Pairing): Promise<Orphans[]> {
  const graph = new TableGraph(pairing.pairs.map(({ table }) => table));
  const found: Orphans[] = [];
  for (const parent of graph.tables)
    for (const reference of graph.referencesTo(parent)) {
      const rows = await (engine.side === "sqlite" ? onSqlite : onPostgres)(engine, reference, parent);
      const { child, foreignKey } = reference;
      if (rows > 0) found.push({ side: engine.side, table: child.name, columns: foreignKey.columns, rows });
    }
  return found;
}

/** In parts, so that the event loop gets its turns. */
async function onSqlite(engine: Engine, reference: Reference, parent: Table): Promise<number> {
  return engine.transaction({ mode: "read" }, async (transaction) => {
    let rows = 0;
    for await (const { text, values } of windows(transaction, reference.child)) {
      const statement = `${orphansOf("sqlite", reference, parent)} AND ${text.replaceAll("_rowid_", "c._rowid_")}`;
      const [row] = await transaction.query({ sql: statement, text: statement, values });
      rows += Number(row?.rows);
      await turn();
    }
    return rows;
  });
}

async function onPostgres(engine: Engine, reference: Reference, parent: Table): Promise<number> {
  const [row] = await engine.read(sql`${raw(orphansOf("postgres", reference, parent))}`, { timeoutMs });
  return Number(row?.rows);
}

/** A key with a NULL in it points nowhere. */
function orphansOf(side: Side, { child, foreignKey }: Reference, parent: Table): string {
  const mine = foreignKey.columns.map((name) => `c.${quote(nameOn(side, columnOf(child, name)))}`);
  const others = foreignKey.parentColumns.map((name) => `p.${quote(nameOn(side, columnOf(parent, name)))}`);
  const match = mine.map((column, index) => `${others[index]} = ${column}`).join(" AND ");
  const given = mine.map((column) => `${column} IS NOT NULL`).join(" AND ");
  return `SELECT COUNT(*) AS rows FROM ${quote(nameOn(side, child))} AS c WHERE ${given}
    AND NOT EXISTS (SELECT 1 FROM ${quote(nameOn(side, parent))} AS p WHERE ${match})`;
}
