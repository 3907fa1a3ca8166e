import type { TablePair } from "../../data/catalogue/discover.js";
import { componentsOf } from "../../data/components.js";
import { TableGraph } from "../../data/graph.js";
import type { Table } from "../../data/table.js";

/** Tables that foreign keys join, directly or through others: what becomes of a row depends on no other table. */
export interface Family {
  readonly pairs: readonly TablePair[];
  /** What a copy takes at a time, in its order. */
  readonly steps: readonly Step[];
  /** Tables that a copy leaves out. */
  readonly leftOut: readonly TablePair[];
}

/** One table, or those of a cycle. */
export interface Step {
  readonly pairs: readonly TablePair[];
  readonly isCyclic: boolean;
}

export function familiesOf(pairs: readonly TablePair[]): Family[] {
  const copied = pairs.filter((pair) => !isLeftOut(pair));
  const steps = componentsOf(new TableGraph(copied.map(({ table }) => table))).map(({ tables, isCyclic }) => {
    const members = copied.filter(({ table }) => tables.includes(table));
    return { isCyclic, pairs: isCyclic ? members.filter(({ keyless }) => keyless === null) : members };
  });
  return relatedTables(pairs).map((tables) => {
    const members = pairs.filter(({ table }) => tables.has(table));
    const own = steps.filter((step) => step.pairs.some((pair) => members.includes(pair)));
    const taken = own.flatMap((step) => step.pairs);
    return { pairs: members, steps: own, leftOut: members.filter((pair) => !taken.includes(pair)) };
  });
}

/** As long as PostgreSQL lacks one of its columns. */
function isLeftOut({ missing }: TablePair): boolean {
  return missing.some(({ side }) => side === "postgres");
}

function relatedTables(pairs: readonly TablePair[]): Set<Table>[] {
  const tables = pairs.map(({ table }) => table);
  const graph = new TableGraph(tables);
  const found = new Map<Table, Set<Table>>(tables.map((table) => [table, new Set([table])]));
  for (const table of tables)
    for (const { parent } of graph.parentsOf(table)) {
      const joined = new Set([...(found.get(table) ?? []), ...(found.get(parent) ?? [])]);
      for (const one of joined) found.set(one, joined);
    }
  return [...new Set(found.values())];
}
