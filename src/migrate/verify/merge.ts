import { setImmediate as turn } from "node:timers/promises";
import { type ConvertedRow, type SourceRow, toPostgres } from "../../data/convert.js";
import { encodeRow, rowDecoder } from "../../data/copy-text.js";
import { encodeKey } from "../../data/key.js";
import type { KeyOrder } from "../../data/key-order.js";
import { sameValue } from "../../data/same-value.js";
import type { Column, Table } from "../../data/table.js";
import type { ExactValue } from "../../engines/engine.js";
import { refusalOf } from "./verdict.js";

/** A row that is not the same in both streams. They are not of one moment, so that it is only a suspicion. */
export interface Suspect {
  readonly key: string;
  /** Which streams had it. */
  readonly seen: "sqlite" | "postgres" | "both";
}

/** What the merge tells of a table while it runs. */
export interface MergeEvents {
  /** Some rows more; called between two pages. */
  progress(): void;
  suspects(suspects: readonly Suspect[]): Promise<void>;
  /** A row of SQLite that has no key which the other side could have. No look at it can find it again. */
  unfindable(row: ConvertedRow): Promise<void>;
}

/** Rows that the streams have brought, and how many of them are the same. */
export interface MergeCounts {
  readonly sqlite: number;
  readonly postgres: number;
  readonly equal: number;
}

const suspectsAtOnce = 500;
const longestMs = 8;

/**
 * Brings both streams of a table together, in the order of its keys. A pair counts as equal only where it certainly is: every other row is
 * a suspect, also one that stands elsewhere in the two streams.
 */
export class Merge {
  readonly #table: Table;
  readonly #order: KeyOrder;
  readonly #events: MergeEvents;
  readonly #left: Cursor<SourceRow>;
  readonly #right: Cursor<string>;
  readonly #lines: Lines;
  readonly #counts = { sqlite: 0, postgres: 0, equal: 0 };
  #suspects: Suspect[] = [];
  #unfindable: ConvertedRow[] = [];
  #mine: Mine | null = null;

  constructor(
    table: Table,
    order: KeyOrder,
    rows: AsyncIterable<SourceRow[]>,
    lines: AsyncIterable<string[]>,
    events: MergeEvents,
  ) {
    this.#table = table;
    this.#order = order;
    this.#events = events;
    this.#left = new Cursor(rows);
    this.#right = new Cursor(lines);
    this.#lines = new Lines(table);
  }

  get counts(): MergeCounts {
    return this.#counts;
  }

