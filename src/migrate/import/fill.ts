import { quote } from "../../data/table.js";
import { type SideTransaction, statement, type Transaction } from "../../engines/engine.js";
import type { Intake, IntakeRow } from "./intake.js";
import { Merge, type MergeOptions } from "./merge.js";
import { Stage, type StageSchema, setAsideOrphans } from "./stage.js";
import { copyAll, insertAll } from "./straight.js";
import { Tally } from "./tally.js";

export interface FillOptions extends MergeOptions {
  readonly schema: StageSchema;
  /** Told of the rows read; throws where somebody has asked for an end. */
  onRows(intake: Intake, rows: number): void;
}

/**
 * Fills tables in a transaction of somebody else. A table that was empty takes its rows straight; any other gets them beside it first, and
 * from there only those that are not there, or older there. Whatever the database refuses is set aside.
 */
export class Fill {
  readonly #into: SideTransaction;
  readonly #transaction: Transaction;
  readonly #options: FillOptions;
  #stages = 0;

  constructor(into: SideTransaction, options: FillOptions) {
    this.#into = into;
    this.#transaction = into.transaction;
    this.#options = options;
  }

  /** Tables that point to each other go together; their parents are there. */
  async component(intakes: readonly Intake[], isCyclic: boolean): Promise<Tally[]> {
    const [only] = intakes;
    if (only === undefined) return [];
    if (intakes.length === 1 && (await this.isEmpty(only))) {
      const straight = await this.#straight(only);
      if (straight !== null) return [straight];
    }
    return this.#staged(intakes, isCyclic);
  }

  async isEmpty({ target }: Intake): Promise<boolean> {
    return (
      (await this.#transaction.query(statement(`SELECT 1 AS one FROM ${quote(target.name)} LIMIT 1`))).length === 0
    );
  }

  /** null where that cannot be done: nothing is there then. */
  async #straight(intake: Intake): Promise<Tally | null> {
    const tally = new Tally(intake);
    if (this.#into.side === "postgres")
      return (await copyAll(this.#into.transaction, tally, this.#rows(tally))) ? tally : null;
    // SQLite does not say for which foreign key it refuses a row, and of some it says so at COMMIT.
    if (intake.target.foreignKeys.length > 0) return null;
    await insertAll(this.#transaction, tally, this.#rows(tally));
    return tally;
  }

  async *#rows(tally: Tally): AsyncGenerator<readonly IntakeRow[]> {
    for await (const page of tally.intake.rows()) {
      this.#options.onRows(tally.intake, page.at(-1)?.line ?? 0);
      yield tally.accept(page);
    }
  }

  async #staged(intakes: readonly Intake[], isCyclic: boolean): Promise<Tally[]> {
    const stages = intakes.map(
      (intake) => new Stage(this.#into, new Tally(intake), this.#options.schema, this.#stages++),
    );
    for (const stage of stages) await this.#fillStage(stage);
    await setAsideOrphans(stages, isCyclic);
    await new Merge(this.#transaction, this.#options).run(this.#into.side, stages, isCyclic);
    for (const stage of stages) await stage.drop();
    return stages.map(({ tally }) => tally);
  }

  async #fillStage(stage: Stage): Promise<void> {
    await stage.create();
    for await (const rows of this.#rows(stage.tally)) await stage.add(rows);
    await stage.setAsideDuplicates();
  }
}
