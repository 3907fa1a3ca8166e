import sql, { join, raw, type Sql } from "sql-template-tag";
import type { PerSide } from "../adapter.js";
import { wrapText } from "../data/conversion/wrapper.js";
import { type Column, quote, type Table } from "../data/table.js";
import type { Row, Side, Statement, Value } from "../engines/engine.js";
import { primaryCondition } from "../engines/postgres-primary.js";

/** Text for a JSON column that JSONB cannot hold: SQLite holds it as it is, PostgreSQL in the wrapper. */
export class WrappedText {
  constructor(readonly text: string) {}

  on(side: Side): string {
    return side === "postgres" ? wrapText(this.text) : this.text;
  }
}

/** A value of a service's statement. */
export type Bound = string | number | null | WrappedText;

/** The text of a bound JSON value, as SQLite holds it. */
export function plainText(value: Bound): string | null {
  if (value instanceof WrappedText) return value.text;
  return value === null ? null : String(value);
}

/** The one column of a COUNT. */
export const countColumns: readonly Column[] = [{ name: "count", kind: "bigint", notNull: true }];

/** A statement that is put together once, here, and then only gets other values, in the order of its placeholders. */
export function prepared(statement: Sql): (values: readonly Bound[]) => PerSide {
  const { sql: forSqlite, text } = statement;
  return (values) => bind({ sql: forSqlite, text, values }, values);
}

/** `SELECT every column FROM the table WHERE column = value`, put together once, with the text that PostgreSQL answers fastest. */
export function preparedLookup(table: Table, column: string): (value: string) => Statement {
  const lookup = (further: string) => sql`${selectFrom(table)} WHERE ${raw(quote(column))} = ${null}${raw(further)}`;
  const { sql: forSqlite, text } = lookup("");
  const { text: textAsPrimary } = lookup(` AND ${primaryCondition}`);
  return (value) => ({ sql: forSqlite, text, textAsPrimary, values: [value] });
}

/** A statement that was put together for this call. */
export function assembled(statement: Sql): PerSide {
  const { sql: forSqlite, text, values } = statement;
  return bind({ sql: forSqlite, text, values }, values);
}

/** An INSERT of these columns. */
export function preparedInsert<Name extends string>(table: Table, names: readonly Name[], clause: Sql = raw("")) {
  const columns = raw(names.map(quote).join(", "));
  const insert = sql`INSERT INTO ${raw(quote(table.name))} (${columns}) VALUES (${join(names.map(() => null))})${clause}`;
  const fill = prepared(insert);
  return (row: Readonly<Record<Name, Bound>>): PerSide => fill(names.map((name) => row[name]));
}

/**
 * An upsert that returns the whole row, which `recordOf` makes a record of. SQLite gives text as bytes: the driver ends the process
 * over text that is not UTF-8, and an old row may hold some.
 */
export function preparedUpsert<Name extends string>(table: Table, names: readonly Name[], onConflict: Sql) {
  const returning = (columns: Sql) => preparedInsert(table, names, sql` ${onConflict} RETURNING ${columns}`);
  const fill = { sqlite: returning(columnsAsBytes(table)), postgres: returning(columnsOf(table)) };
  return (row: Readonly<Record<Name, Bound>>): PerSide => {
    return (side) => onSide(fill[side](row), side);
  };
}

/** The record in a row that an upsert returned. */
export function recordOf<T>(table: Table, row: Row | undefined): T {
  if (row === undefined) throw new TypeError(`an upsert into ${table.name} returned no row`);
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, plain(value)])) as T;
}

/** The table's columns in its own order, which is the order that `Query.columns` promises to the engine. */
export function columnsOf(table: Table): Sql {
  return raw(table.columns.map(({ name }) => quote(name)).join(", "));
}

/** `SELECT every column FROM the table`. */
export function selectFrom(table: Table): Sql {
  return sql`SELECT ${columnsOf(table)} FROM ${raw(quote(table.name))}`;
}

/** `SELECT COUNT(*) AS count FROM the table`. */
export function countFrom(table: Table): Sql {
  return sql`SELECT COUNT(*) AS count FROM ${raw(quote(table.name))}`;
}

/** A WHERE clause of those conditions that are there, or nothing. */
export function where(...conditions: readonly (Sql | null)[]): Sql {
  const present = conditions.filter((condition) => condition !== null);
  return present.length === 0 ? raw("") : sql` WHERE ${join(present, " AND ")}`;
}

/** `"column" operator value`, or nothing where the filter was not given. */
export function condition(column: string, operator: "=" | ">=" | "<=", value: string | number | null): Sql | null {
  return value === null ? null : sql`${raw(`${quote(column)} ${operator} `)}${value}`;
}

function columnsAsBytes(table: Table): Sql {
  const expressions = table.columns.map(({ name, kind }) => {
    const column = quote(name);
    if (kind !== "text" && kind !== "json") return column;
    return `CASE typeof(${column}) WHEN 'text' THEN CAST(${column} AS BLOB) ELSE ${column} END AS ${column}`;
  });
  return raw(expressions.join(", "));
}

function plain(value: Value): Value {
  return value instanceof Uint8Array ? decoder.decode(value) : value;
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

function onSide(statement: PerSide, side: Side): Statement {
  return typeof statement === "function" ? statement(side) : statement;
}

function bind(statement: Statement, values: readonly unknown[]): PerSide {
  if (!values.some((value) => value instanceof WrappedText)) return statement;
  return (side) => ({
    ...statement,
    values: values.map((value) => (value instanceof WrappedText ? value.on(side) : value)),
  });
}
