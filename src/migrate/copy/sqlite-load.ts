import { isExclusion, refusedAsDuplicate, refusedAsOrphan, refusedBecause } from "../../data/refusal.js";
import { type ForeignKey, quote } from "../../data/table.js";
import { type ExactValue, statement, type Transaction } from "../../engines/engine.js";
import { type DualDbError, hasCode } from "../../errors.js";
import { insertText, mergeText } from "./merge-text.js";
import { orphanCondition, takerCondition } from "./obstacle.js";
import type { Loaded, LoadMode, Refused } from "./postgres-load.js";
import { ordinal } from "./staged-table.js";
import type { TargetTable } from "./target-table.js";

type Values = readonly ExactValue[];

/** SQLite takes at most 32,766 parameters in a statement; and a statement holds up the event loop. */
const mostParameters = 30_000;
const rowsInAStatement = 200;

/**
 * Brings rows into one table of SQLite, in a transaction of somebody else. What SQLite refuses is found and left out; rows that are there
 * already and equal are not touched.
 */
export class SqliteLoad {
  readonly #target: TargetTable;
  readonly #most: number;

  constructor(target: TargetTable) {
    this.#target = target;
    const { length } = target.table.columns;
    this.#most = Math.max(1, Math.min(rowsInAStatement, Math.floor(mostParameters / Math.max(1, length))));
  }

  async run(transaction: Transaction, rows: readonly Values[], mode: LoadMode): Promise<Loaded> {
    const loading = new Loading(this.#target, transaction, mode);
    for (let start = 0; start < rows.length; start += this.#most)
      await loading.take(
        rows.slice(start, start + this.#most).map((values, index) => ({ values, index: start + index })),
      );
    return loading;
  }
}

/** A row and its place among all. */
interface NumberedRow {
  readonly values: Values;
  readonly index: number;
}

/** Rows on their way into a table, in one transaction. */
class Loading implements Loaded {
  written = 0;
  readonly refused = new Map<number, Refused>();
  readonly #target: TargetTable;
  readonly #transaction: Transaction;
  readonly #mode: LoadMode;

  constructor(target: TargetTable, transaction: Transaction, mode: LoadMode) {
    this.#target = target;
    this.#transaction = transaction;
    this.#mode = mode;
  }

  async take(rows: readonly NumberedRow[]): Promise<void> {
    // A deferred one would refuse the whole transaction at its COMMIT, when nobody can tell the row any more.
    await this.#refuseOrphans(
      rows,
      this.#target.foreignKeys.filter(({ deferred }) => deferred === true),
    );
    await this.#load(this.#left(rows));
  }

  /** A statement that is refused leaves nothing behind, so parts of it can be tried in the same transaction. */
  async #load(rows: readonly NumberedRow[]): Promise<void> {
    if (rows.length === 0) return;
    try {
      const values = rows.flatMap((row) => row.values);
      this.written += await this.#transaction.execute(statement(this.#text(rows.length), values));
    } catch (error) {
      if (!hasCode(error, "CONSTRAINT_VIOLATED", "VALUE_REFUSED")) throw error;
      await this.#refuseAlike(rows, error);
      const left = this.#left(rows);
      if (left.length < rows.length) await this.#load(left);
      else await this.#loadHalves(rows, error);
    }
  }

  async #loadHalves(rows: readonly NumberedRow[], error: DualDbError): Promise<void> {
    const [first] = rows;
    if (rows.length === 1 && first !== undefined) {
      this.refused.set(first.index, { ...refusedBecause(this.#target.table, error), isTaken: isExclusion(error) });
      return;
    }
    const middle = Math.ceil(rows.length / 2);
    await this.#load(rows.slice(0, middle));
    await this.#load(rows.slice(middle));
  }

  #left(rows: readonly NumberedRow[]): NumberedRow[] {
    return rows.filter(({ index }) => !this.refused.has(index));
  }

  #text(rows: number): string {
    const { table } = this.#target;
    const row = `(${table.columns.map(() => "?").join(", ")})`;
    const values = `VALUES ${Array.from({ length: rows }, () => row).join(", ")}`;
    return this.#mode === "insert" ? insertText("sqlite", table, values) : mergeText("sqlite", table, values);
  }

  /** All rows that are refused for the same reason, where SQLite can be asked for those at once. */
  async #refuseAlike(rows: readonly NumberedRow[], error: DualDbError): Promise<void> {
    if (error.details.constraint === "FOREIGN KEY") await this.#refuseOrphans(rows, this.#target.foreignKeys);
    if (this.#mode === "merge" && isExclusion(error)) await this.#refuseTakers(rows);
  }

  /** Rows without a parent: SQLite's own error does not tell the column. */
  async #refuseOrphans(rows: readonly NumberedRow[], foreignKeys: readonly ForeignKey[]): Promise<void> {
    for (const foreignKey of foreignKeys) {
      const { columns, parent } = foreignKey;
      const because = refusedAsOrphan(this.#target.table, "sqlite", columns);
      const condition = orphanCondition(foreignKey, [quote(parent)]);
      await this.#refuseWhere(rows, columns, condition, { ...because, isTaken: false });
    }
  }

  /** Rows with a unique value that another row of the table has. */
  async #refuseTakers(rows: readonly NumberedRow[]): Promise<void> {
    const { table, uniques } = this.#target;
    for (const unique of uniques) {
      const because = refusedAsDuplicate(table, "sqlite", unique);
      const columns = [...new Set([...unique.columns, ...table.key])];
      const condition = takerCondition(this.#target, unique.columns);
      await this.#refuseWhere(rows, columns, condition, { ...because, isTaken: true });
    }
  }

  /** `condition`: on `s`, which has these columns of the rows. */
  async #refuseWhere(
    rows: readonly NumberedRow[],
    columns: readonly string[],
    condition: string,
    refused: Refused,
  ): Promise<void> {
    const at = columns.map((name) => this.#target.table.columns.findIndex((column) => column.name === name));
    const values = rows.flatMap((row) => at.map((place) => row.values[place] ?? null));
    const lists = rows.map(({ index }) => `(${[index, ...at.map(() => "?")].join(", ")})`).join(", ");
    const text = `WITH s (${[ordinal, ...columns.map(quote)].join(", ")}) AS (VALUES ${lists})
      SELECT ${ordinal} AS n FROM s WHERE ${condition}`;
    for (const { n } of await this.#transaction.query(statement(text, values))) this.refused.set(Number(n), refused);
  }
}
