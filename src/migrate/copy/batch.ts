import { type Converter, converterOf, type SourceRow } from "../../data/conversion/convert.js";
import type { Finding } from "../../data/finding.js";
import { lineSpeller } from "../../data/rows/copy-cells.js";
import { encodeRow } from "../../data/rows/copy-text.js";
import { everySqliteRow } from "../../data/rows/every-sqlite-row.js";
import { PageSize } from "../../data/rows/page-size.js";
import { type PlainFormat, plainFormats } from "../../data/rows/plain-format.js";
import { ReadPage, type SqlitePage, SqlitePages, type Window } from "../../data/rows/sqlite-pages.js";
import type { Table } from "../../data/table.js";
import type { Transaction } from "../../engines/engine.js";
import { Lines } from "./lines.js";

export interface RefusedRow {
  readonly row: SourceRow;
  readonly finding: Finding;
}

/** Rows of SQLite, ready to go to PostgreSQL in one piece. It holds their lines only: the few rows that are refused are read again. */
export interface Batch {
  /** Rows read: those with a line, and those that cannot go. */
  readonly read: number;
  readonly lines: Lines;
  readonly findings: readonly Finding[];
  readonly refused: readonly RefusedRow[];
  /** The rows of some of the lines; none where SQLite has written them. */
  rows(lines: readonly number[]): Promise<SourceRow[]>;
  /** The same rows in the usual form, each looked at. */
  careful(): Promise<Batch>;
}

/** A batch is in memory twice: one is sent while the next is read. */
const mostBytes = 5_000_000;
/** How many batches are read row by row before SQLite's own forms are tried again, at most. */
const mostPatience = 32;

/** Every row of the table as the mirror would carry it. */
export async function* batchesOf(transaction: Transaction, table: Table, mostRows: number): AsyncGenerator<Batch> {
  const pages = await SqlitePages.of(transaction, table);
  const batches =
    pages === null ? everyRow(transaction, table, mostRows) : new Reader(pages, table, mostRows).batches();
  for await (const batch of batches) if (batch.read > 0) yield batch;
}

async function* everyRow(transaction: Transaction, table: Table, mostRows: number): AsyncGenerator<Batch> {
  let batch = new GrowingBatch(table);
  for await (const rows of everySqliteRow(transaction, table)) {
    batch.add(new ReadPage(rows));
    if (!isFull(batch, mostRows)) continue;
    yield batch;
    batch = new GrowingBatch(table);
  }
  yield batch;
}

function isFull({ read, lines }: Batch, mostRows: number): boolean {
  return read >= mostRows || lines.bytes >= mostBytes;
}

/** Batches that SQLite has written itself, in the fastest form in which their rows are plain; where they are in none, lines. */
class Reader {
  readonly #pages: SqlitePages;
  readonly #table: Table;
  readonly #mostRows: number;
  readonly #size = new PageSize();
  #after: bigint | null = null;
  #isOver = false;

  constructor(pages: SqlitePages, table: Table, mostRows: number) {
    this.#pages = pages;
    this.#table = table;
    this.#mostRows = mostRows;
  }

  /** What a batch did not do with is left out for a while, which grows as long as it does no good to come back to it. */
  async *batches(): AsyncGenerator<Batch> {
    for (let form = 0, staying = 0, patience = 1; !this.#isOver; ) {
      if (staying === 0) form = 0;
      const format = plainFormats[form];
      const batch =
        format === undefined ? new GrowingBatch(this.#table) : new PlainBatch(this.#pages, this.#table, format);
      const isWhole = await this.#fill(batch);
      yield batch;
      if (isWhole && form === 0) patience = 1;
      else if (isWhole) staying--;
      else {
        form++;
        staying = patience;
        patience = Math.min(mostPatience, patience * 2);
      }
    }
  }

  /** Whether the batch took every page up to its size. */
  async #fill(batch: PlainBatch | GrowingBatch): Promise<boolean> {
    while (!this.#isOver && !isFull(batch, this.#mostRows)) {
      const began = performance.now();
      const window = await this.#pages.next(this.#after, this.#size.rows);
      const bytes = await batch.take(this.#pages, window);
      if (bytes === null) return false;
      this.#size.learn(bytes, performance.now() - began);
      this.#after = window.last;
      this.#isOver = window.last === null;
    }
    return true;
  }
}

/** Rows that nobody has looked at: where PostgreSQL refuses one, all of them have to be read again. */
class PlainBatch implements Batch {
  read = 0;
  readonly lines: Lines;
  readonly findings = [];
  readonly refused = [];
  readonly #pages: SqlitePages;
  readonly #table: Table;
  readonly #format: PlainFormat;
  readonly #windows: Window[] = [];

