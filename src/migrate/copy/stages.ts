import type { RefusedBecause } from "../../data/refusal.js";
import type { Table } from "../../data/table.js";
import type { ExactValue, Transaction } from "../../engines/engine.js";
import type { Databases } from "../databases.js";
import type { Loaded } from "./postgres-load.js";
import { type Misfit, StagedTable, type StageSchema } from "./staged-table.js";
import type { TargetTable } from "./target-table.js";

/** A row that cannot go, by its key. */
export interface RefusedKey extends RefusedBecause {
  readonly table: Table;
  readonly key: string;
}

/** What became of rows that were staged: how many of each table were inserted or changed, and those that cannot go. */
export interface Settled {
  readonly written: ReadonlyMap<Table, number>;
  readonly refused: readonly RefusedKey[];
}

/** Brings rows in that can only go together. Begin, stage the rows of every table, settle. */
export interface StagedLoad {
  begin(): Promise<void>;
  /** Those that are refused by themselves are left out; none is written yet. */
  stageRows(table: Table, rows: readonly (readonly ExactValue[])[]): Promise<Loaded>;
  settle(): Promise<Settled>;
}

/** The rows of tables that can only go together, all of them staged, in a transaction of somebody else. */
export class Stages {
  readonly all: readonly StagedTable[];
  readonly refused: RefusedKey[] = [];

  constructor(transaction: Transaction, targets: readonly TargetTable[], schema: StageSchema) {
    this.all = targets.map((target, number) => new StagedTable(transaction, target, number, schema));
  }

  async create(): Promise<void> {
    for (const staged of this.all) await staged.create(this.all);
  }

  async drop(): Promise<void> {
    for (const staged of this.all) await staged.drop();
  }

  of(table: Table): StagedTable {
    const staged = this.all.find(({ target }) => target.table === table);
    if (staged === undefined) throw new Error(`table ${table.name} is not staged`);
    return staged;
  }

  /**
   * Takes out what cannot go beside the others: rows without a parent, and those with a unique value that another row keeps; then what
   * hangs on those, until nothing is left to take out.
   */
  async sift(): Promise<void> {
    await this.#siftOutside();
    for (const staged of this.all) await this.refuse(staged, await staged.duplicates());
    await this.#siftOutside();
  }

  async refuse(staged: StagedTable, misfits: readonly Misfit[]): Promise<void> {
    await staged.remove(misfits);
    const { table } = staged.target;
    for (const { key, column, reason } of misfits) this.refused.push({ table, key, column, reason });
  }

  async #siftOutside(): Promise<void> {
    for (let found = -1; found !== this.refused.length; ) {
      found = this.refused.length;
      for (const staged of this.all) {
        await this.refuse(staged, await staged.orphans(this.all));
        await this.refuse(staged, await staged.blocked());
      }
    }
  }
}

/** Where stages of SQLite are made. */
export function schemaOf({ config }: Databases): StageSchema {
  return config.sqlite.file === null ? "main" : "temp";
}
