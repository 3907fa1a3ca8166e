import type { Row as DriverRow, ResultSet } from "@libsql/client";
import { type Column, type Kind, quote } from "../data/table.js";
import type { Row, Value } from "./engine.js";
import { plainValue } from "./libsql-values.js";

/** Reads the state's primary inside the same statement, hence in the same snapshot. */
const STATE = `(SELECT "primary" FROM dualdb_state WHERE id = 1) AS "dualdb primary"`;

/** SQLite takes no more arguments for one function. */
const MOST_ARGUMENTS = 127;

const KEPT_TEXTS = 500;

const jsonKinds: ReadonlySet<Kind> = new Set(["text", "json", "integer", "bigint", "boolean", "real"]);

/**
 * One statement that returns the whole result as a JSON document, which is several times faster than the driver's row objects. A
 * document is no place for huge integers, nor for blobs but as text: where one comes up, the `exact` statement is asked instead.
 */
export interface Page {
  readonly json: string;
  /** Two columns for each: its type and its value. Without the state, which has no place where there is no row. */
  readonly exact: string;
}

const pages = new WeakMap<readonly Column[], Map<string, Page>>();

/** The page for a SELECT, or undefined where the columns need the driver's own rows. */
export function pageOf(columns: readonly Column[], sql: string, withState: boolean): Page | undefined {
  const key = withState ? `state ${sql}` : sql;
  const texts = pages.get(columns) ?? new Map<string, Page>();
  const known = texts.get(key);
  if (known !== undefined) return known;
  if (columns.length > MOST_ARGUMENTS || !columns.every(({ kind }) => jsonKinds.has(kind))) return undefined;
  const page = build(columns, sql, withState);
  if (texts.size >= KEPT_TEXTS) texts.clear();
  pages.set(columns, texts.set(key, page));
  return page;
}

function build(columns: readonly Column[], sql: string, withState: boolean): Page {
  const array = `SELECT CAST(json_group_array(json_array(${columns.map(jsonColumn).join(",")})) AS BLOB) FROM (${sql})`;
  const exact = columns.flatMap(({ name }) => [`typeof(${quote(name)})`, exactColumn(quote(name))]);
  return {
    json: withState ? `SELECT (${array}), ${STATE}` : array,
    exact: `SELECT ${exact.join(",")} FROM (${sql})`,
  };
}

/**
 * json_array refuses a BLOB only if it does not look like JSONB: x'00' would pass as null. As text it is text; elsewhere x'ff', which
 * is never JSONB, makes it refuse every BLOB. A REAL is printed with 15 digits only, where 17 keep every bit.
 */
function jsonColumn({ name, kind }: Column): string {
  const column = quote(name);
  if (kind === "text" || kind === "json") return `CAST(${column} AS TEXT)`;
  if (kind !== "real") return `iif(${column}>=x'',x'ff',${column})`;
  return `CASE typeof(${column}) WHEN 'real' THEN json(printf('%!.17g',${column})) WHEN 'blob' THEN x'ff' ELSE ${column} END`;
}

/** Text as bytes: text that is not UTF-8 would abort the process, and text with a NUL would be cut there. */
function exactColumn(column: string): string {
  return `CASE typeof(${column}) WHEN 'text' THEN CAST(${column} AS BLOB) ELSE ${column} END`;
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The rows of a JSON document, or undefined where it could not carry a value exactly. */
export function rowsOfJson(columns: readonly Column[], document: unknown): Row[] | undefined {
  if (!(document instanceof ArrayBuffer)) return undefined;
  const lists = JSON.parse(decoder.decode(document)) as Value[][];
  const rows = new Array<Row>(lists.length);
  for (let index = 0; index < lists.length; index++) {
    const row = rowOfList(columns, lists[index] ?? []);
    if (row === undefined) return undefined;
    rows[index] = row;
  }
  return rows;
}

function rowOfList(columns: readonly Column[], list: readonly Value[]): Row | undefined {
  const row: Row = {};
  for (let index = 0; index < columns.length; index++) {
    const { name, kind } = columns[index] as Column;
    const value = list[index] ?? null;
    if (!carries(kind, value)) return undefined;
    row[name] = value;
  }
  return row;
}

function carries(kind: Kind, value: Value): boolean {
  if (typeof value === "number") return kind === "real" || Number.isSafeInteger(value);
  return typeof value === "string" || value === null;
}

/** The rows of the exact statement. Throws VALUE_REFUSED for an integer beyond ±(2^53 - 1). */
export function rowsOfExact(columns: readonly Column[], result: ResultSet): Row[] {
  return result.rows.map((driverRow) => {
    const row: Row = {};
    for (const [index, column] of columns.entries()) row[column.name] = exactCell(driverRow, index * 2, column);
    return row;
  });
}

function exactCell(row: DriverRow, at: number, { name, kind }: Column): Value {
  const value = row[at + 1];
  const isText = row[at] === "text" || kind === "text" || kind === "json";
  return value instanceof ArrayBuffer && isText ? decoder.decode(value) : plainValue(value, name);
}
