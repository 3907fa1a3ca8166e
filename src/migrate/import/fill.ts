import { chunks } from "../../data/chunks.js";
import { OwnInput } from "../../data/conversion/own-input.js";
import { isRefusal, refusedBecause } from "../../data/refusal.js";
import { encodeRow } from "../../data/rows/copy-text.js";
import { quote, quotedOn } from "../../data/table.js";
import { type PostgresTransaction, type SideTransaction, statement, type Transaction } from "../../engines/engine.js";
import type { DualDbError } from "../../errors.js";
import type { Intake, IntakeRow } from "./intake.js";
import { insertRows } from "./sqlite-insert.js";
import { Stage, type StageSchema } from "./stage.js";
import type { Window } from "./stage-sql.js";
import { Tally } from "./tally.js";

export interface FillOptions {
  /** The file wins over every different row. */
  readonly overwrite: boolean;
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
    if (intakes.length === 0) return [];
    if (intakes.length === 1 && only !== undefined && (await this.isEmpty(only))) {
      const straight = await this.#straight(only, isCyclic);
      if (straight !== null) return [straight];
    }
    return this.#staged(intakes, isCyclic);
  }

  async isEmpty({ target }: Intake): Promise<boolean> {
    return (
      (await this.#transaction.query(statement(`SELECT 1 AS one FROM ${quote(target.name)} LIMIT 1`))).length === 0
    );
  }

  /** null where PostgreSQL refuses a row, so that nothing is there and it has to be found, or where the order of the rows matters. */
  async #straight(intake: Intake, isCyclic: boolean): Promise<Tally | null> {
    if (this.#into.side === "postgres") return this.#copy(new Tally(intake), this.#into.transaction);
    return isCyclic ? null : this.#insert(new Tally(intake));
  }

  async #copy(tally: Tally, transaction: PostgresTransaction): Promise<Tally | null> {
    const { table, target } = tally.intake;
    const columns = table.columns.map((column) => quotedOn("postgres", column)).join(", ");
    const text = `COPY ${quote(target.name)} (${columns}) FROM STDIN`;
    await transaction.script("SAVEPOINT dualdb_table");
    try {
      if (new OwnInput(table).isNeeded) await this.#copyPages(transaction, text, tally);
      else tally.inserted = await transaction.copyIn(text, linesOf(this.#rows(tally)));
      await transaction.script("RELEASE SAVEPOINT dualdb_table");
      return tally;
    } catch (error) {
      if (!isRefusal(error) || table.key.length === 0) throw error;
      await transaction.script("ROLLBACK TO SAVEPOINT dualdb_table; RELEASE SAVEPOINT dualdb_table");
      return null;
    }
  }

  /** What PostgreSQL's own input makes of a page has to be asked while the page is at hand. */
  async #copyPages(transaction: PostgresTransaction, text: string, tally: Tally): Promise<void> {
    for await (const rows of this.#rows(tally)) {
      tally.inserted += await transaction.copyIn(text, linesOf([rows]));
      await this.#noteAltered(tally, rows);
    }
  }

  /** For rows that PostgreSQL has taken. */
  async #noteAltered(tally: Tally, rows: readonly IntakeRow[]): Promise<void> {
    const own = new OwnInput(tally.intake.table);
    const texts = rows.filter(({ line }) => !tally.aside.has(line)).map((row) => own.textsOf(row));
    for (const finding of (await own.findings(this.#transaction, texts)).flat()) tally.note(finding);
  }

  async *#rows(tally: Tally): AsyncGenerator<readonly IntakeRow[]> {
    for await (const page of tally.intake.rows()) {
      this.#options.onRows(tally.intake, page.at(-1)?.line ?? 0);
      yield tally.accept(page);
    }
  }

  async #insert(tally: Tally): Promise<Tally> {
    for await (const rows of this.#rows(tally))
      for (const part of chunks(rows, rowsInAPart)) tally.inserted += await this.#insertPart(tally, part);
    return tally;
  }

  async #insertPart(tally: Tally, rows: readonly IntakeRow[]): Promise<number> {
    const { table, target } = tally.intake;
    const columns = table.columns.map((column) => quotedOn("sqlite", column));
    const into = { name: quote(target.name), columns, table, numbered: false };
    const [first] = rows;
    return this.#attempt(
      () => insertRows(this.#transaction, into, rows, "INSERT"),
      async (error) => {
        if (rows.length === 1 && first !== undefined) {
          const { column, reason } = refusedBecause(table, error);
          tally.setAside(first.line, column, reason);
        }
        if (rows.length <= 1) return 0;
        const middle = Math.ceil(rows.length / 2);
        const before = await this.#insertPart(tally, rows.slice(0, middle));
        return before + (await this.#insertPart(tally, rows.slice(middle)));
      },
    );
  }

  async #staged(intakes: readonly Intake[], isCyclic: boolean): Promise<Tally[]> {
    const stages = intakes.map(
      (intake) => new Stage(this.#into, new Tally(intake), this.#options.schema, this.#stages++),
    );
    for (const stage of stages) await this.#fillStage(stage);
    for (let found = 1; found > 0; ) {
      found = 0;
      for (const stage of stages) found += await stage.setAsideOrphans(stages);
      if (!isCyclic) break;
    }
    await (this.#into.side === "sqlite" ? this.#mergeOnSqlite(stages, isCyclic) : this.#mergeOnPostgres(stages));
    for (const stage of stages) await stage.drop();
    return stages.map(({ tally }) => tally);
  }

  async #fillStage(stage: Stage): Promise<void> {
    await stage.create();
    for await (const rows of this.#rows(stage.tally)) {
      await stage.add(rows);
      if (this.#into.side === "postgres") await this.#noteAltered(stage.tally, rows);
    }
    await stage.setAsideDuplicates();
  }

  /** Rows may come before those that they point to: what is missing at the end has been set aside before. */
  async #mergeOnSqlite(stages: readonly Stage[], isCyclic: boolean): Promise<void> {
    if (isCyclic) await this.#transaction.script("PRAGMA defer_foreign_keys = ON");
    for (const stage of stages) for (const window of stage.windows()) await this.#mergeWindow(stage, window);
    if (isCyclic) await this.#transaction.script("PRAGMA defer_foreign_keys = OFF");
  }

  async #mergeWindow(stage: Stage, window: Window): Promise<void> {
    const absent = await stage.absent(window);
    const written = await this.#inHalves(stage, window, (part) => stage.sql.merge(part, this.#options.overwrite));
    await stage.count(window, written, absent);
  }

  /** One statement for all tables: PostgreSQL looks at the foreign keys at its end. */
  async #mergeOnPostgres(stages: readonly Stage[]): Promise<void> {
    for (;;) {
      const windows = stages.map((stage) => ({ stage, window: [...stage.windows()].at(0) ?? { from: 0, to: 0 } }));
      const absent = [];
      for (const { stage, window } of windows) absent.push(await stage.absent(window));
      const written = await this.#attempt(
        () => this.#mergeAll(windows),
        async (error) => {
          if ((await this.#withoutRefused(stages)) === 0) throw error;
          return null;
        },
      );
      if (written === null) continue;
      for (const [index, { stage, window }] of windows.entries())
        await stage.count(window, written[index] ?? 0, absent[index] ?? 0);
      return;
    }
  }

  async #mergeAll(windows: readonly { readonly stage: Stage; readonly window: Window }[]): Promise<number[]> {
    const merges = windows.map(
      ({ stage, window }, index) => `w${index} AS (${stage.sql.merge(window, this.#options.overwrite)} RETURNING 1)`,
    );
    const counts = windows.map((_, index) => `(SELECT count(*) FROM w${index}) AS n${index}`);
    const [row] = await this.#transaction.query(statement(`WITH ${merges.join(", ")} SELECT ${counts.join(", ")}`));
    return windows.map((_, index) => Number(row?.[`n${index}`]));
  }

  /** Finds the rows for which the whole was refused. */
  async #withoutRefused(stages: readonly Stage[]): Promise<number> {
    let found = 0;
    for (const stage of stages) {
      found += await stage.setAsideCollisions();
      found += await stage.setAsideOrphans(stages);
      const before = stage.tally.aside.size;
      const scratch = await stage.scratch();
      for (const window of stage.windows(linesInATrial))
        await this.#inHalves(stage, window, (part) => stage.sql.merge(part, false, scratch));
      found += stage.tally.aside.size - before;
    }
    return found;
  }

  /** Runs a statement for these lines; where it is refused, for halves of them, until the refused ones stand alone. */
  async #inHalves(stage: Stage, window: Window, text: (part: Window) => string): Promise<number> {
    const { from, to } = window;
    return this.#attempt(
      () => this.#transaction.execute(statement(text(window))),
      async (error) => {
        if (from === to) await stage.refuse(from, error);
        if (from >= to) return 0;
        const middle = Math.floor((from + to) / 2);
        const before = await this.#inHalves(stage, { from, to: middle }, text);
        return before + (await this.#inHalves(stage, { from: middle + 1, to }, text));
      },
    );
  }

  /** Runs `work`, and undoes it and runs `otherwise` where the database refuses rows. */
  async #attempt<T, U = T>(work: () => Promise<T>, otherwise: (error: DualDbError) => Promise<U>): Promise<T | U> {
    await this.#transaction.script("SAVEPOINT dualdb_attempt");
    try {
      const result = await work();
      await this.#transaction.script("RELEASE SAVEPOINT dualdb_attempt");
      return result;
    } catch (error) {
      if (!isRefusal(error)) throw error;
      await this.#transaction.script("ROLLBACK TO SAVEPOINT dualdb_attempt; RELEASE SAVEPOINT dualdb_attempt");
      return otherwise(error);
    }
  }
}

async function* linesOf(
  pages: AsyncIterable<readonly IntakeRow[]> | Iterable<readonly IntakeRow[]>,
): AsyncGenerator<Uint8Array> {
  for await (const rows of pages) {
    let text = "";
    for (const { values } of rows) text += encodeRow(values);
    yield Buffer.from(text);
  }
}

const rowsInAPart = 100;
const linesInATrial = 4_000;
