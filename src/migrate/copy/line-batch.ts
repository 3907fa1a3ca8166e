import { type Converter, converterOf, type SourceRow } from "../../data/conversion/convert.js";
import { OwnInput, type OwnTexts } from "../../data/conversion/own-input.js";
import type { Finding } from "../../data/finding.js";
import { lineSpeller } from "../../data/rows/copy-cells.js";
import { encodeRow } from "../../data/rows/copy-text.js";
import type { SqlitePage } from "../../data/rows/sqlite-pages.js";
import type { Table } from "../../data/table.js";
import type { Transaction } from "../../engines/engine.js";
import { type Batch, isFull, type Limits, type RefusedRow } from "./batch.js";
import { Lines } from "./lines.js";
import type { PageSource } from "./page-reader.js";

/** Where the lines of a batch come from: the first of them, and the page's rows that have one. */
interface Origin {
  readonly firstLine: number;
  readonly again: () => Promise<SqlitePage>;
  /** null where every row has one. */
  readonly rows: readonly number[] | null;
}

/** Rows as lines, each looked at. It holds the lines only: the few rows that are asked for are read again. */
export class LineBatch implements Batch {
  read = 0;
  readonly data = new Lines(() => this.#fill());
  readonly findings: Finding[] = [];
  readonly refused: RefusedRow[] = [];
  readonly isWhole = true;
  readonly #source: PageSource;
  readonly #limits: Limits;
  readonly #spell: ReturnType<typeof lineSpeller>;
  readonly #convert: Converter;
  readonly #origins: Origin[] = [];
  readonly #own: OwnInput;
  readonly #ownTexts: { readonly line: number; readonly texts: OwnTexts }[] = [];

  constructor(table: Table, source: PageSource, limits: Limits) {
    this.#source = source;
    this.#limits = limits;
    this.#spell = lineSpeller(table);
    this.#convert = converterOf(table, "postgres");
    this.#own = new OwnInput(table);
  }

  get bytes(): number {
    return this.data.bytes;
  }

  careful(): Batch {
    return this;
  }

  async altered(target: Transaction, refused: ReadonlyMap<number, unknown>): Promise<readonly Finding[]> {
    const taken = this.#ownTexts.filter(({ line }) => !refused.has(line));
    const found = await this.#own.findings(
      target,
      taken.map(({ texts }) => texts),
    );
    return found.flat();
  }

  async rows(lines: readonly number[]): Promise<SourceRow[]> {
    const rows: SourceRow[] = [];
    let next = 0;
    for (const [index, { again, rows: withLine, firstLine }] of this.#origins.entries()) {
      const end = this.#origins[index + 1]?.firstLine ?? this.data.size;
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
    const converted = this.#convert(row);
    const { values, findings } = converted;
    const finding = findings.find(({ action }) => action === "refused");
    if (finding !== undefined) {
      this.refused.push({ row, finding });
      return null;
    }
    this.findings.push(...findings);
    const texts = this.#own.textsOf(converted);
    if (texts !== null) this.#ownTexts.push({ line: this.data.size, texts });
    return encodeRow(values);
  }

  async #fill(): Promise<boolean> {
    if (isFull(this, this.#limits)) return false;
    const page = await this.#source.peek();
    if (page === null || this.data.isEnded) return false;
    this.#source.take();
    this.#add(page);
    return true;
  }

  #add(page: SqlitePage): void {
    const firstLine = this.data.size;
    const before = this.refused.length;
    const { cells, size } = page;
    const rows: number[] = [];
    for (let index = 0; index < size; index++) {
      const line = (cells === null ? undefined : this.#spell(cells[index] ?? [])) ?? this.#converted(page, index);
      if (line === null) continue;
      this.data.add(line);
      rows.push(index);
    }
    this.data.flush();
    this.read += size;
    const isWhole = this.refused.length === before;
    this.#origins.push({ firstLine, again: () => page.again(), rows: isWhole ? null : rows });
  }
}
