import { columnOf, quotedOn, type Table } from "../../data/table.js";
import type { Side } from "../../engines/engine.js";

/** The statement that brings rows into a table which may have some of them. `rows` is a SELECT of the table's columns, or VALUES. */
export function mergeText(side: Side, table: Table, rows: string): string {
  const key = table.key.map((name) => quotedOn(side, columnOf(table, name)));
  return `${insertText(side, table, rows)} ON CONFLICT (${key.join(", ")}) DO ${changeText(side, table)}`;
}

/** The same for a table that has none of them. */
export function insertText(side: Side, table: Table, rows: string): string {
  const names = table.columns.map((column) => quotedOn(side, column));
  const overriding = side === "postgres" ? " OVERRIDING SYSTEM VALUE" : "";
  return `INSERT INTO ${quotedOn(side, table)} AS t (${names.join(", ")})${overriding} ${rows}`;
}

/** Rows that are there and equal are not touched, so they do not count as changed. */
function changeText(side: Side, table: Table): string {
  const others = table.columns.filter((column) => isChangeable(side, table, column));
  if (others.length === 0) return "NOTHING";
  const set = others.map((column) => quotedOn(side, column)).map((name) => `${name} = excluded.${name}`);
  return `UPDATE SET ${set.join(", ")} WHERE ${differs[side](others)}`;
}

function isChangeable(side: Side, { key }: Table, { name, isFixed }: Columns[number]): boolean {
  return !key.includes(name) && !(side === "postgres" && isFixed === true);
}

type Columns = Table["columns"];

const differs: Readonly<Record<Side, (columns: Columns) => string>> = {
  postgres: (columns) =>
    columns
      .map((column) => `${comparable(column, "t")} IS DISTINCT FROM ${comparable(column, "excluded")}`)
      .join(" OR "),
  // One comparison of all of them: SQLite nests conditions at most 1,000 deep.
  sqlite: (columns) => {
    const all = (row: string) => columns.map((column) => `${row}.${quotedOn("sqlite", column)}`).join(", ");
    return `(${all("t")}) IS NOT (${all("excluded")})`;
  },
};

/** Some types have no `=`, or one that takes different spellings for the same. */
function comparable(column: Columns[number], alias: string): string {
  const name = `${alias}.${quotedOn("postgres", column)}`;
  if (column.kind === "text") return `${name}::text COLLATE "C"`;
  return column.kind === "other" || column.type === "json" ? `${name}::text` : name;
}
