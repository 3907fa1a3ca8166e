import { type ConvertedRow, type SourceRow, toPostgres, toSqlite } from "../data/conversion/convert.js";
import type { Finding } from "../data/finding.js";
import type { Reference, TableGraph } from "../data/graph.js";
import { encodeKey, notUtf8 } from "../data/key.js";
import { type Rows, rowsOf } from "../data/rows/rows.js";
import { rowsOfBytes } from "../data/rows/sqlite-rows.js";
import { columnOf, type Table } from "../data/table.js";
import type { ExactValue, Side, Transaction } from "../engines/engine.js";
import type { Entry, Refusal } from "./journal.js";
import { KeySet } from "./key-set.js";

/** Reads of one side, each in a transaction that the pass holds open or opens for it. */
export interface End {
  readonly side: Side;
  read<T>(work: (transaction: Transaction) => Promise<T>): Promise<T>;
}

/** What a pass is going to do on the target so that these entries' rows are there as the source has them. */
export interface Plan {
  readonly handled: readonly Entry[];
  readonly refusals: readonly Refusal[];
  readonly findings: readonly Finding[];
  /** Rows to delete first: gone from the source, in the way of another row, or hanging on one of those. */
  readonly removals: KeySet;
  readonly upserts: ReadonlyMap<string, readonly ConvertedRow[]>;
}

/** The closure of a batch is found in a few rounds; more means that the rows change faster than they can be read. */
const mostRounds = 20;

/**
 * Makes a batch whole, so that it can be applied by itself: the parents of every row that is written join it, and so do rows of the
 * target that hold a unique value under another key, and the children of every row that has to be deleted.
 */
export async function planBatch(graph: TableGraph, source: End, target: End, entries: readonly Entry[]): Promise<Plan> {
  const known = entries.filter((entry) => graph.get(entry.table) !== undefined && entry.bytes === undefined);
  const broken = await brokenIn(graph, source, entries);
  const keys = new KeySet();
  for (const { table, key } of known) keys.add(table, key);
  for (let round = 0; round < mostRounds; round++) {
    const rows = await source.read((transaction) =>
      new SourceReader(graph, source.side, transaction).withParents(keys),
    );
    const collisions = await target.read((transaction) =>
      new TargetReader(graph, target.side, transaction).collisions(keys, rows),
    );
    const joining = await childrenOf(source, collisions.lost);
    const grown = [keys.addAll(collisions.removals), keys.addAll(joining)];
    if (!grown.includes(true)) return planOf(graph, entries, rows, broken, collisions.removals);
  }
  return { handled: [], refusals: [], findings: [], removals: new KeySet(), upserts: new Map() };
}

/** The entries of rows that are there under keys which are no UTF-8: no other side can have such rows. */
async function brokenIn(graph: TableGraph, source: End, entries: readonly Entry[]): Promise<ReadonlySet<Entry>> {
  if (entries.every(({ bytes }) => bytes === undefined)) return new Set();
  return source.read(async (transaction) => {
    const there = new Set<Entry>();
    for (const entry of entries) {
      const table = graph.get(entry.table);
      if (table === undefined || entry.bytes === undefined) continue;
      if ((await rowsOfBytes(transaction, table, [entry.bytes])).length > 0) there.add(entry);
    }
    return there;
  });
}

/** Deletes child first, then upserts parent first. */
export async function applyPlan(graph: TableGraph, side: Side, transaction: Transaction, plan: Plan): Promise<void> {
  const rows = rowsOf(side);
  for (const table of [...graph.parentsFirst].reverse())
    await rows.remove(transaction, table, plan.removals.of(table.name));
  for (const table of graph.parentsFirst) {
    const converted = plan.upserts.get(table.name) ?? [];
    await rows.upsert(
      transaction,
      table,
      converted.map(({ values }) => values),
    );
  }
}

