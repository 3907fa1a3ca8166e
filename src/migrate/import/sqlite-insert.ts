import { chunks } from "../../data/chunks.js";
import type { Table } from "../../data/table.js";
import { type ExactValue, statement, type Transaction } from "../../engines/engine.js";
import type { IntakeRow } from "./intake.js";

/** A table that rows are written into, and its columns in SQL. */
export interface Into {
  readonly name: string;
  readonly columns: readonly string[];
  readonly table: Table;
  /** Whether the first column takes the row's line. */
  readonly numbered: boolean;
}

/** SQLite takes at most 32,766 parameters in a statement, and a statement holds up the event loop. */
const mostParameters = 30_000;
export const mostRows = 100;
/** Several rows of values are a result to SQLite, which ends there; one by itself is not. */
const mostColumns = 2_000;

/** Writes rows so that each value is stored as it is, and not as the driver would bind it. Resolves to how many were written. */
export async function insertRows(
  transaction: Transaction,
  into: Into,
  rows: readonly IntakeRow[],
  verb: "INSERT OR ABORT" | "INSERT OR IGNORE",
): Promise<number> {
  const { length } = into.columns;
  const most = length > mostColumns ? 1 : Math.min(mostRows, mostParameters / length);
  let written = 0;
  for (const part of chunks(rows, most)) {
    const values: ExactValue[] = [];
    const lists = part.map((row) => listOf(row, into, values));
    const sql = `${verb} INTO ${into.name} (${into.columns.join(", ")}) VALUES ${lists.join(", ")}`;
    written += await transaction.execute(statement(sql, values));
  }
  return written;
}

function listOf(
  { line, values: given, bytes: texts }: IntakeRow,
  { table, numbered }: Into,
  values: ExactValue[],
): string {
  const marks = numbered ? ["?"] : [];
  if (numbered) values.push(BigInt(line));
  for (let index = 0; index < given.length; index++) {
    const column = table.columns[index];
    const bytes = column && texts?.get(column.name);
    marks.push(bytes === undefined ? markOf(given[index] ?? null, column?.kind === "real", values) : "CAST(? AS TEXT)");
    if (bytes !== undefined) values.push(bytes);
  }
  return `(${marks.join(",")})`;
}

/** The driver binds a float without a fraction as an integer, and one that is not finite not at all. */
function markOf(value: ExactValue, isReal: boolean, values: ExactValue[]): string {
  if (Object.is(value, -0)) return "-0.0";
  if (!isReal && Number.isInteger(value)) return pushed("CAST(? AS REAL)", value, values);
  if (value === Number.POSITIVE_INFINITY) return "9e999";
  if (value === Number.NEGATIVE_INFINITY) return "-9e999";
  return pushed("?", value, values);
}

function pushed(mark: string, value: ExactValue, values: ExactValue[]): string {
  values.push(value);
  return mark;
}
