import sql from "sql-template-tag";
import type { Transaction } from "../engines/engine.js";
import { hasCode } from "../errors.js";
import { type Plan, planBatch } from "./batch.js";
import { type Entry, Journal } from "./journal.js";
import { KeySet } from "./key-set.js";
import { applyGuarded, held, opened, overtaken, type Pair } from "./mirror.js";
import { assertSameCatalogues, bumpCas, holdingLock, postgresCatalogueNow, stateOf } from "./state.js";

/** A row that was written on both sides around a forced roll-back. SQLite's version stays. */
export interface Conflict {
  readonly table: string;
  readonly key: string;
}

const limit = 200;

/**
 * After a forced roll-back: brings what PostgreSQL still owed into SQLite, which has been primary meanwhile. A row that SQLite has
 * journaled itself, or that cannot come in without touching such a row, is a conflict: SQLite's version stays and is owed to PostgreSQL.
 */
export class Recovery {
  readonly #pair: Pair;
  readonly #clock: () => number;
  readonly #journals = { sqlite: new Journal("sqlite"), postgres: new Journal("postgres") };

  constructor(pair: Pair, clock: () => number) {
    this.#pair = pair;
    this.#clock = clock;
  }

  /** One batch; the conflicts it found, or null when PostgreSQL owes nothing any more. */
  async pass(): Promise<Conflict[] | null> {
    const entries: Entry[] = [];
    const conflicts = await holdingLock(this.#pair.postgres, this.#pair.timeoutMs, async (source) => {
      const state = await stateOf(this.#pair.sqlite);
      if (state.primary !== "sqlite" || !state.forced) throw overtaken();
      entries.push(...(await this.#journals.postgres.select(source, { after: null, limit, quarantined: true })));
      const found = await this.#bring(source, entries);
      const catalogues = { sqlite: state.catalogue, postgres: await postgresCatalogueNow(source) };
      assertSameCatalogues(this.#pair.catalogues, catalogues);
      return found;
    });
    if (entries.length === 0) return null;
    await this.#pair.postgres.write(this.#journals.postgres.removals(entries));
    return conflicts;
  }

  /** The whole batch at once where nothing stands against it, else entry by entry. */
  async #bring(source: Transaction, entries: readonly Entry[]): Promise<Conflict[]> {
    if (entries.length === 0 || (await this.#tryToApply(source, entries))) return [];
    const conflicts: Conflict[] = [];
    for (const entry of entries) {
      if (!(await this.#tryToApply(source, [entry]))) conflicts.push(await this.#settle(entry));
    }
    return conflicts;
  }

  async #tryToApply(source: Transaction, entries: readonly Entry[]): Promise<boolean> {
    const { graph, sqlite } = this.#pair;
    const { cas } = await stateOf(sqlite);
    const plan = await planBatch(graph, held("postgres", source), opened(sqlite), entries);
    if (plan.handled.length < entries.length) return false;
    try {
      return await sqlite.transaction({ mode: "write" }, async (target) => {
        const journaled = await this.#journaled(target, plan);
        if (touches(plan, journaled)) return false;
        await applyGuarded(graph, target, without(plan, journaled), cas);
        return true;
      });
    } catch (error) {
      if (hasCode(error, "CONSTRAINT_VIOLATED", "VALUE_REFUSED")) return false;
      throw error;
    }
  }

  /** Which of the rows that the plan touches SQLite has written itself. */
  async #journaled(target: Transaction, plan: Plan): Promise<KeySet> {
    const touched = [...plan.handled, ...plan.removals];
    for (const [table, rows] of plan.upserts) touched.push(...rows.map(({ key }) => ({ table, key }) as Entry));
    const journaled = new KeySet();
    for (const { table, key } of await this.#journals.sqlite.select(target, { keys: touched }))
      journaled.add(table, key);
    return journaled;
  }

  /** SQLite's version stays, and PostgreSQL is owed it. */
  async #settle({ table, key }: Entry): Promise<Conflict> {
    const now = this.#clock();
    const { cas } = await stateOf(this.#pair.sqlite);
    await this.#pair.sqlite.transaction({ mode: "write" }, async (transaction) => {
      if (!(await bumpCas(transaction, cas))) throw overtaken();
      await this.#journals.sqlite.enter(transaction, table, [key], now);
      await transaction.execute(sql`INSERT INTO dualdb_conflicts (table_name, row_key, found_at) VALUES (${table}, ${key}, ${now})
        ON CONFLICT (table_name, row_key) DO UPDATE SET found_at = excluded.found_at`);
    });
    return { table, key };
  }
}

function touches(plan: Plan, journaled: KeySet): boolean {
  return [...plan.handled, ...plan.removals].some(({ table, key }) => journaled.has(table, key));
}

/** Parents that only joined the batch stay as SQLite has them. */
function without(plan: Plan, journaled: KeySet): Plan {
  const upserts = [...plan.upserts].map(
    ([table, rows]) => [table, rows.filter(({ key }) => !journaled.has(table, key))] as const,
  );
  return { ...plan, upserts: new Map(upserts) };
}
