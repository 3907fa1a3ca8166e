import type { TableGraph } from "../../data/graph.js";
import { isRefusal, reasonOf } from "../../data/refusal.js";
import type { Table } from "../../data/table.js";
import type { Engine, Side, Transaction } from "../../engines/engine.js";
import type { DualDbError } from "../../errors.js";
import { applyPlan, type End, type Plan, planBatch } from "../../shadow/batch.js";
import type { Dependents } from "../../shadow/dependents.js";
import { type Entry, Journal, type Refusal, refusalText } from "../../shadow/journal.js";
import { held, Mirror, opened, overtaken } from "../../shadow/mirror.js";
import { type Catalogues, lockPostgresState, readSqliteState } from "../../shadow/state.js";
import type { FormerRows } from "./former-rows.js";

/** A row that could not be mended. */
export interface Left {
  readonly table: string;
  readonly key: string;
  readonly reason: string;
}

/** Makes rows of the target what they are on the source, gone where they are gone there. Doing it twice is the same as once. */
export interface Mender {
  /** Resolves to the rows that could not be mended. */
  mend(table: Table, keys: readonly string[]): Promise<Left[]>;
}

/** What a mender works on. */
export interface Mending {
  readonly from: Side;
  readonly sqlite: Engine;
  readonly postgres: Engine;
  readonly graph: TableGraph;
  readonly dependents: Dependents;
  readonly former: FormerRows;
  readonly timeoutMs: number;
  readonly clock: () => number;
}

/** A pair: the rows are entered in the primary's journal and mirrored, so that it is safe beside everybody who writes. */
export class JournalMender implements Mender {
  readonly #mending: Mending;
  readonly #mirror: Mirror;
  readonly #journal: Journal;

  constructor(mending: Mending & { readonly catalogues: Catalogues }) {
    const { from, ...pair } = mending;
    this.#mending = mending;
    this.#mirror = new Mirror({ ...pair, reached: () => undefined });
    this.#journal = new Journal(from);
  }

  async mend(table: Table, keys: readonly string[]): Promise<Left[]> {
    const { graph, former, from } = this.#mending;
    const [source, target] = endsOf(this.#mending);
    const scope = { ...this.#mending, source, target };
    await former.keep(graph, target, await planBatch(scope, entriesOf(table, keys)));
    await this.#enter(table, keys);
    const wanted = keys.map((key) => ({ table: table.name, key }));
    const { refusals } = await this.#mirror.these(from, wanted);
    return refusals.map(leftOf);
  }

  /** A flip, which moves the state under the same lock, must not leave an entry behind. */
  async #enter(table: Table, keys: readonly string[]): Promise<void> {
    const { from, sqlite, postgres, timeoutMs, clock } = this.#mending;
    const enter = (transaction: Transaction) => this.#journal.enter(transaction, table.name, keys, clock());
    if (from === "sqlite")
      return sqlite.transaction({ mode: "write" }, async (transaction) => {
        if ((await readSqliteState(transaction)).primary !== "sqlite") throw overtaken();
        await enter(transaction);
      });
    return postgres.transaction({ mode: "write", timeoutMs }, async (transaction) => {
      if ((await lockPostgresState(transaction)).primary !== "postgres") throw overtaken();
      await enter(transaction);
    });
  }
}

/** Databases that are no pair: the rows are read from the source and written to the target, with what they hang on. */
export class PlainMender implements Mender {
  readonly #mending: Mending;

  constructor(mending: Mending) {
    this.#mending = mending;
  }

  async mend(table: Table, keys: readonly string[]): Promise<Left[]> {
    try {
      return await this.#mendAll(table, keys);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      return this.#inHalves(table, keys, error);
    }
  }

  async #inHalves(table: Table, keys: readonly string[], error: DualDbError): Promise<Left[]> {
    const [only] = keys;
    if (only !== undefined && keys.length === 1) return [{ table: table.name, key: only, reason: reasonOf(error) }];
    const middle = Math.ceil(keys.length / 2);
    return [...(await this.mend(table, keys.slice(0, middle))), ...(await this.mend(table, keys.slice(middle)))];
  }

  #mendAll(table: Table, keys: readonly string[]): Promise<Left[]> {
    const { from, sqlite, postgres, timeoutMs, graph } = this.#mending;
    if (from === "sqlite")
      return postgres.transaction({ mode: "write", timeoutMs }, async (target) => {
        const plan = await this.#plan(opened(sqlite), held("postgres", target), table, keys);
        await applyPlan(graph, "postgres", target, plan);
        return leftBy(plan);
      });
    return postgres.transaction({ mode: "read", timeoutMs }, async (source) => {
      const plan = await this.#plan(held("postgres", source), opened(sqlite), table, keys);
      await sqlite.transaction({ mode: "write" }, (target) => applyPlan(graph, "sqlite", target, plan));
      return leftBy(plan);
    });
  }

  async #plan(source: End, target: End, table: Table, keys: readonly string[]): Promise<Plan> {
    const { graph, former } = this.#mending;
    const plan = await planBatch({ ...this.#mending, source, target }, entriesOf(table, keys));
    await former.keep(graph, target, plan);
    return plan;
  }
}

function endsOf({ from, sqlite, postgres }: Mending): readonly [End, End] {
  const ends = [opened(sqlite), opened(postgres)] as const;
  return from === "sqlite" ? ends : [ends[1], ends[0]];
}

function entriesOf({ name: table }: Table, keys: readonly string[]): Entry[] {
  return keys.map((key) => ({ table, key, version: 0n, attempts: 0, lastError: null }));
}

function leftBy({ refusals }: Plan): Left[] {
  return refusals.map(leftOf);
}

function leftOf({ entry: { table, key }, ...refusal }: Refusal): Left {
  return { table, key, reason: refusalText(refusal) };
}
