import type { ConvertedRow } from "../data/conversion/convert.js";
import { OwnInput } from "../data/conversion/own-input.js";
import type { Finding } from "../data/finding.js";
import type { TableGraph } from "../data/graph.js";
import { notUtf8 } from "../data/key.js";
import { rowsOf } from "../data/rows/rows.js";
import { rowsOfBytes } from "../data/rows/sqlite-rows.js";
import type { Table } from "../data/table.js";
import type { Side, Transaction } from "../engines/engine.js";
import { DualDbError } from "../errors.js";
import { Collisions, type Lost } from "./collisions.js";
import { distinctLists } from "./columns.js";
import type { Dependents } from "./dependents.js";
import type { Entry, Refusal } from "./journal.js";
import { KeySet } from "./key-set.js";
import { isRefused, SourceRows } from "./source-rows.js";

/** Reads of one side, each in a transaction that the pass holds open or opens for it. */
export interface End {
  readonly side: Side;
  read<T>(work: (transaction: Transaction) => Promise<T>): Promise<T>;
}

/** The tables that a batch may touch, and where its rows come from and go to. */
export interface BatchScope {
  readonly graph: TableGraph;
  readonly dependents: Dependents;
  readonly source: End;
  readonly target: End;
}

export interface BatchOptions {
  /** Gives the next entries of the journal, for a batch that does not close by itself: rows that are in the way are owed, too. */
  readonly more?: () => Promise<readonly Entry[]>;
  /** The entries' rows leave the target before they are written, for what keeps rows out that only the target knows. */
  readonly afresh?: boolean;
}

/** What a pass is going to do on the target so that these entries' rows are there as the source has them. */
export interface Plan {
  readonly handled: readonly Entry[];
  readonly refusals: readonly Refusal[];
  readonly findings: readonly Finding[];
  /** Rows to delete first: gone from the source, in the way of another row, or hanging on one of those. */
  readonly removals: KeySet;
  readonly upserts: ReadonlyMap<string, readonly ConvertedRow[]>;
  /** Whether what the target holds still asks for these removals and no others. */
  holdsOn(target: Transaction): Promise<boolean>;
}

/** After so many rounds more entries join the batch. */
const roundsByItself = 5;
/** More would not fit into memory. */
const mostKeys = 200_000;

/**
 * Makes a batch whole, so that it can be applied by itself: the parents of every row that is written join it, and so do rows of the
 * target that hold a unique value under another key, and the children of every row that has to be deleted.
 */
export function planBatch(scope: BatchScope, entries: readonly Entry[], options: BatchOptions = {}): Promise<Plan> {
  return new Batch(scope, entries, options).plan();
}

class Batch {
  readonly #scope: BatchScope;
  readonly #options: BatchOptions;
  readonly #entries: Entry[] = [];
  readonly #keys = new KeySet();

  constructor(scope: BatchScope, entries: readonly Entry[], options: BatchOptions) {
    this.#scope = scope;
    this.#options = options;
    this.#take(entries);
  }

  /** Rows that are read in several looks may not fit each other: the plan is made of a look at all of them at once. */
  async plan(): Promise<Plan> {
    for (;;) {
      const look = this.#look();
      if (!(await look.grow())) return this.#planOf(look, await this.#broken());
      await this.#close(look);
    }
  }

  /** Goes on until nothing joins the batch any more, each row looked at once. */
  async #close(look: LookAtBatch): Promise<void> {
    for (let round = 1; await look.grow(); round++) {
      if (round % roundsByItself === 0) this.#take((await this.#options.more?.()) ?? []);
      if (this.#keys.size > mostKeys) throw tooManyRows();
    }
  }

