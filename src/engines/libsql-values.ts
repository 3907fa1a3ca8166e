import type { Value as DriverValue, InValue, ResultSet } from "@libsql/client";
import { DualDbError } from "../errors.js";
import type { ExactRow, ExactValue, Row, Statement, Value } from "./engine.js";

/** What the driver is given. */
export interface BoundStatement {
  readonly sql: string;
  readonly args: InValue[];
}

/** A statement with its values as the driver must see them. Throws VALUE_REFUSED for what SQLite cannot hold. */
export function bind(statement: Statement): BoundStatement {
  const { values } = statement;
  const args = new Array<InValue>(values.length);
  for (let index = 0; index < values.length; index++) args[index] = bindValue(values[index], index);
  return { sql: statement.sql, args };
}

function bindValue(value: unknown, index: number): InValue {
  if (typeof value === "string" || value === null) return value;
  if (value === undefined) return null;
  if (typeof value === "number") return bindNumber(value, index);
  if (typeof value === "boolean") return value ? 1n : 0n;
  if (typeof value === "bigint" && BigInt.asIntN(64, value) === value) return value;
  if (value instanceof Uint8Array) return value;
  const kind = typeof value === "object" ? value.constructor.name : typeof value;
  throw refused(`value ${index + 1} of the statement is a ${kind}, or is beyond 64 bits: SQLite cannot hold it`);
}

/** The driver binds every number as REAL, which makes '5.0' of 5 in a TEXT column. */
function bindNumber(value: number, index: number): InValue {
  if (Number.isSafeInteger(value)) return BigInt(value);
  if (Number.isFinite(value)) return value;
  throw refused(`value ${index + 1} of the statement is not a finite number: give null instead`);
}

/** Rows for callers: plain objects, integers as numbers. Throws VALUE_REFUSED for an integer beyond ±(2^53 - 1). */
export function plainRows(result: ResultSet): Row[] {
  return result.rows.map((row) => {
    const record: Row = {};
    for (const [index, column] of result.columns.entries()) record[column] = plainValue(row[index], column);
    return record;
  });
}

/** Rows for the mirror: nothing rounded, integers as bigint. */
export function exactRows(result: ResultSet): ExactRow[] {
  return result.rows.map((row) => {
    const record: ExactRow = {};
    for (const [index, column] of result.columns.entries()) record[column] = exactValue(row[index]);
    return record;
  });
}

/** One value as callers get it; `column` is for the error. */
export function plainValue(value: DriverValue | undefined, column: string): Value {
  if (typeof value === "bigint") return plainInteger(value, column);
  return value instanceof ArrayBuffer ? new Uint8Array(value) : (value ?? null);
}

function plainInteger(value: bigint, column: string): number {
  const number = Number(value);
  if (Number.isSafeInteger(number)) return number;
  throw refused(`column ${column} holds an integer beyond 2^53: a JavaScript number cannot carry it`, column);
}

function exactValue(value: DriverValue | undefined): ExactValue {
  return value instanceof ArrayBuffer ? new Uint8Array(value) : (value ?? null);
}

function refused(message: string, column?: string): DualDbError {
  return new DualDbError("VALUE_REFUSED", message, { side: "sqlite", column });
}
