import type { TableGraph } from "./graph.js";
import type { Table } from "./table.js";

/** Tables that have to be filled together, since their foreign keys form a cycle; one table alone in most cases. */
export interface Component {
  readonly tables: readonly Table[];
  /** Whether a row may point to one of the same component. */
  readonly isCyclic: boolean;
}

/** Every table once, each component behind all that it points to. */
export function componentsOf(graph: TableGraph): Component[] {
  const search = new Search(graph);
  for (const table of graph.tables) search.visit(table);
  return search.components;
}

/** Tarjan's algorithm, which meets parents before their children. */
class Search {
  readonly components: Component[] = [];
  readonly #graph: TableGraph;
  readonly #index = new Map<Table, number>();
  readonly #lowest = new Map<Table, number>();
  readonly #stack: Table[] = [];

  constructor(graph: TableGraph) {
    this.#graph = graph;
  }

  visit(table: Table): void {
    if (this.#index.has(table)) return;
    const index = this.#index.size;
    this.#index.set(table, index);
    this.#lowest.set(table, index);
    this.#stack.push(table);
    for (const parent of this.#parents(table)) this.#look(table, parent);
    if (this.#lowest.get(table) === index) this.#finish(table);
  }

  #look(table: Table, parent: Table): void {
    const isNew = !this.#index.has(parent);
    this.visit(parent);
    const reached = isNew ? this.#lowest.get(parent) : this.#index.get(parent);
    if (!this.#stack.includes(parent) || reached === undefined) return;
    this.#lowest.set(table, Math.min(reached, this.#lowest.get(table) ?? reached));
  }

  #finish(root: Table): void {
    const tables = this.#stack.splice(this.#stack.indexOf(root));
    const isCyclic = tables.length > 1 || this.#parents(root).includes(root);
    this.components.push({ tables, isCyclic });
  }

  #parents(table: Table): Table[] {
    return this.#graph.parentsOf(table).map(({ parent }) => parent);
  }
}