  #look(): LookAtBatch {
    const afresh = new KeySet();
    if (this.#options.afresh === true) for (const { table, key } of this.#entries) afresh.add(table, key);
    return new LookAtBatch(this.#scope, this.#keys, afresh);
  }

  #take(entries: readonly Entry[]): void {
    this.#entries.push(...entries);
    for (const { table, key, bytes } of entries)
      if (bytes === undefined && this.#scope.graph.get(table) !== undefined) this.#keys.add(table, key);
  }

  /** The entries of rows that are there under keys which are not UTF-8: no other side can have such rows. */
  async #broken(): Promise<ReadonlySet<Entry>> {
    const { graph, source } = this.#scope;
    const entries = this.#entries.filter(({ bytes }) => bytes !== undefined);
    if (entries.length === 0) return new Set();
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

  #planOf({ rows, collisions }: LookAtBatch, broken: ReadonlySet<Entry>): Plan {
    const { graph } = this.#scope;
    const refusals: Refusal[] = [];
    const findings: Finding[] = [];
    const handled = this.#entries.filter((entry) => {
      const row = entry.bytes === undefined ? rows.of(entry.table).get(entry.key) : undefined;
      const refusal = broken.has(entry) ? { column: "", reason: notUtf8 } : refusalOf(graph, entry, row);
      // Rows that only join the batch have been spoken of when they were owed, or will be.
      findings.push(...(row?.findings ?? []));
      if (refusal !== null) refusals.push({ entry, ...refusal });
      return refusal === null;
    });
    const upserts = new Map(
      graph.tables.map(({ name }) => [name, [...rows.of(name).values()].filter((row) => !isRefused(row))]),
    );
    const { removals } = collisions;
    const holdsOn = async (target: Transaction) => {
      const again = new Collisions({ ...this.#scope, side: this.#scope.target.side, afresh: new KeySet() });
      await again.add(target, this.#keys, rows);
      return [...again.removals].every(({ table, key }) => removals.has(table, key));
    };
    return { handled, refusals, findings, removals, upserts, holdsOn };
  }
}

/** One look at all rows of a batch, which may find more that belong to it. */
class LookAtBatch {
  readonly #scope: BatchScope;
  readonly #keys: KeySet;
  readonly rows: SourceRows;
  readonly collisions: Collisions;

  constructor(scope: BatchScope, keys: KeySet, afresh: KeySet) {
    const { graph, dependents, source, target } = scope;
    this.#scope = scope;
    this.#keys = keys;
    this.rows = new SourceRows(graph, source.side);
    this.collisions = new Collisions({ graph, dependents, side: target.side, afresh });
  }

  /** Looks at what has not been looked at. Tells whether anything has joined the batch. */
  async grow(): Promise<boolean> {
    const { source, target } = this.#scope;
    const fresh = await source.read((transaction) => this.rows.add(transaction, this.#keys));
    this.#keys.addAll(fresh);
    if (!this.collisions.concern(fresh, this.rows)) return false;
    const lost = await target.read((transaction) => this.collisions.add(transaction, fresh, this.rows));
    const grown = [this.#keys.addAll(this.collisions.removals), this.#keys.addAll(await childrenOf(source, lost))];
    return grown.includes(true);
  }
}

/** Deletes child first, then upserts parent first. Resolves to what only the target can tell of the rows that were owed. */
export async function applyPlan(
  graph: TableGraph,
  side: Side,
  transaction: Transaction,
  plan: Plan,
): Promise<readonly Finding[]> {
  const rows = rowsOf(side);
  for (const table of [...graph.parentsFirst].reverse())
    await rows.remove(transaction, table, plan.removals.of(table.name));
  const findings: Finding[] = [];
  for (const table of graph.parentsFirst) {
    const converted = plan.upserts.get(table.name) ?? [];
    await rows.upsert(
      transaction,
      table,
      converted.map(({ values }) => values),
    );
    if (side === "postgres") findings.push(...(await alteredIn(transaction, table, plan, converted)));
  }
  return findings;
}

/** What PostgreSQL's own input has made of rows that it has taken. Those that only join the batch are spoken of when they are owed. */
async function alteredIn(
  transaction: Transaction,
  table: Table,
  { handled }: Plan,
  rows: readonly ConvertedRow[],
): Promise<Finding[]> {
  const own = new OwnInput(table);
  const texts = own.isNeeded ? rows.map((row) => own.textsOf(row)).filter((row) => row !== null) : [];
  if (texts.length === 0) return [];
  const owed = new Set(handled.filter((entry) => entry.table === table.name).map(({ key }) => key));
  const found = await own.findings(
    transaction,
    texts.filter(({ key }) => owed.has(key)),
  );
  return found.flat();
}

function refusalOf(graph: TableGraph, entry: Entry, row: ConvertedRow | undefined): Omit<Refusal, "entry"> | null {
  if (graph.get(entry.table) === undefined)
    return { column: "", reason: "the table is not on both sides, or has no key there" };
  const finding = row?.findings.find(({ action }) => action === "refused");
  return finding === undefined ? null : { column: finding.column, reason: finding.reason };
}

/** The source's own children of rows that go from the target: a cascade would take them along. */
async function childrenOf(source: End, lost: readonly Lost[]): Promise<KeySet> {
  const keys = new KeySet();
  if (lost.length === 0) return keys;
  await source.read(async (transaction) => {
    for (const { reference, values } of lost) {
      const { child, foreignKey } = reference;
      const children = await rowsOf(source.side).holders(transaction, child, foreignKey.columns, distinctLists(values));
      for (const { key } of children) keys.add(child.name, key);
    }
  });
  return keys;
}

function tooManyRows(): DualDbError {
  return new DualDbError(
    "QUERY_FAILED",
    `More than ${mostKeys} rows exchange their unique values, or hang on each other, and can only be mirrored at once: change fewer at a time, or copy the table with both sides at rest.`,
  );
}
