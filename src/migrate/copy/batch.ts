import type { SourceRow } from "../../data/conversion/convert.js";
import type { Finding } from "../../data/finding.js";
import type { RefusedBecause } from "../../data/refusal.js";
import type { Table } from "../../data/table.js";
import type { Transaction } from "../../engines/engine.js";
import type { Lines, PlainData } from "./lines.js";

export interface RefusedRow {
  readonly row: SourceRow;
  readonly finding: Finding;
}

/** A row that the target has refused for that; nothing where it has not. */
export function refusedRow({ name: table }: Table, row: SourceRow, because: RefusedBecause | undefined): RefusedRow[] {
  if (because === undefined) return [];
  const { column, reason } = because;
  return [{ row, finding: { table, key: row.key, column, reason, action: "refused" } }];
}

/** Rows of SQLite on their way to PostgreSQL in one piece. They are read while they are sent: what it says of them is whole afterwards. */
export interface Batch {
  readonly data: Lines | PlainData;
  /** Rows read: those among the data, and those that cannot go. */
  readonly read: number;
  readonly findings: readonly Finding[];
  readonly refused: readonly RefusedRow[];
  /** What PostgreSQL's own input has made of lines that it has taken, which is all but these. */
  altered(target: Transaction, refused: ReadonlyMap<number, unknown>): Promise<readonly Finding[]>;
  /** The rows of some of the lines; none where SQLite has written them. */
  rows(lines: readonly number[]): Promise<SourceRow[]>;
  /** The same rows as lines, each looked at. */
  careful(): Batch;
}

/** What a batch may come to before it is full. */
export interface Limits {
  readonly rows: number;
  readonly bytes: number;
}

export const unlimited: Limits = { rows: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY };

export function isFull(batch: { readonly read: number; readonly bytes: number }, { rows, bytes }: Limits): boolean {
  return batch.read >= rows || batch.bytes >= bytes;
}
