import type { TableGraph } from "../../data/graph.js";
import { windows } from "../../data/rows/sqlite-rows.js";
import { columnOf, type ForeignKey, quotedOn, type Table } from "../../data/table.js";
import type { Engine, Side, Transaction } from "../../engines/engine.js";

/** Rows of one side that point to a parent which is not there. */
export interface Orphans {
  readonly side: Side;
  readonly table: string;
  readonly columns: readonly string[];
  readonly parent: string;
  readonly rows: number;
}

/** The foreign keys of a table, of either side, that rows on either side violate. */
export async function orphansOf(
  graph: TableGraph,
  table: Table,
  engines: { readonly sqlite: Engine; readonly postgres: Engine; readonly timeoutMs: number },
): Promise<Orphans[]> {
  const found: Orphans[] = [];
  for (const { parent, foreignKey } of graph.parentsOf(table)) {
    const { columns } = foreignKey;
    const sqlite = await engines.sqlite.transaction({ mode: "read" }, (reader) =>
      inSqlite(reader, table, parent, foreignKey),
    );
    const postgres = await engines.postgres.transaction({ mode: "read", timeoutMs: engines.timeoutMs }, (reader) =>
      count(reader, countText("postgres", table, parent, foreignKey, "TRUE"), []),
    );
    if (sqlite > 0) found.push({ side: "sqlite", table: table.name, columns, parent: parent.name, rows: sqlite });
    if (postgres > 0) found.push({ side: "postgres", table: table.name, columns, parent: parent.name, rows: postgres });
  }
  return found;
}

/** In parts, so that the event loop gets its turns. */
async function inSqlite(reader: Transaction, table: Table, parent: Table, foreignKey: ForeignKey): Promise<number> {
  let rows = 0;
  for await (const { text, values } of windows(reader, table))
    rows += await count(reader, countText("sqlite", table, parent, foreignKey, text), values);
  return rows;
}

function countText(
  side: Side,
  table: Table,
  parent: Table,
  { columns, parentColumns }: ForeignKey,
  where: string,
): string {
  const whole = columns.map((name) => `t.${quotedOn(side, columnOf(table, name))} IS NOT NULL`);
  const same = columns.map((name, index) => {
    const child = columnOf(table, name);
    const other = columnOf(parent, parentColumns[index] ?? "");
    // A key that only SQLite has may point between types which PostgreSQL does not compare.
    const cast = side === "postgres" && child.type !== other.type ? "::text" : "";
    return `p.${quotedOn(side, other)}${cast} = t.${quotedOn(side, child)}${cast}`;
  });
  return `SELECT COUNT(*) AS rows FROM ${quotedOn(side, table)} AS t WHERE ${[where, ...whole].join(" AND ")}
    AND NOT EXISTS (SELECT 1 FROM ${quotedOn(side, parent)} AS p WHERE ${same.join(" AND ")})`;
}

async function count(reader: Transaction, text: string, values: readonly unknown[]): Promise<number> {
  const [row] = await reader.query({ sql: text, text, values });
  return Number(row?.rows);
}