function planOf(
  graph: TableGraph,
  entries: readonly Entry[],
  rows: ReadonlyMap<string, TableRows>,
  broken: ReadonlySet<Entry>,
  removals: KeySet,
): Plan {
  const refusals: Refusal[] = [];
  const findings: Finding[] = [];
  const upserts = new Map<string, ConvertedRow[]>();
  for (const [table, { converted }] of rows) {
    upserts.set(
      table,
      [...converted.values()].filter((row) => !isRefused(row)),
    );
  }
  const handled = entries.filter((entry) => {
    const row = entry.bytes === undefined ? rows.get(entry.table)?.converted.get(entry.key) : undefined;
    const refusal = broken.has(entry) ? { column: "", reason: notUtf8 } : refusalOf(graph, entry, row);
    // Rows that only join the batch have been spoken of when they were owed, or will be.
    findings.push(...(row?.findings ?? []));
    if (refusal !== null) refusals.push({ entry, ...refusal });
    return refusal === null;
  });
  return { handled, refusals, findings, removals, upserts };
}

function isRefused(row: ConvertedRow): boolean {
  return row.findings.some(({ action }) => action === "refused");
}

function refusalOf(graph: TableGraph, entry: Entry, row: ConvertedRow | undefined): Omit<Refusal, "entry"> | null {
  if (graph.get(entry.table) === undefined)
    return { column: "", reason: "the table is not on both sides, or has no key there" };
  const finding = row?.findings.find(({ action }) => action === "refused");
  return finding === undefined ? null : { column: finding.column, reason: finding.reason };
}

/** The source's rows of one table, by key. Keys without a row are gone. */
interface TableRows {
  readonly wanted: Set<string>;
  readonly converted: Map<string, ConvertedRow>;
}

class SourceReader {
  readonly #graph: TableGraph;
  readonly #rows: Rows;
  readonly #transaction: Transaction;
  readonly #convert: (table: Table, row: SourceRow) => ConvertedRow;

  constructor(graph: TableGraph, side: Side, transaction: Transaction) {
    this.#graph = graph;
    this.#rows = rowsOf(side);
    this.#transaction = transaction;
    this.#convert = side === "sqlite" ? toPostgres : toSqlite;
  }

  /** Reads the rows of all keys; the keys of their parents, and of those parents', join `keys`. */
  async withParents(keys: KeySet): Promise<Map<string, TableRows>> {
    const read = new Map(
      this.#graph.tables.map((table) => [table.name, { wanted: new Set<string>(), converted: new Map() }]),
    );
    for (let before = -1; before !== keys.size; ) {
      before = keys.size;
      for (const table of [...this.#graph.parentsFirst].reverse()) await this.#read(table, keys, read.get(table.name));
    }
    return read;
  }

  async #read(table: Table, keys: KeySet, rows: TableRows | undefined): Promise<void> {
    const missing = keys.of(table.name).filter((key) => rows !== undefined && !rows.wanted.has(key));
    if (missing.length === 0 || rows === undefined) return;
    for (const key of missing) rows.wanted.add(key);
    const found = (await this.#rows.read(this.#transaction, table, missing)).map((row) => this.#convert(table, row));
    for (const row of found) rows.converted.set(row.key, row);
    await this.#addParents(table, found, keys);
  }

  async #addParents(table: Table, rows: readonly ConvertedRow[], keys: KeySet): Promise<void> {
    for (const { parent, foreignKey } of this.#graph.parentsOf(table)) {
      const values = distinct(rows.map((row) => pick(table, row.values, foreignKey.columns)));
      const parents = await this.#rows.holders(this.#transaction, parent, foreignKey.parentColumns, values);
      for (const { key } of parents) keys.add(parent.name, key);
    }
  }
}

/** Values that a table's foreign keys point to and that are about to go from the target. */
interface Lost {
  readonly reference: Reference;
  readonly values: readonly (readonly ExactValue[])[];
}

interface Collisions {
  readonly removals: KeySet;
  readonly lost: readonly Lost[];
}

class TargetReader {
  readonly #graph: TableGraph;
  readonly #rows: Rows;
  readonly #transaction: Transaction;
  readonly #removals = new KeySet();
  readonly #lost: Lost[] = [];

  constructor(graph: TableGraph, side: Side, transaction: Transaction) {
    this.#graph = graph;
    this.#rows = rowsOf(side);
    this.#transaction = transaction;
  }

