import type { Finding } from "../../data/finding.js";
import { isRefusal, reasonOf } from "../../data/refusal.js";
import type { Table } from "../../data/table.js";
import type { Side, Transaction } from "../../engines/engine.js";
import { DualDbError } from "../../errors.js";
import { applyPlan, type Plan, planBatch } from "../../shadow/batch.js";
import { type Entry, Journal } from "../../shadow/journal.js";
import { applyGuarded, assertBackward, assertForward, held } from "../../shadow/mirror.js";
import {
  assertSameCatalogues,
  cataloguesOf,
  lockPostgresState,
  postgresCatalogueNow,
  readSqliteState,
} from "../../shadow/state.js";
import { tablesIn } from "../databases.js";
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
  readonly #tables: ReturnType<typeof tablesIn>;
  readonly #handled: Entry[] = [];

  constructor(run: CopyRun, from: Side) {
    this.#run = run;
    this.#from = from;
    this.#journal = new Journal(from);
    this.#tables = tablesIn(run.scene);
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
        assertSameCatalogues(this.#tables.catalogues, cataloguesOf(states));
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
        assertSameCatalogues(this.#tables.catalogues, cataloguesOf(states));
        let { cas } = found;
        for (const one of runs)
          await this.#table(one, source, target, (plan) => applyGuarded(this.#run.scene.graph, target, plan, cas++));
        assertSameCatalogues(this.#tables.catalogues, { postgres: await postgresCatalogueNow(source) });
      });
    });
  }

  async #table(
    one: TableRun,
    source: Transaction,
    target: Transaction,
    apply: (plan: Plan) => Promise<readonly Finding[]>,
  ): Promise<void> {
    const other: Side = this.#from === "sqlite" ? "postgres" : "sqlite";
    const scope = { ...this.#tables, source: held(this.#from, source), target: held(other, target) };
    let after: Entry | null = null;
    const more = async () => {
      one.step();
      const selection = { after, limit: entriesAtOnce, quarantined: true, table: one.table.name };
      const entries = await this.#journal.select(source, selection);
      after = entries.at(-1) ?? after;
      return entries;
    };
    for (let entries = await more(); entries.length > 0; entries = await more()) {
      const plan = await planBatch(scope, entries, { more });
      this.#refuse(plan);
      const altered = await this.#applied(one, () => apply(plan));
      one.note([...plan.findings, ...altered]);
      one.tally.read += plan.handled.length;
      one.tally.written += plan.handled.length;
      this.#handled.push(...plan.handled);
    }
  }

  #refuse({ refusals }: Plan): void {
    const [first] = refusals;
    if (first === undefined) return;
    const { entry, column, reason } = first;
    throw strictly({ table: entry.table, key: entry.key, column, reason, action: "refused" });
  }

  /** One row is enough to end it, so nobody looks for which. */
  async #applied({ table }: TableRun, apply: () => Promise<readonly Finding[]>): Promise<readonly Finding[]> {
    try {
      return await apply();
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
