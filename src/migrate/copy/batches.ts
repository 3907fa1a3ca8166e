import { everySqliteRow } from "../../data/rows/every-sqlite-row.js";
import { plainFormats } from "../../data/rows/plain-format.js";
import { SqlitePages } from "../../data/rows/sqlite-pages.js";
import type { Table } from "../../data/table.js";
import type { Transaction } from "../../engines/engine.js";
import type { Batch, Limits } from "./batch.js";
import { LineBatch } from "./line-batch.js";
import { PageReader, RowSource } from "./page-reader.js";
import { PlainBatch } from "./plain-batch.js";

/** Lines are held in memory until PostgreSQL has taken all of a batch. */
const mostBytes = 10_000_000;

/** Every row of the table as the mirror would carry it. The data of a batch has to be sent before the next batch is asked for. */
export async function* batchesOf(transaction: Transaction, table: Table, mostRows: number): AsyncGenerator<Batch> {
  const limits = { rows: mostRows, bytes: mostBytes };
  const pages = await SqlitePages.of(transaction, table);
  if (pages === null) {
    const rows = new RowSource(everySqliteRow(transaction, table));
    while ((await rows.peek()) !== null) yield new LineBatch(table, rows, limits);
    return;
  }
  const reader = new PageReader(pages);
  try {
    yield* fastest(reader, table, limits);
  } finally {
    await reader.settled();
  }
}

/** How many batches are read row by row before SQLite's own forms are tried again, at most. */
const mostPatience = 32;

/**
 * Batches that SQLite has written itself, in the fastest form in which their rows are plain; where they are in none, lines. What a batch
 * did not do with is left out for a while, which grows as long as it does no good to come back to it.
 */
async function* fastest(reader: PageReader, table: Table, limits: Limits): AsyncGenerator<Batch> {
  for (let form = 0, staying = 0, patience = 1; !reader.isOver; ) {
    if (staying === 0) form = 0;
    const format = plainFormats[form];
    const page = await (format === undefined ? reader.peek() : reader.peekPlain(format));
    if (reader.isOver) return;
    const batch =
      format === undefined ? new LineBatch(table, reader, limits) : new PlainBatch(table, reader, format, limits);
    if (page !== null) yield batch;
    if (page !== null && batch.isWhole && form === 0) patience = 1;
    else if (page !== null && batch.isWhole) staying--;
    else {
      form++;
      staying = patience;
      patience = Math.min(mostPatience, patience * 2);
    }
  }
}
