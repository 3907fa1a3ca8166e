import { type ConvertedRow, type SourceRow, toPostgres, toSqlite } from "../../data/conversion/convert.js";
import { plainDecimal } from "../../data/conversion/decimal.js";
import { sameValue } from "../../data/equality/same-value.js";
import type { Table } from "../../data/table.js";
import type { ExactValue, Side } from "../../engines/engine.js";

/** What is amiss with one row. */
export type Amiss =
  /** The source has the row, the target lacks it. */
  | { readonly kind: "missing" }
  /** The target has a row that the source lacks. */
  | { readonly kind: "extra" }
  /** Both have it, and these columns differ. */
  | { readonly kind: "different"; readonly columns: readonly string[] }
  /** The target cannot have the row as it is. */
  | { readonly kind: "refused"; readonly column: string | null; readonly reason: string }
  /** It has been written and not been mirrored yet, so that nothing can be said. */
  | { readonly kind: "owed" };

/** What one look at a row comes to. */
export type Verdict = Amiss | { readonly kind: "equal" } | { readonly kind: "gone" };

/** The verdict on a row of which both sides have been read: what counts is the source's row as the mirror would carry it. */
export function verdictOf(
  table: Table,
  from: Side,
  sqlite: SourceRow | undefined,
  postgres: SourceRow | undefined,
): Verdict {
  const [source, target] = from === "sqlite" ? [sqlite, postgres] : [postgres, sqlite];
  if (source === undefined) return { kind: target === undefined ? "gone" : "extra" };
  const carried = from === "sqlite" ? toPostgres(table, source) : toSqlite(table, source);
  const refusal = refusalOf(carried);
  if (sqlite === undefined || postgres === undefined) return refusal ?? { kind: "missing" };
  const columns = differentColumns(table, from, sqlite, postgres, carried);
  if (columns.length === 0) return { kind: "equal" };
  return refusal ?? { kind: "different", columns };
}

/** Why the target cannot have a row; null where it can. */
export function refusalOf({ findings }: ConvertedRow): Amiss | null {
  const finding = findings.find(({ action }) => action === "refused");
  return finding === undefined ? null : { kind: "refused", column: finding.column, reason: finding.reason };
}

function differentColumns(
  table: Table,
  from: Side,
  sqlite: SourceRow,
  postgres: SourceRow,
  carried: ConvertedRow,
): string[] {
  const mine = from === "sqlite" ? carried : toPostgres(table, sqlite);
  const refused = new Set(mine.findings.filter(({ action }) => action === "refused").map(({ column }) => column));
  const differs = (index: number): boolean => {
    const column = table.columns[index];
    if (column === undefined) return false;
    const other = postgres.values[index] ?? null;
    if (!refused.has(column.name) && sameValue(column, mine.values[index] ?? null, other)) return false;
    return from === "sqlite" || !sameOnSqlite(carried.values[index] ?? null, sqlite.values[index] ?? null);
  };
  return table.columns.filter((_, index) => differs(index)).map(({ name }) => name);
}

/** Whether SQLite holds what it was to get: a column of numbers makes a number of numeric text, with as many digits as a float has. */
function sameOnSqlite(carried: ExactValue, held: ExactValue): boolean {
  if (carried === held) return true;
  if (carried === null || held === null) return false;
  if (carried instanceof Uint8Array || held instanceof Uint8Array)
    return carried instanceof Uint8Array && held instanceof Uint8Array && Buffer.compare(carried, held) === 0;
  if (typeof held === "string") return false;
  return plainDecimal(String(carried)) === plainDecimal(String(held)) || Number(carried) === held;
}
