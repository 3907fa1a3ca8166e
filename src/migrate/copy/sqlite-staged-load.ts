import { refusedBecause } from "../../data/refusal.js";
import type { Table } from "../../data/table.js";
import { type ExactValue, statement, type Transaction } from "../../engines/engine.js";
import { type DualDbError, hasCode } from "../../errors.js";
import type { Loaded } from "./postgres-load.js";
import { SqliteLoad } from "./sqlite-load.js";
import { everyRow, type Misfit, ordinal, type Part, type StagedTable, type StageSchema } from "./staged-table.js";
import { type Settled, type StagedLoad, Stages } from "./stages.js";
import type { TargetTable } from "./target-table.js";

/** A statement holds up the event loop. */
const rowsInAStatement = 400;

/**
 * Brings rows into SQLite that can only go together, since they point to each other or take each other's unique values: all of them are
 * staged, what cannot go is taken out, and the rest goes in while foreign keys wait for the COMMIT. Whatever is refused on the way is
 * taken out, too, with what hangs on it, and all is done once more. Everything happens in one transaction of somebody else.
 */
export class SqliteStagedLoad implements StagedLoad {
  readonly #transaction: Transaction;
  readonly #stages: Stages;

  constructor(transaction: Transaction, targets: readonly TargetTable[], schema: StageSchema) {
    this.#transaction = transaction;
    this.#stages = new Stages(transaction, targets, schema);
  }

  begin(): Promise<void> {
    return this.#stages.create();
  }

  /** Those with a key that another has had before are left out. */
  async stageRows(table: Table, rows: readonly (readonly ExactValue[])[]): Promise<Loaded> {
    const { stage, target } = this.#stages.of(table);
    const load = new SqliteLoad({ ...target, table: stage, foreignKeys: [], uniques: [] });
    const { refused } = await load.run(this.#transaction, rows, "insert");
    return { written: 0, refused };
  }

  async settle(): Promise<Settled> {
    await this.#transaction.script("PRAGMA defer_foreign_keys = ON");
    let written = await this.#attempt();
    while (written === null) written = await this.#attempt();
    await this.#stages.drop();
    return { written, refused: this.#stages.refused };
  }

  /** Writes what the stages have; where something is refused, nothing: then it is not staged any more, and this resolves to null. */
  async #attempt(): Promise<Map<Table, number> | null> {
    await this.#stages.sift();
    await this.#transaction.script(`SAVEPOINT ${savepoint}`);
    const written = new Map<Table, number>();
    const refused = new Map<StagedTable, Misfit[]>();
    for (const staged of this.#stages.all) {
      const misfits: Misfit[] = [];
      written.set(staged.target.table, await this.#merge(staged, misfits));
      if (misfits.length > 0) refused.set(staged, misfits);
    }
    if (refused.size > 0) await this.#transaction.script(`ROLLBACK TO ${savepoint}`);
    await this.#transaction.script(`RELEASE ${savepoint}`);
    for (const [staged, misfits] of refused) await this.#stages.refuse(staged, misfits);
    return refused.size === 0 ? written : null;
  }

  async #merge(staged: StagedTable, misfits: Misfit[]): Promise<number> {
    const windows = windowsTo(await staged.last());
    // Where a value cannot be let go of for a while, it stays, and the row that wants it is refused.
    for (const window of windows)
      await this.#inHalves(
        window,
        (part) => staged.parkTexts(part, everyRow),
        async () => {},
      );
    let written = 0;
    for (const window of windows)
      written += await this.#inHalves(
        window,
        (part) => [staged.mergeText(part)],
        async (part, error) => {
          const because = refusedBecause(staged.target.table, error);
          misfits.push(...(await staged.keys(part)).map((row) => ({ ...row, ...because })));
        },
      );
    return written;
  }

  /** Runs statements for these rows; where they are refused, for halves of them, until the refused ones stand alone. */
  async #inHalves(
    { from, to }: Window,
    texts: (part: Part) => readonly string[],
    onRefused: (part: Part, error: DualDbError) => Promise<void>,
  ): Promise<number> {
    const part = partOf({ from, to });
    try {
      let changed = 0;
      for (const text of texts(part)) changed += await this.#transaction.execute(statement(text));
      return changed;
    } catch (error) {
      if (!hasCode(error, "CONSTRAINT_VIOLATED", "VALUE_REFUSED")) throw error;
      if (from === to) {
        await onRefused(part, error);
        return 0;
      }
      const middle = Math.floor((from + to) / 2);
      const before = await this.#inHalves({ from, to: middle }, texts, onRefused);
      return before + (await this.#inHalves({ from: middle + 1, to }, texts, onRefused));
    }
  }
}

const savepoint = "dualdb_staged";

/** Rows of a stage, both ends included. */
interface Window {
  readonly from: number;
  readonly to: number;
}

function windowsTo(last: number): Window[] {
  return Array.from({ length: Math.ceil(last / rowsInAStatement) }, (_, index) => ({
    from: index * rowsInAStatement + 1,
    to: (index + 1) * rowsInAStatement,
  }));
}

function partOf({ from, to }: Window): Part {
  return (alias) => `${alias}.${ordinal} BETWEEN ${from} AND ${to}`;
}
