import { isRefusal, type RefusedBecause, refusedBecause, refusedForSize } from "../../data/refusal.js";
import { encodeRow } from "../../data/rows/copy-text.js";
import { nameOn, type Table } from "../../data/table.js";
import { type ExactValue, type PostgresTransaction, statement } from "../../engines/engine.js";
import type { DualDbError } from "../../errors.js";
import { Lines, type PlainData } from "./lines.js";
import { type Loaded, PostgresLoad } from "./postgres-load.js";
import { type Range, RowGroups } from "./row-groups.js";
import { everyRow, type Part, type StagedTable } from "./staged-table.js";
import { type Settled, type StagedLoad, Stages } from "./stages.js";
import type { TargetTable } from "./target-table.js";

/**
 * Brings rows into PostgreSQL that can only go together, since they point to each other or take each other's unique values: all of them
 * are staged, what cannot go is taken out, and the rest goes in by one statement, at whose end foreign keys are checked. Where that is
 * refused, by a trigger perhaps, they go in groups that depend on each other, until the refused ones stand alone. It takes no right but
 * that to write. Everything happens in one transaction of somebody else.
 */
export class PostgresStagedLoad implements StagedLoad {
  readonly #transaction: PostgresTransaction;
  readonly #stages: Stages;
  readonly #written: number[];

  constructor(transaction: PostgresTransaction, targets: readonly TargetTable[]) {
    this.#transaction = transaction;
    this.#stages = new Stages(transaction, targets, "temp");
    this.#written = targets.map(() => 0);
  }

  begin(): Promise<void> {
    return this.#stages.create();
  }

  /** Rows of one of the tables. Lines that are refused by themselves are left out. */
  async stage(table: Table, data: Lines | PlainData): Promise<Loaded> {
    const { stage, target } = this.#stages.of(table);
    const load = new PostgresLoad({ ...target, table: stage, foreignKeys: [], uniques: [] });
    const { refused } = await load.run(this.#transaction, data, "insert");
    return { written: 0, refused };
  }

  stageRows(table: Table, rows: readonly (readonly ExactValue[])[]): Promise<Loaded> {
    return this.stage(table, Lines.of(rows.map(encodeRow)));
  }

  async settle(): Promise<Settled> {
    for (const staged of this.#stages.all) await staged.analyze();
    await this.#stages.sift();
    if ((await this.#attempt(() => everyRow)) !== null) await this.#inGroups();
    await this.#stages.drop();
    const tables = this.#stages.all.map(({ target }) => target.table);
    return {
      written: new Map(tables.map((table, place) => [table, this.#written[place] ?? 0])),
      refused: this.#stages.refused,
    };
  }

  /** What was refused is tried once more as long as that gets anything in: an index on an expression does not tell who waits for whom. */
  async #inGroups(): Promise<void> {
    const groups = await RowGroups.of(this.#transaction, this.#stages.all);
    let refused = await this.#inHalves(groups, [{ from: 0, to: groups.count - 1 }]);
    for (let before = Number.POSITIVE_INFINITY; refused.length < before; ) {
      before = refused.length;
      refused = await this.#inHalves(
        groups,
        refused.map(({ range }) => range),
      );
    }
    for (const { range, error } of refused) await this.#refuse(groups, range, error);
    await groups.drop(this.#transaction);
  }

  /** Resolves to the single groups that are refused. */
  async #inHalves(groups: RowGroups, ranges: readonly Range[]): Promise<Refusal[]> {
    const refused: Refusal[] = [];
    for (const range of ranges) {
      const { from, to } = range;
      const error = await this.#attempt((place) => groups.part(place, range));
      if (error === null) continue;
      const middle = Math.floor((from + to) / 2);
      if (from >= to) refused.push({ range, error });
      else
        refused.push(
          ...(await this.#inHalves(groups, [
            { from, to: middle },
            { from: middle + 1, to },
          ])),
        );
    }
    return refused;
  }

  async #refuse(groups: RowGroups, range: Range, error: DualDbError): Promise<void> {
    for (const [place, staged] of this.#stages.all.entries()) {
      const part = groups.part(place, range);
      const rows = await staged.keys(part);
      const said = saidOf(staged, error);
      const sizes = said.candidates === undefined ? null : await staged.sizes(part, said.candidates);
      const because = refusedForSize(said, (column) => sizes?.get(column) ?? 0);
      await this.#stages.refuse(
        staged,
        rows.map((row) => ({ ...row, ...because })),
      );
    }
  }

  /** Writes a part of each stage, or nothing: then it resolves to what PostgreSQL says. */
  async #attempt(partOf: (place: number) => Part): Promise<DualDbError | null> {
    await this.#transaction.script(`SAVEPOINT ${savepoint}`);
    try {
      const written = await this.#write(this.#stages.all.map((_, place) => partOf(place)));
      await this.#transaction.script(`RELEASE ${savepoint}`);
      for (const [place, rows] of written.entries()) this.#written[place] = (this.#written[place] ?? 0) + rows;
      return null;
    } catch (error) {
      if (!isRefusal(error)) throw error;
      await this.#transaction.script(`ROLLBACK TO ${savepoint}; RELEASE ${savepoint}`);
      return error;
    }
  }

  async #write(parts: readonly Part[]): Promise<number[]> {
    const { all } = this.#stages;
    const part = (place: number) => parts[place] ?? everyRow;
    for (const [place, staged] of all.entries())
      for (const text of staged.parkTexts(part(place), part(place))) await this.#transaction.execute(statement(text));
    const merges = all.map((staged, place) => `w${place} AS (${staged.mergeText(part(place))} RETURNING 1)`);
    const counts = all.map((_, place) => `(SELECT count(*) FROM w${place}) AS n${place}`);
    const [row] = await this.#transaction.query(statement(`WITH ${merges.join(", ")} SELECT ${counts.join(", ")}`));
    return all.map((_, place) => Number(row?.[`n${place}`]));
  }
}

const savepoint = "dualdb_staged";

interface Refusal {
  readonly range: Range;
  readonly error: DualDbError;
}

/** What an error says of the rows of one table, of those that had to go together. */
function saidOf({ target: { side, table } }: StagedTable, error: DualDbError): RefusedBecause {
  const because = refusedBecause(table, error);
  if (error.table === undefined || error.table === nameOn(side, table)) return because;
  return { column: "", reason: because.reason };
}
