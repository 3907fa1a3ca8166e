import { type ExactRow, type ExactValue, statement } from "../../engines/engine.js";
import { typeOfColumn, typesByKind } from "../catalogue/postgres-type.js";
import { decodeKey, keyExpression } from "../key.js";
import { isSpelledOn } from "../key-spelling.js";
import { type Column, columnOf, quotedOn, type Table } from "../table.js";
import { readable } from "./postgres-expression.js";
import type { Rows } from "./rows.js";

const keysInAPage = 5_000;

/** Rows of the PostgreSQL side. Values go there as arrays of text, one for each column, whose number of parameters never grows. */
export const postgresRows: Rows = {
  async read(transaction, table, keys) {
    const spelled = keys.filter((key) => isSpelledOn("postgres", table, key));
    if (spelled.length === 0) return [];
    const wanted = ofKeys(table, spelled);
    const rows = await transaction.query(statement(selectText(table, table.columns, wanted), wanted.values));
    return rows.map((row) => ({
      key: String(row.row_key),
      values: table.columns.map((_, index) => row[`c${index}`] ?? null),
    }));
  },

  async holders(transaction, table, columns, values) {
    if (values.length === 0) return [];
    const wanted = unnest(table, columns, values, sameValue);
    const selected = columns.map((name) => columnOf(table, name));
    const rows = await transaction.query(statement(selectText(table, selected, wanted), wanted.values));
    return rows.map((row) => ({
      key: String(row.row_key),
      values: columns.map((_, index) => row[`c${index}`] ?? null),
    }));
  },

  async upsert(transaction, table, rows) {
    if (rows.length === 0) return;
    await transaction.execute(statement(upsertText(table), columnsOfRows(rows, table.columns.length)));
  },

  async remove(transaction, table, keys) {
    const spelled = keys.filter((key) => isSpelledOn("postgres", table, key));
    if (spelled.length === 0) return;
    const { source, match, values } = ofKeys(table, spelled);
    await transaction.execute(
      statement(`DELETE FROM ${quotedOn("postgres", table)} AS t USING ${source} WHERE ${match}`, values),
    );
  },

  async *keys(transaction, table) {
    const key = keyExpression("postgres", table, "t");
    await transaction.script(
      `DECLARE dualdb_keys NO SCROLL CURSOR FOR SELECT ${key} AS row_key FROM ${quotedOn("postgres", table)} AS t`,
    );
    for (;;) {
      const rows: ExactRow[] = await transaction.query(statement(`FETCH ${keysInAPage} FROM dualdb_keys`, []));
      if (rows.length > 0) yield rows.map((row) => String(row.row_key));
      if (rows.length < keysInAPage) break;
    }
    await transaction.script("CLOSE dualdb_keys");
  },
};

interface Wanted {
  readonly source: string;
  readonly match: string;
  readonly values: readonly unknown[];
}

function ofKeys(table: Table, keys: readonly string[]): Wanted {
  const tuples = keys.map((key) => decodeKey(table, key));
  return unnest(table, table.key, tuples, sameKey);
}

/** How a column of the table is compared with a text. */
type Comparison = (column: Column, name: string, text: string) => string;

function unnest(
  table: Table,
  columns: readonly string[],
  tuples: readonly (readonly ExactValue[])[],
  compare: Comparison,
): Wanted {
  const arrays = columns.map((_, index) => `$${index + 1}::text[]`).join(", ");
  const names = columns.map((_, index) => `k${index}`).join(", ");
  const pairs = columns
    .map((name) => columnOf(table, name))
    .map((column, index) => compare(column, `t.${quotedOn("postgres", column)}`, `w.k${index}`));
  return {
    source: `unnest(${arrays}) AS w (${names})`,
    match: pairs.join(" AND "),
    values: columnsOfRows(tuples, columns.length),
  };
}

function sameValue(column: Column, name: string, text: string): string {
  return `${name} = ${text}::${typeOf(column)}`;
}

/** What is not a value of the type cannot be cast to it: of keys whose type nobody has checked, the texts are compared. */
function sameKey(column: Column, name: string, text: string): string {
  const isChecked = column.kind !== "other" || ["uuid", "date"].includes(typeOfColumn(column).name);
  return isChecked ? sameValue(column, name, text) : `${name}::text = ${text}`;
}

function selectText(table: Table, columns: readonly Column[], { source, match }: Wanted): string {
  const selected = columns.map((column, index) => `${readable(column, "t")} AS c${index}`);
  const key = `${keyExpression("postgres", table, "t")} AS row_key`;
  return `SELECT ${[key, ...selected].join(", ")} FROM ${source} JOIN ${quotedOn("postgres", table)} AS t ON ${match}`;
}

function upsertText(table: Table): string {
  const names = table.columns.map((column) => quotedOn("postgres", column));
  const arrays = table.columns.map((_, index) => `$${index + 1}::text[]`).join(", ");
  const aliases = table.columns.map((_, index) => `c${index}`);
  const values = table.columns.map((column, index) => `c${index}::${typeOf(column)}`);
  const others = table.columns
    .filter(({ name, isFixed }) => !table.key.includes(name) && isFixed !== true)
    .map((column) => quotedOn("postgres", column));
  const key = table.key.map((name) => quotedOn("postgres", columnOf(table, name)));
  const change =
    others.length === 0 ? "NOTHING" : `UPDATE SET ${others.map((name) => `${name} = excluded.${name}`).join(", ")}`;
  const insert = `INSERT INTO ${quotedOn("postgres", table)} (${names.join(", ")}) OVERRIDING SYSTEM VALUE
    SELECT ${values.join(", ")} FROM unnest(${arrays}) AS r (${aliases.join(", ")})`;
  return key.length === 0 ? insert : `${insert} ON CONFLICT (${key.join(", ")}) DO ${change}`;
}

function typeOf(column: Column): string {
  return column.cast ?? column.type ?? typesByKind[column.kind];
}

function columnsOfRows(rows: readonly (readonly ExactValue[])[], width: number): (string | null)[][] {
  return Array.from({ length: width }, (_, index) => rows.map((row) => asText(row[index] ?? null)));
}

function asText(value: ExactValue): string | null {
  if (value === null || typeof value === "string") return value;
  if (value instanceof Uint8Array) return `\\x${Buffer.from(value).toString("hex")}`;
  return String(value);
}
