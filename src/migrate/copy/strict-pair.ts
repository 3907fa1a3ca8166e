import { isRefusal, reasonOf } from "../../data/refusal.js";
import type { Table } from "../../data/table.js";
import type { Side, Transaction } from "../../engines/engine.js";
import { DualDbError } from "../../errors.js";
import { applyPlan, type Plan, planBatch } from "../../shadow/batch.js";
import { type Entry, Journal } from "../../shadow/journal.js";
import { applyGuarded, assertBackward, assertForward, held } from "../../shadow/mirror.js";
import {
  assertSameCatalogues,
  type Catalogues,
  cataloguesOf,
  lockPostgresState,
  postgresCatalogueNow,
  readSqliteState,
} from "../../shadow/state.js";
import { cataloguesIn } from "../databases.js";
import type { CopiedTable } from "./report.js";
import { type CopyRun, strictly, TableRun, timeoutMs } from "./run.js";

const entriesAtOnce = 500;

/**
 * What a pair owes, all of it or nothing: in one transaction of the target, as of one moment of the source, under the mirror's lock. The
 * entries leave the journal when the target has committed. Meanwhile nothing else is mirrored, and their keys are in memory.
 */
export class StrictPair {
  readonly #run: CopyRun;
  readonly #from: Side;
  readonly #journal: Journal;
  readonly #catalogues: Catalogues;
  readonly #handled: Entry[] = [];

  constructor(run: CopyRun, from: Side) {
    this.#run = run;
    this.#from = from;
    this.#journal = new Journal(from);
    this.#catalogues = cataloguesIn(run.scene);
  }

  async copy(tables: readonly Table[]): Promise<CopiedTable[]> {
    const runs = tables.map((table) => new TableRun(this.#run, table, null));
    await (this.#from === "sqlite" ? this.#forward(runs) : this.#backward(runs));
    await this.#acknowledge();
    return Promise.all(runs.map((one) => one.finish()));
  }

  async #forward(runs: readonly TableRun[]): Promise<void> {
    const { sqlite, postgres } = this.#run.databases;
    await postgres.transaction({ mode: "write", timeoutMs }, async (target) => {
      const state = await lockPostgresState(target);
      await sqlite.transaction({ mode: "read" }, async (source) => {
        const states = { sqlite: await readSqliteState(source), postgres: state };
        assertForward(states);
        assertSameCatalogues(this.#catalogues, cataloguesOf(states));
        for (const one of runs)
          await this.#table(one, source, target, (plan) => applyPlan(this.#run.scene.graph, "postgres", target, plan));
      });
    });
  }

  async #backward(runs: readonly TableRun[]): Promise<void> {
    const { sqlite, postgres } = this.#run.databases;
    await postgres.transaction({ mode: "write", timeoutMs }, async (source) => {
      const state = await lockPostgresState(source);
      await sqlite.transaction({ mode: "write" }, async (target) => {
        const found = await readSqliteState(target);
        const states = { sqlite: found, postgres: state };
        assertBackward(states);
        assertSameCatalogues(this.#catalogues, cataloguesOf(states));
        let { cas } = found;
        for (const one of runs)
          await this.#table(one, source, target, (plan) => applyGuarded(this.#run.scene.graph, target, plan, cas++));
        assertSameCatalogues(this.#catalogues, { postgres: await postgresCatalogueNow(source) });
      });
    });
  }

  async #table(
    one: TableRun,
    source: Transaction,
    target: Transaction,
    apply: (plan: Plan) => Promise<void>,
  ): Promise<void> {
    const { graph } = this.#run.scene;
    const ends = this.#from === "sqlite" ? (["sqlite", "postgres"] as const) : (["postgres", "sqlite"] as const);
    for (let after: Entry | null = null; ; ) {
      one.step();
      const selection = { after, limit: entriesAtOnce, quarantined: true, table: one.table.name };
      const entries: Entry[] = await this.#journal.select(source, selection);
      const plan = await planBatch(graph, held(ends[0], source), held(ends[1], target), entries);
      this.#refuse(plan);
      await this.#applied(one, () => apply(plan));
      one.note(plan.findings);
      one.tally.read += entries.length;
      one.tally.written += entries.length;
      this.#handled.push(...entries);
      after = entries.at(-1) ?? null;
      if (entries.length < entriesAtOnce) return;
    }
  }

  #refuse({ refusals }: Plan): void {
    const [first] = refusals;
    if (first === undefined) return;
    const { entry, column, reason } = first;
    throw strictly({ table: entry.table, key: entry.key, column, reason, action: "refused" });
  }

  /** One row is enough to end it, so nobody looks for which. */
  async #applied({ table }: TableRun, apply: () => Promise<void>): Promise<void> {
    try {
      await apply();
    } catch (error) {
      if (!isRefusal(error)) throw error;
      const message = `Some row of ${table.name} cannot go (${reasonOf(error)}), and nothing may be set aside: nothing was copied. Copy without --strict to see which.`;
      throw new DualDbError("CONSTRAINT_VIOLATED", message, {
        cause: error,
        table: table.name,
        details: error.details,
      });
    }
  }

  async #acknowledge(): Promise<void> {
    const engine = this.#run.databases[this.#from];
    for (const statement of this.#journal.removals(this.#handled)) await engine.write([statement]);
  }
}
