import type { ExactValue, Statement, Transaction } from "../../engines/engine.js";
import { chunks } from "../chunks.js";
import type { SourceRow } from "../conversion/convert.js";
import type { Column } from "../table.js";
import { type Cell, exactValue, sameBytes } from "./sqlite-cells.js";

/** SQLite takes at most 127 arguments for one function. */
export const mostArguments = 127;

/** The SQL of a row as one JSON array of these cells; a wide row is an array of arrays, which `unfold` puts together again. */
export function jsonRow(cells: readonly string[]): { readonly sql: string; unfold(rows: unknown[]): Cell[][] } {
  const parts = [...chunks(cells, mostArguments)].map((part) => `json_array(${part.join(", ")})`);
  if (parts.length === 1) return { sql: parts.join(), unfold: (rows) => rows as Cell[][] };
  return { sql: `json_array(${parts.join(", ")})`, unfold: (rows) => (rows as Cell[][][]).map((row) => row.flat()) };
}

/** Rows that SQLite has collected into one JSON document. */
export interface JsonDocument<T> {
  readonly rows: T[];
  /** Its length. */
  readonly bytes: number;
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Asks SQLite for rows in one piece, which costs a tenth of as many rows: the statement selects a JSON array of them, cast to BLOB, as
 * `page`. null where some text in it is not UTF-8.
 */
export async function readDocument<T>(transaction: Transaction, statement: Statement): Promise<JsonDocument<T> | null> {
  const page = (await transaction.query(statement))[0]?.page;
  if (!(page instanceof Uint8Array)) return { rows: [], bytes: 0 };
  try {
    return { rows: JSON.parse(strict.decode(page)) as T[], bytes: page.length };
  } catch (error) {
    if (error instanceof TypeError) return null;
    throw error;
  }
}

/** The first of these cells as values of the columns, in their order, with the bytes of texts that are not UTF-8. */
export function valuesOf(
  columns: readonly Column[],
  cells: readonly Cell[],
  toValue: (cell: Cell, column: Column) => ExactValue = exactValue,
): Pick<SourceRow, "values" | "repaired"> {
  const values = new Array<ExactValue>(columns.length);
  let repaired: Map<string, Uint8Array> | undefined;
  for (let index = 0; index < columns.length; index++) {
    const column = columns[index] as Column;
    const cell = cells[index] ?? null;
    const value = toValue(cell, column);
    values[index] = value;
    if (typeof cell !== "object" || cell === null || !isBroken(cell, value)) continue;
    repaired ??= new Map();
    repaired.set(column.name, Buffer.from(cell[1], "hex"));
  }
  return repaired === undefined ? { values } : { values, repaired };
}

/** Whether a cell is the bytes of a text that is not UTF-8. */
export function isBroken(cell: Cell, value: ExactValue): cell is readonly ["t", string] {
  return Array.isArray(cell) && cell[0] === "t" && typeof value === "string" && !sameBytes(value, String(cell[1]));
}

/** A cell's value to the bit: integers as bigint, which tells them from floats without a fraction. */
export function bitExact(cell: Cell): ExactValue {
  return typeof cell === "number" ? BigInt(cell) : exactValue(cell);
}
