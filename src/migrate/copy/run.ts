import type { TablePair } from "../../data/catalogue/discover.js";
import type { Finding } from "../../data/finding.js";
import type { Table } from "../../data/table.js";
import type { Side } from "../../engines/engine.js";
import { DualDbError } from "../../errors.js";
import type { Databases, Scene } from "../databases.js";
import type { ToolOptions } from "../options.js";
import { endIfAsked, TableProgress } from "../progress.js";
import { type Origin, type Reject, Rejects } from "../rejects.js";
import type { RefusedRow } from "./batch.js";
import { type CopiedTable, Tally } from "./report.js";
import { type TargetTable, targetTable } from "./target-table.js";

/** What one run of `copy` works on, whichever way the rows go. */
export interface CopyRun {
  readonly databases: Databases;
  readonly scene: Scene;
  readonly options: ToolOptions;
  /** The folder for rows that cannot go; null where one such row ends the run. */
  readonly rejects: string | null;
  readonly origin: Origin;
  /** Of which lines there this run has to say something. */
  readonly isOurs: (reject: Reject) => boolean;
}

/** Copying one statement's worth of rows may wait for others' locks, never for ever. */
export const timeoutMs = 600_000;

/** Both sides of a table that is carried. */
export function pairIn({ scene }: CopyRun, { name }: Table): TablePair {
  const pair = scene.pairing.pairs.find(({ table }) => table.name === name);
  if (pair === undefined) throw new Error(`table ${name} is not of this run`);
  return pair;
}

/** What that side asks of its rows. */
export function targetIn(run: CopyRun, table: Table, side: Side): TargetTable {
  return targetTable(pairIn(run, table), side);
}

/** One table on its way: what becomes of its rows is counted, and what cannot go is kept. */
export class TableRun {
  readonly table: Table;
  readonly tally: Tally;
  readonly #run: CopyRun;
  readonly #rejects: Rejects | null;
  readonly #progress: TableProgress;
  readonly #waiting: string[] = [];
  #settingAside: Promise<void> = Promise.resolve();

  constructor(run: CopyRun, table: Table, total: number | null) {
    this.table = table;
    this.tally = new Tally(table.name);
    this.#run = run;
    this.#rejects = run.rejects === null ? null : new Rejects(run.rejects, table, run.origin, run.isOurs);
    this.#progress = new TableProgress("copy", table.name, total, run.options.onProgress);
  }

  /** Between two steps: tells how far the run is, and ends it where somebody has asked for that. */
  step(): void {
    this.#progress.at(this.tally.read);
    endIfAsked(this.#run.options.signal);
  }

  /** Keys of rows whose unique values others had when they came, and that may go when every row has been there. */
  get waiting(): readonly string[] {
    return this.#waiting;
  }

  /** Keys of rows that were set aside. */
  get aside(): readonly string[] {
    return this.table.key.length === 0 ? [] : (this.#rejects?.identities ?? []);
  }

  wait(keys: readonly string[]): void {
    this.#waiting.push(...keys);
  }

  note(findings: readonly Finding[]): void {
    for (const finding of findings) this.tally.note(finding);
  }

  /**
   * One call after the other, whoever calls.
   * @throws CONSTRAINT_VIOLATED where nothing may be set aside: then all of the run is taken back.
   */
  setAside(rejected: readonly RefusedRow[]): Promise<void> {
    const done = this.#settingAside.then(() => this.#setAside(rejected));
    this.#settingAside = done.catch(() => undefined);
    return done;
  }

  async #setAside(rejected: readonly RefusedRow[]): Promise<void> {
    const [first] = rejected;
    if (first === undefined) return;
    if (this.#rejects === null) throw strictly(first.finding);
    const fresh = rejected.filter(({ row }) => this.table.key.length === 0 || this.#rejects?.has(row.key) !== true);
    this.note(fresh.map(({ finding }) => finding));
    await this.#rejects.add(fresh);
    this.tally.setAside += fresh.length;
  }

  /** The whole table has been seen. */
  async finish(): Promise<CopiedTable> {
    await this.#rejects?.settle();
    this.#progress.end(this.tally.read);
    return this.tally.result();
  }

  async close(): Promise<void> {
    await this.#rejects?.close();
  }
}

/** Why a run that may set nothing aside has ended. */
export function strictly({ table, key, column, reason }: Finding): DualDbError {
  const place = column === "" ? table : `${table}.${column}`;
  const message = `The row ${key} of ${table} cannot go (${place}: ${reason}), and nothing may be set aside: nothing was copied. Correct it, or copy without --strict.`;
  return new DualDbError("CONSTRAINT_VIOLATED", message, {
    table,
    ...(column === "" ? {} : { column }),
    details: { key, reason },
  });
}
