import { setImmediate as nextTurn } from "node:timers/promises";
import type { SourceRow } from "../../data/conversion/convert.js";
import type { PageSize } from "../../data/rows/page-size.js";
import type { PlainFormat } from "../../data/rows/plain-format.js";
import {
  type PlainPage,
  ReadPage,
  type SqlitePage,
  type SqlitePages,
  type Window,
} from "../../data/rows/sqlite-pages.js";

/** The pages of a table one behind the other: each is looked at, and then taken where it is of use. */
export interface PageSource {
  /** null where there is none left. */
  peek(): Promise<SqlitePage | null>;
  /** Takes the page that was looked at last. */
  take(): void;
}

/** Rows that somebody else reads. */
export class RowSource implements PageSource {
  readonly #rows: AsyncIterator<SourceRow[]>;
  #next: Promise<SqlitePage | null> | null = null;

  constructor(rows: AsyncIterator<SourceRow[]>) {
    this.#rows = rows;
  }

  peek(): Promise<SqlitePage | null> {
    this.#next ??= this.#rows.next().then(({ value, done }) => (done === true ? null : new ReadPage(value)));
    return this.#next;
  }

  take(): void {
    this.#next = null;
  }
}

/** Pages that were read before, perhaps in another form. */
export class WindowSource implements PageSource {
  readonly #pages: SqlitePages;
  readonly #windows: readonly Window[];
  #taken = 0;

  constructor(pages: SqlitePages, windows: readonly Window[]) {
    this.#pages = pages;
    this.#windows = windows;
  }

  async peek(): Promise<SqlitePage | null> {
    const window = this.#windows[this.#taken];
    return window === undefined ? null : this.#pages.page(window);
  }

  take(): void {
    this.#taken++;
  }
}

/** One page in one form; null where its rows are not plain. */
interface Read<Page> {
  readonly window: Window;
  readonly page: Page | null;
}

/** The form in which SQLite writes the rows; null for the one in which each can be looked at. */
type Form = PlainFormat | null;

/** Reads a part of a table in the form that is asked for, and begins with the next page as soon as one is taken: nobody is to wait for SQLite. */
export class PageReader implements PageSource {
  readonly pages: SqlitePages;
  readonly #end: bigint | null;
  readonly #size: PageSize;
  #after: bigint | null;
  #isOver = false;
  #latest: Read<PlainPage | SqlitePage> | null = null;
  #ahead: { readonly form: Form; readonly read: Promise<Read<PlainPage | SqlitePage>> } | null = null;

  constructor(pages: SqlitePages, { after, last }: Window, size: PageSize) {
    this.pages = pages;
    this.#after = after;
    this.#end = last;
    this.#size = size;
  }

  /** Whether the last page was taken. */
  get isOver(): boolean {
    return this.#isOver;
  }

  peek(): Promise<SqlitePage | null> {
    return this.#peek(null) as Promise<SqlitePage | null>;
  }

  /** null also where a row of the page is not plain. */
  peekPlain(format: PlainFormat): Promise<PlainPage | null> {
    return this.#peek(format) as Promise<PlainPage | null>;
  }

  take(): Window {
    if (this.#latest === null) throw new Error("no page was looked at");
    const { window } = this.#latest;
    const form = this.#ahead?.form ?? null;
    this.#after = window.last;
    this.#isOver = window.last === this.#end;
    this.#latest = null;
    this.#ahead = this.#isOver ? null : { form, read: nextTurn().then(() => this.#read(form)) };
    // A failure is met where the page is asked for, if ever.
    this.#ahead?.read.catch(() => undefined);
    return window;
  }

  /** Resolves when nothing is being read any more. */
  async settled(): Promise<void> {
    await this.#ahead?.read.catch(() => undefined);
  }

  /** Pages without a row are passed over. */
  async #peek(form: Form): Promise<PlainPage | SqlitePage | null> {
    while (!this.#isOver) {
      if (this.#ahead?.form !== form) this.#ahead = { form, read: this.#read(form) };
      this.#latest = await this.#ahead.read;
      const { page } = this.#latest;
      if (page === null || page.size > 0) return page;
      this.take();
    }
    return null;
  }

  async #read(form: Form): Promise<Read<PlainPage | SqlitePage>> {
    const began = performance.now();
    const window = await this.pages.next({ after: this.#after, last: this.#end }, this.#size.rows);
    const page = form === null ? await this.pages.page(window) : await this.pages.plain(form, window);
    if (page !== null) this.#size.learn(page.bytes, performance.now() - began);
    return { window, page };
  }
}
