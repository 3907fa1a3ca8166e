import { everySqliteRow } from "../../data/rows/every-sqlite-row.js";
import { PageSize } from "../../data/rows/page-size.js";
import { plainFormats } from "../../data/rows/plain-format.js";
import { SqlitePages, type Window, wholeTable } from "../../data/rows/sqlite-pages.js";
import type { Table } from "../../data/table.js";
import type { Transaction } from "../../engines/engine.js";
import type { Batch, Limits } from "./batch.js";
import { LineBatch } from "./line-batch.js";
import { PageReader, RowSource } from "./page-reader.js";
import { PlainBatch } from "./plain-batch.js";

/** Lines are held in memory until PostgreSQL has taken all of a batch. */
const mostBytes = 10_000_000;

/** One table of SQLite on its way out, as of one moment, every row as the mirror would carry it. */
export class TableSource {
  readonly #transaction: Transaction;
  readonly #table: Table;
  readonly #limits: Limits;
  /** null for a table that is read in one piece: WITHOUT ROWID, or one that may look otherwise when it is read again. */
  readonly #pages: SqlitePages | null;
  readonly #size = new PageSize();
  readonly #forms = new Forms();

  static async of(transaction: Transaction, table: Table, rowsInABatch: number): Promise<TableSource> {
    return new TableSource(transaction, table, rowsInABatch, await SqlitePages.of(transaction, table));
  }

  /** For a transaction that sees what others write meanwhile. */
  static once(transaction: Transaction, table: Table, rowsInABatch: number): TableSource {
    return new TableSource(transaction, table, rowsInABatch, null);
  }

  private constructor(transaction: Transaction, table: Table, rowsInABatch: number, pages: SqlitePages | null) {
    this.#transaction = transaction;
    this.#table = table;
    this.#limits = { rows: rowsInABatch, bytes: mostBytes };
    this.#pages = pages;
  }

  /** Every batch. The data of one has to be sent before the next is asked for. */
  batches(): AsyncGenerator<Batch> {
    return this.batchesOf(wholeTable);
  }

  /** The table in parts of about a batch each, in the order in which the rows are stored: they can be read side by side. */
  async *stripes(): AsyncGenerator<Window> {
    if (this.#pages === null) return yield wholeTable;
    for (let after: bigint | null = null; ; ) {
      const stripe: Window = await this.#pages.next({ after, last: null }, this.#limits.rows);
      yield stripe;
      if (stripe.last === null) return;
      after = stripe.last;
    }
  }

  /** The same for one part. */
  async *batchesOf(stripe: Window): AsyncGenerator<Batch> {
    if (this.#pages === null) {
      const rows = new RowSource(everySqliteRow(this.#transaction, this.#table));
      while ((await rows.peek()) !== null) yield new LineBatch(this.#table, rows, this.#limits);
      return;
    }
    const reader = new PageReader(this.#pages, stripe, this.#size);
    try {
      yield* this.#fastest(reader);
    } finally {
      await reader.settled();
    }
  }

  /** Batches that SQLite has written itself, in the fastest form in which their rows are plain; where they are in none, lines. */
  async *#fastest(reader: PageReader): AsyncGenerator<Batch> {
    for (let form = this.#forms.first(); !reader.isOver; ) {
      const format = plainFormats[form];
      const page = await (format === undefined ? reader.peek() : reader.peekPlain(format));
      if (reader.isOver) return;
      const batch =
        format === undefined
          ? new LineBatch(this.#table, reader, this.#limits)
          : new PlainBatch(this.#table, reader, format, this.#limits);
      if (page !== null) yield batch;
      form = page !== null && batch.isWhole ? this.#forms.afterSuccess(form) : this.#forms.afterFailure(form);
    }
  }
}

/** How many batches are read in a slower form before the fastest is tried again, at most. */
const mostPatience = 32;

/**
 * Which form a batch is tried in. One that rows did not do with is left out for a while, which grows as long as it does no good to come
 * back to it.
 */
class Forms {
  #form = 0;
  #staying = 0;
  #patience = 1;

  first(): number {
    return this.#form;
  }

  afterSuccess(form: number): number {
    if (form === 0) this.#patience = 1;
    else if (--this.#staying <= 0) this.#form = 0;
    return this.#form;
  }

  afterFailure(form: number): number {
    this.#form = form + 1;
    this.#staying = this.#patience;
    this.#patience = Math.min(mostPatience, this.#patience * 2);
    return this.#form;
  }
}
