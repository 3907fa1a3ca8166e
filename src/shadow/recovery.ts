import sql from "sql-template-tag";
import { isRefusal, reasonOf } from "../data/refusal.js";
import type { Transaction } from "../engines/engine.js";
import { type Plan, planBatch } from "./batch.js";
import { type Entry, Journal, type Refusal } from "./journal.js";
import { KeySet } from "./key-set.js";
import { applyGuarded, held, opened, overtaken, type Pair } from "./mirror.js";
import { assertSameCatalogues, bumpCas, holdingLock, postgresCatalogueNow, stateOf } from "./state.js";

/** A row that was written on both sides around a forced roll-back. SQLite's version stays. */
export interface Conflict {
  readonly table: string;
  readonly key: string;
}

/** What became of some of the rows that PostgreSQL owed. */
export interface Recovered {
  readonly conflicts: readonly Conflict[];
  /** Rows that SQLite does not take. They stay owed: nobody but PostgreSQL has them. */
  readonly refusals: readonly Refusal[];
  /** The last entry that was looked at; null when there was none left. */
  readonly last: Entry | null;
}

/** Why a row did not come in. */
type Outcome = { readonly is: "applied" | "conflict" } | { readonly is: "refused"; readonly refusal: Refusal };

const limit = 200;
/** SQLite is written to all the time: a plan that it has outdated is made anew, and then for fewer rows. */
const mostPlans = 20;

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

  /** The entries of PostgreSQL's journal behind `after`, some of them. */
  async pass(after: Entry | null): Promise<Recovered> {
    const { postgres, sqlite, timeoutMs } = this.#pair;
    const journal = this.#journals.postgres;
    const { entries, conflicts, refusals } = await holdingLock(postgres, timeoutMs, async (source) => {
      const state = await stateOf(sqlite);
      if (state.primary !== "sqlite" || !state.forced) throw overtaken();
      const entries = await journal.select(source, { after, limit, quarantined: true });
      const found = { entries, ...(await this.#bring(source, entries)) };
      const now = { sqlite: state.catalogue, postgres: await postgresCatalogueNow(source) };
      assertSameCatalogues(this.#pair.catalogues, now);
      return found;
    });
    const refused = new Set(refusals.map(({ entry }) => entry));
    for (const removal of journal.removals(entries.filter((entry) => !refused.has(entry))))
      await postgres.write([removal]);
    if (refusals.length > 0) await postgres.write(journal.refusals(refusals));
    return { conflicts, refusals, last: entries.at(-1) ?? null };
  }

  /** The whole batch at once where nothing stands against it, else entry by entry. */
  async #bring(source: Transaction, entries: readonly Entry[]): Promise<Omit<Recovered, "last">> {
    const conflicts: Conflict[] = [];
    const refusals: Refusal[] = [];
    if (entries.length === 0 || (await this.#apply(source, entries)).is === "applied") return { conflicts, refusals };
    for (const entry of entries) {
      const outcome = await this.#apply(source, [entry]);
      if (outcome.is === "conflict") conflicts.push(await this.#settle(entry));
      if (outcome.is === "refused") refusals.push(outcome.refusal);
    }
    return { conflicts, refusals };
  }

  async #apply(source: Transaction, entries: readonly Entry[]): Promise<Outcome> {
    for (let plans = 0; plans < mostPlans; plans++) {
      const outcome = await this.#tryToApply(source, entries);
      if (outcome !== null) return outcome;
    }
    throw overtaken();
  }

  /** null where SQLite has been written to since the plan was made. */
  async #tryToApply(source: Transaction, entries: readonly Entry[]): Promise<Outcome | null> {
    const { graph, dependents, sqlite } = this.#pair;
    const { cas } = await stateOf(sqlite);
    const scope = { graph, dependents, source: held("postgres", source), target: opened(sqlite) };
    let isCrossed = false;
    try {
      const plan = await planBatch(scope, entries);
      const [refusal] = plan.refusals;
      if (refusal !== undefined) return { is: "refused", refusal };
      return await sqlite.transaction({ mode: "write" }, async (target) => {
        const journaled = await this.#journaled(target, plan);
        if (touches(plan, journaled)) return { is: "conflict" };
        if (!(await plan.holdsOn(target))) return null;
        isCrossed = journaled.size > 0;
        await applyGuarded(graph, target, without(plan, journaled), cas);
        return { is: "applied" };
      });
    } catch (error) {
      const [entry] = entries;
      if (!isRefusal(error) || entry === undefined) throw error;
      return isCrossed
        ? { is: "conflict" }
        : { is: "refused", refusal: { entry, column: "", reason: reasonOf(error) } };
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