  constructor(pages: SqlitePages, table: Table, format: PlainFormat) {
    this.#pages = pages;
    this.#table = table;
    this.#format = format;
    this.lines = new Lines(format);
  }

  async take(pages: SqlitePages, window: Window): Promise<number | null> {
    const page = await pages.plain(this.#format, window);
    if (page === null) return null;
    this.lines.addPiece(page.data, page.rows);
    this.read += page.rows;
    this.#windows.push(window);
    return page.data.length;
  }

  async careful(): Promise<Batch> {
    const batch = new GrowingBatch(this.#table);
    for (const window of this.#windows) await batch.take(this.#pages, window);
    return batch;
  }

  rows(): Promise<SourceRow[]> {
    return Promise.resolve([]);
  }
}

/** Where the lines of a batch come from: the first of them, and the page's rows that have one. */
interface Origin {
  readonly firstLine: number;
  readonly again: () => Promise<SqlitePage>;
  /** null where every row has one. */
  readonly rows: readonly number[] | null;
}

class GrowingBatch implements Batch {
  read = 0;
  readonly lines = new Lines();
  readonly findings: Finding[] = [];
  readonly refused: RefusedRow[] = [];
  readonly #spell: ReturnType<typeof lineSpeller>;
  readonly #convert: Converter;
  readonly #origins: Origin[] = [];

  constructor(table: Table) {
    this.#spell = lineSpeller(table);
    this.#convert = converterOf(table, "postgres");
  }

  async take(pages: SqlitePages, window: Window): Promise<number> {
    const page = await pages.page(window);
    this.add(page);
    return page.bytes;
  }

  careful(): Promise<Batch> {
    return Promise.resolve(this);
  }

  add(page: SqlitePage): void {
    const firstLine = this.lines.size;
    const before = this.refused.length;
    const { cells, size } = page;
    const rows: number[] = [];
    for (let index = 0; index < size; index++) {
      const line = (cells === null ? undefined : this.#spell(cells[index] ?? [])) ?? this.#converted(page, index);
      if (line === null) continue;
      this.lines.add(line);
      rows.push(index);
    }
    this.lines.flush();
    this.read += size;
    const isWhole = this.refused.length === before;
    this.#origins.push({ firstLine, again: () => page.again(), rows: isWhole ? null : rows });
  }

  async rows(lines: readonly number[]): Promise<SourceRow[]> {
    const rows: SourceRow[] = [];
    let next = 0;
    for (const [index, { again, rows: withLine, firstLine }] of this.#origins.entries()) {
      const end = this.#origins[index + 1]?.firstLine ?? this.lines.size;
      const page = (lines[next] ?? end) < end ? await again() : null;
      for (; page !== null && (lines[next] ?? end) < end; next++) {
        const at = (lines[next] ?? 0) - firstLine;
        rows.push(page.row(withLine === null ? at : (withLine[at] ?? -1)));
      }
    }
    return rows;
  }

  /** null where the row cannot go. */
  #converted(page: SqlitePage, index: number): string | null {
    const row = page.row(index);
    const { values, findings } = this.#convert(row);
    const finding = findings.find(({ action }) => action === "refused");
    if (finding !== undefined) {
      this.refused.push({ row, finding });
      return null;
    }
    this.findings.push(...findings);
    return encodeRow(values);
  }
}
