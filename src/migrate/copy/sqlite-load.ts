import { refusedBecause } from "../../data/refusal.js";
import { columnOf, quote, type Table } from "../../data/table.js";
import { type ExactValue, statement, type Transaction } from "../../engines/engine.js";
import { hasCode } from "../../errors.js";
import type { Loaded, LoadMode, Refused } from "./postgres-load.js";

type Values = readonly ExactValue[];

/** SQLite takes at most 32,766 parameters in a statement; and a statement holds up the event loop. */
const mostParameters = 30_000;
const rowsInAStatement = 200;

/**
 * Brings rows into one table of SQLite, in a transaction of somebody else. What SQLite refuses is found and left out; rows that are there
 * already and equal are not touched.
 */
export class SqliteLoad {
  readonly #table: Table;
  readonly #most: number;

  constructor(table: Table) {
    this.#table = table;
    this.#most = Math.max(
      1,
      Math.min(rowsInAStatement, Math.floor(mostParameters / Math.max(1, table.columns.length))),
    );
  }

  async run(transaction: Transaction, rows: readonly Values[], mode: LoadMode): Promise<Loaded> {
    const refused = new Map<number, Refused>();
    let written = 0;
    for (let start = 0; start < rows.length; start += this.#most) {
      const end = Math.min(rows.length, start + this.#most);
      written += await this.#load(transaction, rows, start, end, mode, refused);
    }
    return { written, refused };
  }

  /** A statement that is refused leaves nothing behind, so its halves can be tried in the same transaction. */
  async #load(
    transaction: Transaction,
    rows: readonly Values[],
    start: number,
    end: number,
    mode: LoadMode,
    refused: Map<number, Refused>,
  ): Promise<number> {
    const sql = insertText(this.#table, end - start, mode);
    try {
      return await transaction.execute(statement(sql, rows.slice(start, end).flat()));
    } catch (error) {
      if (!hasCode(error, "CONSTRAINT_VIOLATED", "VALUE_REFUSED")) throw error;
      if (end - start === 1) {
        refused.set(start, refusedBecause(this.#table, error));
        return 0;
      }
      const middle = Math.ceil((start + end) / 2);
      const first = await this.#load(transaction, rows, start, middle, mode, refused);
      return first + (await this.#load(transaction, rows, middle, end, mode, refused));
    }
  }
}

function insertText(table: Table, rows: number, mode: LoadMode): string {
  const names = table.columns.map(({ name }) => quote(name));
  const row = `(${names.map(() => "?").join(", ")})`;
  const values = Array.from({ length: rows }, () => row).join(", ");
  const insert = `INSERT INTO ${quote(table.name)} AS t (${names.join(", ")}) VALUES ${values}`;
  return mode === "insert" ? insert : `${insert} ON CONFLICT (${keyOf(table)}) DO ${changeText(table)}`;
}

function keyOf(table: Table): string {
  return table.key.map((name) => quote(columnOf(table, name).name)).join(", ");
}

function changeText(table: Table): string {
  const others = table.columns.filter(({ name }) => !table.key.includes(name)).map(({ name }) => quote(name));
  if (others.length === 0) return "NOTHING";
  const set = others.map((name) => `${name} = excluded.${name}`).join(", ");
  const differs = others.map((name) => `t.${name} IS NOT excluded.${name}`).join(" OR ");
  return `UPDATE SET ${set} WHERE ${differs}`;
}
