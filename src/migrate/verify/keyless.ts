import { createHash } from "node:crypto";
import { type ConvertedRow, toPostgres } from "../../data/conversion/convert.js";
import { OwnInput } from "../../data/conversion/own-input.js";
import { canonicalValue } from "../../data/equality/canonical-value.js";
import { isRefusal } from "../../data/refusal.js";
import { rowDecoder } from "../../data/rows/copy-text.js";
import { everyRow } from "../../data/rows/every-row.js";
import { postgresLines, postgresSpelling } from "../../data/rows/ordered-rows.js";
import type { Table } from "../../data/table.js";
import type { Engine, ExactValue, PostgresEngine } from "../../engines/engine.js";
import { endIfAsked, type Progress, TableProgress } from "../progress.js";
import { rowsAbout } from "../row-estimate.js";
import type { Patience } from "./settling.js";
import { refusalOf } from "./verdict.js";

/** A table whose rows cannot be told apart: only whether both sides have the same rows, each as often. */
export interface KeylessReport {
  readonly table: string;
  /** Why no row can be found on both sides. */
  readonly reason: string;
  /** Rows per side. */
  readonly sqlite: number;
  readonly postgres: number;
  /** Rows of SQLite that PostgreSQL cannot hold. */
  readonly refused: number;
  /** null where rows came or went between all looks, so that nothing can be said. */
  readonly same: boolean | null;
}

/** What the comparison of such a table needs beside it. */
export interface ComparingKeyless {
  readonly sqlite: Engine;
  readonly postgres: PostgresEngine;
  readonly patience: Patience;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ((progress: Progress) => void) | undefined;
}

const mostLooks = 5;
const pauseMs = 250;

/**
 * Compares the rows of both sides as two bags, by a sum over them that does not depend on their order. Others may write meanwhile: what
 * two looks see in the same way is so.
 */
export async function compareKeyless(
  table: Table,
  reason: string,
  comparing: ComparingKeyless,
): Promise<KeylessReport> {
  for (let look = 1, before: Bags | null = null; ; look++) {
    const bags: Bags = await bothBags(table, comparing);
    const same = isSame(bags, before);
    if (same !== null || look === mostLooks) return { table: table.name, reason, ...countsOf(bags), same };
    before = bags;
    await comparing.patience.wait(pauseMs, false);
  }
}

interface Bags {
  readonly sqlite: Bag;
  readonly postgres: Bag;
  /** Rows of SQLite that PostgreSQL cannot hold. */
  readonly refused: number;
}

/** Both at once: the less time lies between them, the fewer rows come in it. */
async function bothBags(table: Table, comparing: ComparingKeyless): Promise<Bags> {
  const [mine, postgres] = await Promise.all([sqliteBag(table, comparing), postgresBag(table, comparing)]);
  return { sqlite: mine.bag, postgres, refused: mine.refused };
}

/** null where it cannot be told yet. */
function isSame({ sqlite, postgres, refused }: Bags, before: Bags | null): boolean | null {
  if (refused > 0) return false;
  if (sqlite.sum === postgres.sum) return true;
  return sqlite.sum === before?.sqlite.sum && postgres.sum === before.postgres.sum ? false : null;
}

function countsOf({ sqlite, postgres, refused }: Bags) {
  return { sqlite: sqlite.rows + refused, postgres: postgres.rows, refused };
}

async function sqliteBag(
  table: Table,
  { sqlite, postgres, timeoutMs, signal, onProgress }: ComparingKeyless,
): Promise<{ readonly bag: Bag; readonly refused: number }> {
  const own = new OwnInput(table);
  return sqlite.transaction({ mode: "read" }, async (transaction) => {
    const total = await rowsAbout("sqlite", transaction, table, () => endIfAsked(signal));
    const progress = new TableProgress("compare", table.name, total, onProgress);
    const bag = new Bag(table);
    let refused = 0;
    for await (const page of everyRow("sqlite", transaction, table)) {
      endIfAsked(signal);
      const converted = page.map((row) => toPostgres(table, row));
      const carried = converted.filter((row) => refusalOf(row) === null);
      refused += converted.length - carried.length;
      for (const values of await asRead(own, carried, postgres, timeoutMs)) bag.add(values);
      progress.at(bag.rows + refused);
    }
    progress.end(bag.rows + refused);
    return { bag, refused };
  });
}

/** The values as PostgreSQL prints them; one that it does not understand is none that it has, and stays as it is. */
async function asRead(
  own: OwnInput,
  rows: readonly ConvertedRow[],
  postgres: Engine,
  timeoutMs: number,
): Promise<readonly (readonly ExactValue[])[]> {
  if (!own.isNeeded) return rows.map(({ values }) => values);
  try {
    return await postgres.transaction({ mode: "read", timeoutMs }, async (reader) => {
      await reader.script(postgresSpelling);
      return own.asPrinted(reader, rows);
    });
  } catch (error) {
    if (!isRefusal(error)) throw error;
    const middle = Math.ceil(rows.length / 2);
    if (rows.length <= 1) return rows.map(({ values }) => values);
    const first = await asRead(own, rows.slice(0, middle), postgres, timeoutMs);
    return [...first, ...(await asRead(own, rows.slice(middle), postgres, timeoutMs))];
  }
}

async function postgresBag(table: Table, { postgres, timeoutMs, signal }: ComparingKeyless): Promise<Bag> {
  const decode = rowDecoder(table.columns);
  return postgres.transaction({ mode: "read", timeoutMs }, async (transaction) => {
    const bag = new Bag(table);
    for await (const lines of postgresLines(transaction, table)) {
      endIfAsked(signal);
      for (const line of lines) bag.add(decode(line));
    }
    return bag;
  });
}

const range = 2n ** 256n;

/** Rows without their order: the sum of their hashes. */
class Bag {
  readonly #table: Table;
  #rows = 0;
  #sum = 0n;

  constructor(table: Table) {
    this.#table = table;
  }

  get rows(): number {
    return this.#rows;
  }

  get sum(): bigint {
    return this.#sum;
  }

  add(values: readonly ExactValue[]): void {
    const cells = this.#table.columns.map((column, index) => canonicalValue(column, values[index] ?? null));
    const isNull = values.map((value) => (value === null ? "n" : "v")).join("");
    const hash = createHash("sha256")
      .update(JSON.stringify([isNull, cells]))
      .digest("hex");
    this.#rows++;
    this.#sum = (this.#sum + BigInt(`0x${hash}`)) % range;
  }
}
