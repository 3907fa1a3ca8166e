import type { ConvertedRow } from "../data/conversion/convert.js";
import type { Reference, TableGraph } from "../data/graph.js";
import { encodeKey } from "../data/key.js";
import { rowsOf } from "../data/rows/rows.js";
import { columnOf, type Table } from "../data/table.js";
import type { ExactValue, Side, Transaction } from "../engines/engine.js";
import { distinctLists, pick } from "./columns.js";
import { assertNothingHangsOn, type Dependents } from "./dependents.js";
import { KeySet } from "./key-set.js";
import { isRefused, type SourceRows } from "./source-rows.js";

/** Values that a table's foreign keys point to and that are about to go from the target. */
export interface Lost {
  readonly reference: Reference;
  readonly values: readonly (readonly ExactValue[])[];
}

/** What the target is asked for, and how. */
export interface CollisionScope {
  readonly graph: TableGraph;
  readonly side: Side;
  readonly dependents: Dependents;
  /** Rows that go first when they are written, whatever is in their way: then nothing that only the target knows can be. */
  readonly afresh: KeySet;
}

/** What has to leave the target before the rows of a batch can be written there: each row is found once. */
export class Collisions {
  readonly #scope: CollisionScope;
  readonly removals = new KeySet();
  #lost: Lost[] = [];

  constructor(scope: CollisionScope) {
    this.#scope = scope;
  }

  /** Whether anything that the target holds can matter to these rows: where it cannot, nobody has to wait for it. */
  concern(keys: KeySet, rows: SourceRows): boolean {
    const { graph, afresh } = this.#scope;
    return graph.tables.some((table) => {
      const hasMore = table.uniques.length > 0 || this.#steadyColumns(table).length > 0;
      const found = rows.of(table.name);
      return keys.of(table.name).some((key) => hasMore || !found.has(key) || afresh.has(table.name, key));
    });
  }

  /**
   * Looks at rows of the source that nobody has looked at yet. What the target loses by it is returned once.
   * @throws CONSTRAINT_VIOLATED where rows that nobody mirrors would go with one that stays on the source.
   */
  async add(transaction: Transaction, keys: KeySet, rows: SourceRows): Promise<readonly Lost[]> {
    this.#lost = [];
    for (const table of this.#scope.graph.parentsFirst) {
      const found = rows.of(table.name);
      const wanted = keys.of(table.name);
      const written = new Map<string, ConvertedRow>();
      for (const key of wanted) {
        const row = found.get(key);
        if (row !== undefined && !isRefused(row)) written.set(key, row);
      }
      const gone = wanted.filter((key) => !found.has(key));
      await this.#remove(transaction, table, gone, true);
      const inTheWay = await this.#displaced(transaction, table, written);
      await this.#remove(transaction, table, inTheWay, false);
    }
    return this.#lost;
  }

  async #displaced(
    transaction: Transaction,
    table: Table,
    written: ReadonlyMap<string, ConvertedRow>,
  ): Promise<string[]> {
    const afresh = [...written.keys()].filter((key) => this.#scope.afresh.has(table.name, key));
    const there = await this.#valuesOf(transaction, table, table.key, afresh);
    return [
      ...there.keys(),
      ...(await this.#moved(transaction, table, written)),
      ...(await this.#inTheWay(transaction, table, written)),
    ];
  }

  /** Rows under other keys that hold the unique values of rows to be written. */
  async #inTheWay(
    transaction: Transaction,
    table: Table,
    written: ReadonlyMap<string, ConvertedRow>,
  ): Promise<string[]> {
    const keys: string[] = [];
    for (const unique of table.uniques) {
      const owners = new Map([...written.values()].map((row) => [encodeKey(pick(table, row.values, unique)), row.key]));
      const values = distinctLists([...written.values()].map((row) => pick(table, row.values, unique)));
      const holders = await rowsOf(this.#scope.side).holders(transaction, table, unique, values);
      keys.push(
        ...holders.filter(({ key, values: held }) => owners.get(encodeKey(held)) !== key).map(({ key }) => key),
      );
    }
    return keys;
  }

  /** Columns beside the key that an update cannot set: what children point to, and what PostgreSQL alone gives. */
  #steadyColumns(table: Table): string[] {
    const referenced = this.#scope.graph.referencesTo(table).flatMap(({ foreignKey }) => foreignKey.parentColumns);
    const fixed = table.columns.filter(({ isFixed }) => isFixed === true).map(({ name }) => name);
    return [...new Set([...referenced, ...fixed])].filter((column) => !table.key.includes(column));
  }

  /** Rows with other values in such columns. */
  async #moved(transaction: Transaction, table: Table, written: ReadonlyMap<string, ConvertedRow>): Promise<string[]> {
    const columns = this.#steadyColumns(table);
    if (columns.length === 0) return [];
    const held = await this.#valuesOf(transaction, table, columns, [...written.keys()]);
    return [...held]
      .filter(([key, values]) => {
        const row = written.get(key);
        return row !== undefined && encodeKey(pick(table, row.values, columns)) !== encodeKey(values);
      })
      .map(([key]) => key);
  }

  /** Marks rows for removal, and with them, all the way down, the rows of the target that point to them. */
  async #remove(transaction: Transaction, table: Table, keys: readonly string[], areGone: boolean): Promise<void> {
    const { graph, side, dependents } = this.#scope;
    const fresh = [...new Set(keys)].filter((key) => this.removals.add(table.name, key));
    if (fresh.length === 0) return;
    if (!areGone)
      await assertNothingHangsOn(dependents, side, transaction, table, (columns) =>
        this.#valuesOf(transaction, table, columns, fresh),
      );
    for (const reference of graph.referencesTo(table)) {
      const { child, foreignKey } = reference;
      const held = await this.#valuesOf(transaction, table, foreignKey.parentColumns, fresh);
      const values = distinctLists([...held.values()]);
      if (values.length === 0) continue;
      this.#lost.push({ reference, values });
      const children = await rowsOf(side).holders(transaction, child, foreignKey.columns, values);
      await this.#remove(
        transaction,
        child,
        children.map(({ key }) => key),
        areGone && foreignKey.onDelete === "CASCADE",
      );
    }
  }

  async #valuesOf(
    transaction: Transaction,
    table: Table,
    columns: readonly string[],
    keys: readonly string[],
  ): Promise<Map<string, readonly ExactValue[]>> {
    if (keys.length === 0) return new Map();
    const narrow = { ...table, columns: [...new Set([...columns, ...table.key])].map((name) => columnOf(table, name)) };
    const rows = await rowsOf(this.#scope.side).read(transaction, narrow, keys);
    return new Map(rows.map(({ key, values }) => [key, values.slice(0, columns.length)]));
  }
}
