import type { TableGraph } from "./graph.js";
import { stronglyConnected } from "./strongly-connected.js";
import type { Table } from "./table.js";

/** Tables that have to be filled together, since their foreign keys form a cycle; one table alone in most cases. */
export interface Component {
  readonly tables: readonly Table[];
  /** Whether a row may point to one of the same component. */
  readonly isCyclic: boolean;
}

/** Every table once, each component behind all that it points to. */
export function componentsOf(graph: TableGraph): Component[] {
  const { tables } = graph;
  const numbers = new Map(tables.map((table, index) => [table, index]));
  const edges = tables.flatMap((table, from) =>
    graph.parentsOf(table).map(({ parent }) => ({ from, to: numbers.get(parent) ?? from })),
  );
  const groups = stronglyConnected(
    tables.length,
    edges.map(({ from }) => from),
    edges.map(({ to }) => to),
  );
  return Array.from({ length: groups.count }, (_, group) => ({
    tables: tables.filter((_, index) => groups.of[index] === group),
    isCyclic: edges.some(({ from, to }) => groups.of[from] === group && groups.of[to] === group),
  }));
}
