import { type ConvertedRow, converterOf } from "../data/conversion/convert.js";
import type { TableGraph } from "../data/graph.js";
import { rowsOf } from "../data/rows/rows.js";
import type { Table } from "../data/table.js";
import type { Side, Transaction } from "../engines/engine.js";
import { distinctLists, pick } from "./columns.js";
import { KeySet } from "./key-set.js";

/** The source's rows of a batch as the target gets them, each read once. A key without a row is gone. */
export class SourceRows {
  readonly #graph: TableGraph;
  readonly #side: Side;
  readonly #read = new KeySet();
  readonly #rows: ReadonlyMap<string, Map<string, ConvertedRow>>;

  constructor(graph: TableGraph, side: Side) {
    this.#graph = graph;
    this.#side = side;
    this.#rows = new Map(graph.tables.map(({ name }) => [name, new Map<string, ConvertedRow>()]));
  }

  /** By key. */
  of(table: string): ReadonlyMap<string, ConvertedRow> {
    return this.#rows.get(table) ?? new Map();
  }

  /** Reads the rows of these keys and of their parents, and of those parents'. What was read only now. */
  async add(transaction: Transaction, keys: KeySet): Promise<KeySet> {
    const fresh = new KeySet();
    const wanted = new KeySet();
    wanted.addAll(keys);
    for (let before = -1; before !== wanted.size; ) {
      before = wanted.size;
      for (const table of [...this.#graph.parentsFirst].reverse()) await this.#add(transaction, table, wanted, fresh);
    }
    return fresh;
  }

  async #add(transaction: Transaction, table: Table, wanted: KeySet, fresh: KeySet): Promise<void> {
    const keys = wanted.of(table.name).filter((key) => this.#read.add(table.name, key));
    if (keys.length === 0) return;
    for (const key of keys) fresh.add(table.name, key);
    const convert = converterOf(table, this.#side === "sqlite" ? "postgres" : "sqlite");
    const found = (await rowsOf(this.#side).read(transaction, table, keys)).map(convert);
    for (const row of found) this.#rows.get(table.name)?.set(row.key, row);
    await this.#addParents(transaction, table, found, wanted);
  }

  async #addParents(
    transaction: Transaction,
    table: Table,
    rows: readonly ConvertedRow[],
    wanted: KeySet,
  ): Promise<void> {
    for (const { parent, foreignKey } of this.#graph.parentsOf(table)) {
      const values = distinctLists(rows.map((row) => pick(table, row.values, foreignKey.columns)));
      const parents = await rowsOf(this.#side).holders(transaction, parent, foreignKey.parentColumns, values);
      for (const { key } of parents) wanted.add(parent.name, key);
    }
  }
}

/** Whether the target does not take a row, whatever else it has. */
export function isRefused({ findings }: ConvertedRow): boolean {
  return findings.some(({ action }) => action === "refused");
}