  /** What has to leave the target before the rows can be written there. */
  async collisions(keys: KeySet, rows: ReadonlyMap<string, TableRows>): Promise<Collisions> {
    for (const table of this.#graph.parentsFirst) {
      const converted = rows.get(table.name)?.converted ?? new Map<string, ConvertedRow>();
      // Only SQLite has keys with NUL, and PostgreSQL does not even take the question.
      const gone = keys.of(table.name).filter((key) => !converted.has(key) && !key.includes("\0"));
      const written = new Map([...converted].filter(([, row]) => !isRefused(row)));
      await this.#remove(table, [
        ...gone,
        ...(await this.#moved(table, written)),
        ...(await this.#inTheWay(table, written)),
      ]);
    }
    return { removals: this.#removals, lost: this.#lost };
  }

  /** Rows under other keys that hold the unique values of rows to be written. */
  async #inTheWay(table: Table, converted: ReadonlyMap<string, ConvertedRow>): Promise<string[]> {
    const keys: string[] = [];
    for (const unique of table.uniques) {
      const owners = new Map(
        [...converted.values()].map((row) => [encodeKey(pick(table, row.values, unique)), row.key]),
      );
      const values = distinct([...converted.values()].map((row) => pick(table, row.values, unique)));
      const holders = await this.#rows.holders(this.#transaction, table, unique, values);
      keys.push(
        ...holders.filter(({ key, values: held }) => owners.get(encodeKey(held)) !== key).map(({ key }) => key),
      );
    }
    return keys;
  }

  /** Parents whose referenced values change: their children cannot stay while they do. */
  async #moved(table: Table, converted: ReadonlyMap<string, ConvertedRow>): Promise<string[]> {
    const columns = [...new Set(this.#graph.referencesTo(table).flatMap(({ foreignKey }) => foreignKey.parentColumns))];
    if (columns.every((column) => table.key.includes(column))) return [];
    const held = await this.#valuesOf(table, columns, [...converted.keys()]);
    return [...held]
      .filter(([key, values]) => {
        const row = converted.get(key);
        return row !== undefined && encodeKey(pick(table, row.values, columns)) !== encodeKey(values);
      })
      .map(([key]) => key);
  }

  /** Marks rows for removal, and with them, all the way down, the rows of the target that point to them. */
  async #remove(table: Table, keys: readonly string[]): Promise<void> {
    const fresh = [...new Set(keys)].filter((key) => this.#removals.add(table.name, key));
    if (fresh.length === 0) return;
    for (const reference of this.#graph.referencesTo(table)) {
      const { child, foreignKey } = reference;
      const values = [...(await this.#valuesOf(table, foreignKey.parentColumns, fresh)).values()];
      if (values.length === 0) continue;
      this.#lost.push({ reference, values });
      const children = await this.#rows.holders(this.#transaction, child, foreignKey.columns, distinct(values));
      await this.#remove(
        child,
        children.map(({ key }) => key),
      );
    }
  }

  async #valuesOf(
    table: Table,
    columns: readonly string[],
    keys: readonly string[],
  ): Promise<Map<string, readonly ExactValue[]>> {
    if (keys.length === 0) return new Map();
    const narrow = { ...table, columns: [...new Set([...columns, ...table.key])].map((name) => columnOf(table, name)) };
    const rows = await this.#rows.read(this.#transaction, narrow, keys);
    return new Map(rows.map(({ key, values }) => [key, values.slice(0, columns.length)]));
  }
}

/** The source's own children of rows that go from the target: a cascade would take them along. */
async function childrenOf(source: End, lost: readonly Lost[]): Promise<KeySet> {
  const keys = new KeySet();
  if (lost.length === 0) return keys;
  await source.read(async (transaction) => {
    for (const { reference, values } of lost) {
      const { child, foreignKey } = reference;
      const children = await rowsOf(source.side).holders(transaction, child, foreignKey.columns, distinct(values));
      for (const { key } of children) keys.add(child.name, key);
    }
  });
  return keys;
}

function pick(table: Table, values: readonly ExactValue[], names: readonly string[]): ExactValue[] {
  return names.map((name) => values[table.columns.findIndex((column) => column.name === name)] ?? null);
}

/** Each list once; lists with a NULL point nowhere and collide with nothing. */
function distinct(lists: readonly (readonly ExactValue[])[]): (readonly ExactValue[])[] {
  const whole = lists.filter((list) => list.every((value) => value !== null));
  return [...new Map(whole.map((list) => [encodeKey(list), list])).values()];
}
