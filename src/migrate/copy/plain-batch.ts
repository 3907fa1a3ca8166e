import type { SourceRow } from "../../data/conversion/convert.js";
import type { Finding } from "../../data/finding.js";
import type { PlainFormat } from "../../data/rows/plain-format.js";
import type { PlainPage, Window } from "../../data/rows/sqlite-pages.js";
import type { Table } from "../../data/table.js";
import { type Batch, isFull, type Limits, unlimited } from "./batch.js";
import { LineBatch } from "./line-batch.js";
import type { PlainData } from "./lines.js";
import { type PageReader, WindowSource } from "./page-reader.js";

/** Rows that nobody looks at: where PostgreSQL refuses one, all of them have to be read again. */
export class PlainBatch implements Batch, PlainData {
  read = 0;
  bytes = 0;
  readonly findings = [];
  readonly refused = [];
  readonly format: PlainFormat;
  readonly #table: Table;
  readonly #reader: PageReader;
  readonly #limits: Limits;
  readonly #windows: Window[] = [];
  #isEnded = false;
  #isWhole = true;

  constructor(table: Table, reader: PageReader, format: PlainFormat, limits: Limits) {
    this.#table = table;
    this.#reader = reader;
    this.format = format;
    this.#limits = limits;
  }

  get data(): PlainData {
    return this;
  }

  get size(): number {
    return this.read;
  }

  /** Whether the form has done for all of the rows that came. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  async *pieces(): AsyncGenerator<Uint8Array, void> {
    for (let page = await this.#next(); page !== null; page = await this.#next()) yield page.data;
  }

  end(): void {
    this.#isEnded = true;
  }

  careful(): Batch {
    this.#isWhole = false;
    return new LineBatch(this.#table, new WindowSource(this.#reader.pages, this.#windows), unlimited);
  }

  /** No form can write what only PostgreSQL's own input understands. */
  altered(): Promise<readonly Finding[]> {
    return Promise.resolve([]);
  }

  rows(): Promise<SourceRow[]> {
    return Promise.resolve([]);
  }

  async #next(): Promise<PlainPage | null> {
    if (isFull(this, this.#limits)) return null;
    const page = await this.#reader.peekPlain(this.format);
    if (page === null) this.#isWhole = this.#reader.isOver;
    if (page === null || this.#isEnded) return null;
    this.#windows.push(this.#reader.take());
    this.read += page.size;
    this.bytes += page.bytes;
    return page;
  }
}
