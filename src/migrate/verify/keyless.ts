import { createHash } from "node:crypto";
import { toPostgres } from "../../data/conversion/convert.js";
import { canonicalValue } from "../../data/equality/canonical-value.js";
import { rowDecoder } from "../../data/rows/copy-text.js";
import { everyRow } from "../../data/rows/every-row.js";
import { postgresLines } from "../../data/rows/ordered-rows.js";
import type { Table } from "../../data/table.js";
import type { Engine, ExactValue } from "../../engines/engine.js";
import { endIfAsked, type Progress } from "../progress.js";
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
  readonly same: boolean;
}

/** What the comparison of such a table needs beside it. */
export interface ComparingKeyless {
  readonly sqlite: Engine;
  readonly postgres: Engine;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ((progress: Progress) => void) | undefined;
}

/** Compares the rows of both sides as two bags, by a sum over them that does not depend on their order. */
export async function compareKeyless(
  table: Table,
  reason: string,
  comparing: ComparingKeyless,
): Promise<KeylessReport> {
  const mine = await sqliteBag(table, comparing);
  const other = await postgresBag(table, comparing);
  const same = mine.refused === 0 && mine.bag.sum === other.sum;
  return { table: table.name, reason, sqlite: mine.rows, postgres: other.rows, refused: mine.refused, same };
}

async function sqliteBag(table: Table, { sqlite, signal, onProgress }: ComparingKeyless) {
  return sqlite.transaction({ mode: "read" }, async (transaction) => {
    const bag = new Bag(table);
    let refused = 0;
    for await (const page of everyRow("sqlite", transaction, table)) {
      endIfAsked(signal);
      for (const row of page) {
        const converted = toPostgres(table, row);
        if (refusalOf(converted) === null) bag.add(converted.values);
        else refused++;
      }
      onProgress?.({ step: "compare", table: table.name, rows: bag.rows + refused, total: null });
    }
    return { bag, refused, rows: bag.rows + refused };
  });
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