  async run(): Promise<void> {
    try {
      await this.#run();
    } finally {
      await Promise.all([this.#left.leave(), this.#right.leave()]);
    }
  }

  async #run(): Promise<void> {
    let rested = performance.now();
    for (;;) {
      await Promise.all([this.#left.fill(), this.#right.fill()]);
      if (this.#left.item === undefined && this.#right.item === undefined) break;
      this.#advance();
      await this.#tell(suspectsAtOnce);
      if (performance.now() - rested < longestMs) continue;
      await turn();
      rested = performance.now();
    }
    await this.#tell(1);
  }

  async #tell(atLeast: number): Promise<void> {
    for (const row of this.#unfindable.splice(0)) await this.#events.unfindable(row);
    while (this.#suspects.length >= atLeast) await this.#events.suspects(this.#suspects.splice(0, suspectsAtOnce));
    this.#events.progress();
  }

  /** Goes on until one of the pages is used up. */
  #advance(): void {
    while (this.#left.item !== undefined && this.#right.item !== undefined)
      this.#step(this.#left.item, this.#right.item);
    if (this.#left.item === undefined && this.#left.ended) this.#restOfRight();
    if (this.#right.item === undefined && this.#right.ended) this.#restOfLeft();
  }

  #step(row: SourceRow, line: string): void {
    const mine = this.#carried(row);
    if (mine === null) return;
    if (mine.line === line && !mine.isRefused) {
      this.#counts.equal++;
      this.#takeBoth();
      return;
    }
    const key = this.#lines.keyOf(line);
    if (key === row.key) this.#compare(mine, line);
    else this.#apart(row.key, key);
  }

  #compare(mine: Mine, line: string): void {
    const { row, isRefused } = mine;
    if (!isRefused && this.#lines.isSame(mine, line)) this.#counts.equal++;
    else this.#suspects.push({ key: row.key, seen: "both" });
    this.#takeBoth();
  }

  #apart(mine: string, other: string): void {
    const order = this.#order.compare(mine, other);
    if (order <= 0) this.#takeLeft(mine);
    if (order >= 0) this.#takeRight(other);
  }

  #restOfRight(): void {
    for (let line = this.#right.item; line !== undefined; line = this.#right.item)
      this.#takeRight(this.#lines.keyOf(line));
  }

  #restOfLeft(): void {
    for (let row = this.#left.item; row !== undefined; row = this.#left.item)
      if (this.#carried(row) !== null) this.#takeLeft(row.key);
  }

  #takeLeft(key: string): void {
    this.#suspects.push({ key, seen: "sqlite" });
    this.#skipLeft();
  }

  #takeRight(key: string): void {
    this.#suspects.push({ key, seen: "postgres" });
    this.#counts.postgres++;
    this.#right.next();
  }

  #takeBoth(): void {
    this.#skipLeft();
    this.#counts.postgres++;
    this.#right.next();
  }

  #skipLeft(): void {
    this.#counts.sqlite++;
    this.#left.next();
    this.#mine = null;
  }

  /** The row as PostgreSQL would have it; null where its key could never be there, so that it has been passed over. */
  #carried(row: SourceRow): Mine | null {
    if (this.#mine !== null) return this.#mine;
    const converted = toPostgres(this.#table, row);
    if (converted.findings.some(({ action, column }) => action === "refused" && this.#table.key.includes(column))) {
      this.#unfindable.push(converted);
      this.#skipLeft();
      return null;
    }
    const isRefused = refusalOf(converted) !== null;
    this.#mine = { row, converted, isRefused, line: encodeRow(converted.values).slice(0, -1) };
    return this.#mine;
  }
}

/** A row of SQLite, carried and spelled as the other stream spells its rows. */
interface Mine {
  readonly row: SourceRow;
  readonly converted: ConvertedRow;
  /** What PostgreSQL cannot hold is spelled as NULL. */
  readonly isRefused: boolean;
  readonly line: string;
}

/** Lines of PostgreSQL's stream, taken apart only as far as is needed. */
class Lines {
  readonly #columns: readonly Column[];
  readonly #decoders: readonly ((cell: string) => ExactValue)[];
  readonly #keyAt: readonly number[];

  constructor({ columns, key }: Table) {
    this.#columns = columns;
    this.#decoders = columns.map((column) => {
      const decode = rowDecoder([column]);
      return (cell) => decode(cell)[0] ?? null;
    });
    this.#keyAt = key.map((name) => columns.findIndex((column) => column.name === name));
  }

  /** The row's key, as the journal spells it. */
  keyOf(line: string): string {
    const cells = line.split("\t");
    return encodeKey(this.#keyAt.map((at) => this.#decode(at, cells[at] ?? "")));
  }

  /** Whether the line certainly says the same as that row. */
  isSame(mine: Mine, line: string): boolean {
    const cells = line.split("\t");
    const spelled = mine.line.split("\t");
    return this.#columns.every((column, at) => {
      const cell = cells[at] ?? "";
      return cell === spelled[at] || sameValue(column, mine.converted.values[at] ?? null, this.#decode(at, cell));
    });
  }

  #decode(at: number, cell: string): ExactValue {
    return this.#decoders[at]?.(cell) ?? null;
  }
}

/** The present item of a stream that comes in pages. */
class Cursor<T> {
  readonly #pages: AsyncIterator<T[]>;
  #page: T[] = [];
  #at = 0;
  #ended = false;

  constructor(pages: AsyncIterable<T[]>) {
    this.#pages = pages[Symbol.asyncIterator]();
  }

  /** undefined where the page is used up. */
  get item(): T | undefined {
    return this.#page[this.#at];
  }

  /** Whether there is no further page. */
  get ended(): boolean {
    return this.#ended;
  }

  next(): void {
    this.#at++;
  }

  /** Fetches the next page where this one is used up. */
  async fill(): Promise<void> {
    while (this.item === undefined && !this.#ended) {
      const { value, done } = await this.#pages.next();
      this.#ended = done === true;
      this.#page = done === true ? [] : value;
      this.#at = 0;
    }
  }

  /** Leaves the stream, wherever it is. */
  async leave(): Promise<void> {
    this.#ended = true;
    await this.#pages.return?.();
  }
}
