import { toPostgres } from "../../data/convert.js";
import { lineSpeller } from "../../data/copy-cells.js";
import { encodeRow } from "../../data/copy-text.js";
import type { Finding } from "../../data/finding.js";
import { type PagedRow, sqlitePages } from "../../data/sqlite-pages.js";
import type { Table } from "../../data/table.js";
import type { Transaction } from "../../engines/engine.js";

/** Some rows of SQLite, ready to go to PostgreSQL in one piece. */
export interface Batch {
  /** Rows read: those with a line, and those that cannot go. */
  readonly read: number;
  readonly rows: readonly PagedRow[];
  /** The lines of `rows`. */
  readonly lines: readonly string[];
  readonly findings: readonly Finding[];
  readonly refused: readonly { readonly row: PagedRow; readonly finding: Finding }[];
}

/** A batch is held in memory twice: while it is sent, and while the next one is read. */
const mostCharacters = 4_000_000;

/** Every row of the table as the mirror would carry it. */
export async function* batchesOf(transaction: Transaction, table: Table, mostRows: number): AsyncGenerator<Batch> {
  const carrier = new Carrier(table);
  for await (const page of sqlitePages(transaction, table)) {
    for (const row of page) carrier.add(row);
    if (carrier.isFull(mostRows)) yield carrier.take();
  }
  const last = carrier.take();
  if (last.read > 0) yield last;
}

class Carrier {
  readonly #table: Table;
  readonly #spell: ReturnType<typeof lineSpeller>;
  #rows: PagedRow[] = [];
  #lines: string[] = [];
  #findings: Finding[] = [];
  #refused: Batch["refused"][number][] = [];
  #characters = 0;

  constructor(table: Table) {
    this.#table = table;
    this.#spell = lineSpeller(table);
  }

  isFull(mostRows: number): boolean {
    return this.#lines.length + this.#refused.length >= mostRows || this.#characters >= mostCharacters;
  }

  add(row: PagedRow): void {
    const line = (row.cells === null ? undefined : this.#spell(row.cells)) ?? this.#convert(row);
    if (line === null) return;
    this.#rows.push(row);
    this.#lines.push(line);
    this.#characters += line.length;
  }

  take(): Batch {
    const batch = {
      read: this.#lines.length + this.#refused.length,
      rows: this.#rows,
      lines: this.#lines,
      findings: this.#findings,
      refused: this.#refused,
    };
    this.#rows = [];
    this.#lines = [];
    this.#findings = [];
    this.#refused = [];
    this.#characters = 0;
    return batch;
  }

  /** null where the row cannot go. */
  #convert(row: PagedRow): string | null {
    const { values, findings } = toPostgres(this.#table, row.source());
    const refusal = findings.find(({ action }) => action === "refused");
    if (refusal !== undefined) {
      this.#refused.push({ row, finding: refusal });
      return null;
    }
    this.#findings.push(...findings);
    return encodeRow(values);
  }
}
