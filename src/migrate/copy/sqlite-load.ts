import { isExclusion, refusedAsDuplicate, refusedAsOrphan, refusedBecause } from "../../data/refusal.js";
import { quote } from "../../data/table.js";
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
    const refused = new Map<number, Refused>();
    let written = 0;
    for (let start = 0; start < rows.length; start += this.#most) {
      const part = rows.slice(start, start + this.#most).map((values, index) => ({ values, index: start + index }));
      await this.#refuseOrphans(transaction, part, refused);
      const going = part.filter(({ index }) => !refused.has(index));
      written += await this.#load(transaction, going, mode, refused);
    }
    return { written, refused };
  }

  /** A statement that is refused leaves nothing behind, so its halves can be tried in the same transaction. */
  async #load(
    transaction: Transaction,
    rows: readonly NumberedRow[],
    mode: LoadMode,
    refused: Map<number, Refused>,
  ): Promise<number> {
    const [first] = rows;
    if (first === undefined) return 0;
    try {
      const values = rows.flatMap((row) => row.values);
      return await transaction.execute(statement(this.#text(rows.length, mode), values));
    } catch (error) {
      if (!hasCode(error, "CONSTRAINT_VIOLATED", "VALUE_REFUSED")) throw error;
      if (rows.length > 1) return this.#loadParts(transaction, rows, mode, refused, error);
      refused.set(first.index, { ...refusedBecause(this.#target.table, error), isTaken: isExclusion(error) });
      return 0;
    }
  }

  /** Without the rows that are refused alike, where SQLite can be asked for those at once; else in halves. */
  async #loadParts(
    transaction: Transaction,
    rows: readonly NumberedRow[],
    mode: LoadMode,
    refused: Map<number, Refused>,
    error: DualDbError,
  ): Promise<number> {
    if (mode === "merge" && isExclusion(error)) await this.#refuseTakers(transaction, rows, refused);
    const left = rows.filter(({ index }) => !refused.has(index));
    const middle = Math.ceil(rows.length / 2);
    const parts = left.length < rows.length ? [left] : [rows.slice(0, middle), rows.slice(middle)];
    let written = 0;
    for (const part of parts) written += await this.#load(transaction, part, mode, refused);
    return written;
  }

  #text(rows: number, mode: LoadMode): string {
    const { table } = this.#target;
    const row = `(${table.columns.map(() => "?").join(", ")})`;
    const values = `VALUES ${Array.from({ length: rows }, () => row).join(", ")}`;
    return mode === "insert" ? insertText("sqlite", table, values) : mergeText("sqlite", table, values);
  }

  /** A foreign key that is deferred would refuse the whole transaction at its COMMIT, when nobody can tell the row any more. */
  async #refuseOrphans(
    transaction: Transaction,
    rows: readonly NumberedRow[],
    refused: Map<number, Refused>,
  ): Promise<void> {
    const { table, foreignKeys } = this.#target;
    for (const foreignKey of foreignKeys.filter(({ deferred }) => deferred === true)) {
      const because = { ...refusedAsOrphan(table, "sqlite", foreignKey.columns), isTaken: false };
      await this.#refuseWhere(
        orphanCondition(foreignKey, [quote(foreignKey.parent)]),
        foreignKey.columns,
        because,
        transaction,
        rows,
        refused,
      );
    }
  }

  /** Rows with a unique value that another row of the table has. */
  async #refuseTakers(
    transaction: Transaction,
    rows: readonly NumberedRow[],
    refused: Map<number, Refused>,
  ): Promise<void> {
    const { table, uniques } = this.#target;
    for (const unique of uniques) {
      const because = { ...refusedAsDuplicate(table, "sqlite", unique), isTaken: true };
      const columns = [...new Set([...unique.columns, ...table.key])];
      await this.#refuseWhere(
        takerCondition(this.#target, unique.columns),
        columns,
        because,
        transaction,
        rows,
        refused,
      );
    }
  }

  /** `condition`: on `s`, which has some columns of the rows. */
  async #refuseWhere(
    condition: string,
    columns: readonly string[],
    because: Refused,
    transaction: Transaction,
    rows: readonly NumberedRow[],
    refused: Map<number, Refused>,
  ): Promise<void> {
    const at = columns.map((name) => this.#target.table.columns.findIndex((column) => column.name === name));
    const values = rows.flatMap((row) => at.map((place) => row.values[place] ?? null));
    const lists = rows.map(({ index }) => `(${[index, ...at.map(() => "?")].join(", ")})`).join(", ");
    const text = `WITH s (${[ordinal, ...columns.map(quote)].join(", ")}) AS (VALUES ${lists}) SELECT ${ordinal} AS n FROM s WHERE ${condition}`;
    for (const { n } of await transaction.query(statement(text, values))) refused.set(Number(n), because);
  }
}

/** A row and its place among all. */
interface NumberedRow {
  readonly values: Values;
  readonly index: number;
}
