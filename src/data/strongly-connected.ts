/** The nodes of a directed graph, numbered from 0, in groups that can only be taken as a whole. */
export interface Groups {
  /** How many there are. */
  readonly count: number;
  /** The number of each node's group, from 0: a group has a higher number than all that it points to. */
  readonly of: Int32Array;
}

/** The strongly connected components of a graph; `from[i]` points to `to[i]`. Its memory is a few numbers for each node and edge. */
export function stronglyConnected(size: number, from: readonly number[], to: readonly number[]): Groups {
  const search = new Search(size, from, to);
  for (let node = 0; node < size; node++) search.visit(node);
  return search;
}

const unseen = -1;

/** Tarjan's algorithm with a path of its own, since the graph may be deeper than the call stack. */
class Search implements Groups {
  count = 0;
  readonly of: Int32Array;
  readonly #edges: Edges;
  readonly #index: Int32Array;
  readonly #lowest: Int32Array;
  /** Which of its edges is to be looked at next. */
  readonly #next: Int32Array;
  readonly #open: number[] = [];
  #seen = 0;

  constructor(size: number, from: readonly number[], to: readonly number[]) {
    this.of = new Int32Array(size).fill(unseen);
    this.#edges = new Edges(size, from, to);
    this.#index = new Int32Array(size).fill(unseen);
    this.#lowest = new Int32Array(size);
    this.#next = this.#edges.starts.slice(0, size);
  }

  visit(root: number): void {
    if (this.#indexOf(root) !== unseen) return;
    const path = [this.#enter(root)];
    for (let node = path.at(-1); node !== undefined; node = path.at(-1)) {
      const target = this.#take(node);
      if (target === undefined) this.#leave(node, path);
      else if (this.#indexOf(target) === unseen) path.push(this.#enter(target));
      else if (this.of[target] === unseen) this.#lower(node, this.#indexOf(target));
    }
  }

  #enter(node: number): number {
    this.#index[node] = this.#seen;
    this.#lowest[node] = this.#seen++;
    this.#open.push(node);
    return node;
  }

  /** The next node that this one points to. */
  #take(node: number): number | undefined {
    const at = this.#next[node] ?? 0;
    if (at === this.#edges.starts[node + 1]) return undefined;
    this.#next[node] = at + 1;
    return this.#edges.targets[at];
  }

  #leave(node: number, path: number[]): void {
    path.pop();
    const parent = path.at(-1);
    if (parent !== undefined) this.#lower(parent, this.#lowestOf(node));
    if (this.#lowestOf(node) !== this.#indexOf(node)) return;
    const group = this.count++;
    for (let member = this.#open.pop(); member !== undefined; member = this.#open.pop()) {
      this.of[member] = group;
      if (member === node) return;
    }
  }

  #lower(node: number, index: number): void {
    this.#lowest[node] = Math.min(this.#lowestOf(node), index);
  }

  #indexOf(node: number): number {
    return this.#index[node] ?? unseen;
  }

  #lowestOf(node: number): number {
    return this.#lowest[node] ?? unseen;
  }
}

/** The targets of each node's edges beside each other: those of node `n` are `targets[starts[n]]` up to `targets[starts[n + 1] - 1]`. */
class Edges {
  readonly starts: Int32Array;
  readonly targets: Int32Array;

  constructor(size: number, from: readonly number[], to: readonly number[]) {
    this.starts = new Int32Array(size + 1);
    this.targets = new Int32Array(to.length);
    for (const node of from) this.starts[node + 1] = (this.starts[node + 1] ?? 0) + 1;
    for (let node = 0; node < size; node++)
      this.starts[node + 1] = (this.starts[node + 1] ?? 0) + (this.starts[node] ?? 0);
    const free = this.starts.slice();
    for (const [edge, node] of from.entries()) {
      const at = free[node] ?? 0;
      free[node] = at + 1;
      this.targets[at] = to[edge] ?? 0;
    }
  }
}
