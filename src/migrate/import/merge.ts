import { type Side, statement, type Transaction } from "../../engines/engine.js";
import { inPortions, type Tried } from "./portions.js";
import { attempt } from "./savepoint.js";
import { Sieve } from "./sieve.js";
import { linesAtOnce, type Stage, setAsideOrphans } from "./stage.js";
import type { Lines, Window } from "./stage-sql.js";

export interface MergeOptions {
  /** The file wins over every different row. */
  readonly overwrite: boolean;
  /** Throws where somebody has asked for an end. */
  goOn(): void;
}

interface MergedWindow extends Tried {
  readonly stage: Stage;
  readonly window: Window;
  /** How many of its rows were not in the table before. */
  readonly absent: number;
}

/** Lines that PostgreSQL tries by themselves in one call. */
const linesInATrial = 4_000;

/** Brings the rows of stages into their tables: those that are not there, or older there. What the database refuses is set aside. */
export class Merge {
  readonly #transaction: Transaction;
  readonly #options: MergeOptions;

  constructor(transaction: Transaction, options: MergeOptions) {
    this.#transaction = transaction;
    this.#options = options;
  }

  /** Tables that point to each other go together. */
  async run(side: Side, stages: readonly Stage[], isCyclic: boolean): Promise<void> {
    if (side === "sqlite") await (isCyclic ? this.#cycleIntoSqlite(stages) : this.#intoSqlite(stages));
    else if (isCyclic) await this.#cycleIntoPostgres(stages);
    else for (const stage of stages) await this.#intoPostgres(stage);
  }

  async #intoSqlite(stages: readonly Stage[]): Promise<void> {
    for (const { stage, window, absent, written, refused } of await this.#inWindows(stages)) {
      await stage.refuse(refused);
      await stage.count(window, written, absent);
    }
  }

  /**
   * Rows may come before those that they point to, and a row that is refused takes along what points to it: so nothing stays before nothing
   * is refused any more. SQLite goes on to look at foreign keys at COMMIT only: switched back, it would forget what it has found.
   */
  async #cycleIntoSqlite(stages: readonly Stage[]): Promise<void> {
    await this.#transaction.script("PRAGMA defer_foreign_keys = ON");
    for (;;) {
      await this.#transaction.script("SAVEPOINT dualdb_cycle");
      const merged = await this.#inWindows(stages);
      if (merged.every(({ refused }) => refused.size === 0)) {
        for (const { stage, window, absent, written } of merged) await stage.count(window, written, absent);
        return this.#transaction.script("RELEASE SAVEPOINT dualdb_cycle");
      }
      await this.#transaction.script("ROLLBACK TO SAVEPOINT dualdb_cycle; RELEASE SAVEPOINT dualdb_cycle");
      for (const { stage, refused } of merged) await stage.refuse(refused);
      await setAsideOrphans(stages, true);
    }
  }

  async #inWindows(stages: readonly Stage[]): Promise<MergedWindow[]> {
    const merged: MergedWindow[] = [];
    for (const stage of stages)
      for (const window of stage.windows(linesAtOnce)) {
        this.#options.goOn();
        const absent = await stage.absent(window);
        const write = (lines: Window) => this.#write(stage, lines);
        merged.push({ stage, window, absent, ...(await inPortions(this.#transaction, window, linesAtOnce, write)) });
      }
    return merged;
  }

  /** In one statement, unless a row is refused. */
  async #intoPostgres(stage: Stage): Promise<void> {
    const { all } = stage;
    const absent = await stage.absent(all);
    const whole = await attempt(this.#transaction, () => this.#write(stage, all));
    const written = "done" in whole ? whole.done : await this.#inTrials(stage, stage.sql.target);
    await stage.count(all, written, absent);
  }

  /** Many rows at a time; where one of them is refused, each by itself. Tells how many were written. */
  async #inTrials(stage: Stage, into: string): Promise<number> {
    await this.#transaction.script(stage.sql.index());
    const write = (lines: Lines) => stage.sql.merge(lines, this.#options.overwrite, into);
    const trial = {
      name: stage.sql.name,
      lines: stage.sql.lines({ from: "dualdb_from", to: "dualdb_to" }),
      work: write({ from: "dualdb_line", to: "dualdb_line" }),
    };
    const sieve = await Sieve.open(this.#transaction, trial);
    let written = 0;
    for (const window of stage.windows(linesInATrial)) {
      this.#options.goOn();
      const whole = await attempt(this.#transaction, () => this.#transaction.execute(statement(write(window))));
      const tried: Tried = "done" in whole ? { written: whole.done, refused: new Map() } : await sieve.try(window);
      await stage.refuse(tried.refused);
      written += tried.written;
    }
    await sieve.close();
    return written;
  }

  /** One statement for all tables: PostgreSQL looks at the foreign keys at its end. */
  async #cycleIntoPostgres(stages: readonly Stage[]): Promise<void> {
    for (;;) {
      const absent: number[] = [];
      for (const stage of stages) absent.push(await stage.absent(stage.all));
      const merged = await attempt(this.#transaction, () => this.#mergeAll(stages));
      if ("done" in merged) {
        for (const [index, stage] of stages.entries())
          await stage.count(stage.all, merged.done[index] ?? 0, absent[index] ?? 0);
        return;
      }
      if ((await this.#withoutRefused(stages)) === 0) throw merged.refusal;
    }
  }

  async #mergeAll(stages: readonly Stage[]): Promise<number[]> {
    const merges = stages.map(
      ({ sql, all }, index) => `w${index} AS (${sql.merge(all, this.#options.overwrite)} RETURNING 1)`,
    );
    const counts = stages.map((_, index) => `(SELECT count(*) FROM w${index}) AS n${index}`);
    const [row] = await this.#transaction.query(statement(`WITH ${merges.join(", ")} SELECT ${counts.join(", ")}`));
    return stages.map((_, index) => Number(row?.[`n${index}`]));
  }

  /** Finds the rows for which the whole was refused, in tables without foreign keys. Tells how many. */
  async #withoutRefused(stages: readonly Stage[]): Promise<number> {
    let found = await setAsideOrphans(stages, true);
    for (const stage of stages) {
      found += await stage.setAsideCollisions();
      const before = stage.tally.aside.size;
      await this.#transaction.script(stage.sql.createScratch());
      await this.#inTrials(stage, stage.sql.scratch);
      await this.#transaction.script(`DROP TABLE ${stage.sql.scratch}`);
      found += stage.tally.aside.size - before;
    }
    return found;
  }

  #write({ sql }: Stage, lines: Window): Promise<number> {
    return this.#transaction.execute(statement(sql.merge(lines, this.#options.overwrite)));
  }
}
