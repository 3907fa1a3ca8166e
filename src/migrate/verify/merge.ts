import { setImmediate as turn } from "node:timers/promises";
import { type ConvertedRow, type SourceRow, toPostgres } from "../../data/conversion/convert.js";
import type { KeyOrder } from "../../data/equality/key-order.js";
import { encodeRow } from "../../data/rows/copy-text.js";
import type { Table } from "../../data/table.js";
import { Cursor } from "./cursor.js";
import { Lines, type Mine } from "./lines.js";
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
