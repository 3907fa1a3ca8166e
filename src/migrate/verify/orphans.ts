import type { TableGraph } from "../../data/graph.js";
import { quotedOn, type Table } from "../../data/table.js";
import type { Engine, Side, Transaction } from "../../engines/engine.js";
import { orphans, type Parentage } from "../orphans.js";

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
  child: Table,
  engines: { readonly sqlite: Engine; readonly postgres: Engine; readonly timeoutMs: number },
): Promise<Orphans[]> {
  const found: Orphans[] = [];
  for (const { parent, foreignKey } of graph.parentsOf(child)) {
    for (const side of ["sqlite", "postgres"] as const) {
      const rows = await engines[side].transaction({ mode: "read", timeoutMs: engines.timeoutMs }, (reader) =>
        count(reader, side, { child, parent, foreignKey }),
      );
      if (rows > 0) found.push({ side, table: child.name, columns: foreignKey.columns, parent: parent.name, rows });
    }
  }
  return found;
}

async function count(reader: Transaction, side: Side, parentage: Parentage): Promise<number> {
  let rows = 0;
  for await (const { text, values } of orphans(reader, side, parentage)) {
    const query = `SELECT COUNT(*) AS rows FROM ${quotedOn(side, parentage.child)} AS t WHERE ${text}`;
    const [row] = await reader.query({ sql: query, text: query, values });
    rows += Number(row?.rows);
  }
  return rows;
}
