import type { Index, TablePair } from "../../data/catalogue/discover.js";
import { partsByRowid } from "../../data/rows/rowid.js";
import { type Kind, nameOn, quote, type Table } from "../../data/table.js";
import { statement, type Transaction } from "../../engines/engine.js";

/** Kinds whose every value is settled by conversion. */
const settledKinds: ReadonlySet<Kind> = new Set(["text", "integer", "bigint", "real", "boolean", "blob", "numeric"]);
const plainMethods = ["btree", "hash"];
const sizedKinds: ReadonlySet<Kind> = new Set(["text", "blob", "numeric"]);
/** An entry of a b-tree holds 2,704 bytes after compression, and a byte that is no UTF-8 arrives as three. */
const longest = 860;
/** With fewer columns any row fits into a page of 8 KiB: a large value leaves 18 bytes there. */
const columnsInAPage = 400;

/** Whether there is anything about a table for which PostgreSQL may refuse a row that conversion lets through, whatever its size. */
export function isDoubtful({ table, postgres }: TablePair): boolean {
  return (
    postgres.checks.length + postgres.generated.length + postgres.foreignKeys.length > 0 ||
    postgres.options.includes("PARTITIONED") ||
    postgres.columns.length > table.columns.length ||
    postgres.columns.length > columnsInAPage ||
    table.columns.some(({ kind, base }) => base !== undefined || !settledKinds.has(kind)) ||
    postgres.indexes.some((index) => !isHarmless(index, table))
  );
}

/** Whether it can refuse a row for its size only: the key tells rows apart on both sides alike. */
function isHarmless({ method, partial, unique, constraint, columns }: Index, table: Table): boolean {
  const names = columns.map(({ column }) => column);
  if (!plainMethods.includes(method) || partial || names.includes(null)) return false;
  const key = table.columns.filter(({ name }) => table.key.includes(name)).map((column) => nameOn("postgres", column));
  const isKey = names.length === key.length && key.every((name) => names.includes(name));
  return isKey || !(unique || constraint);
}

/** Whether a row of SQLite's table may be too large for one of PostgreSQL's indexes. */
export async function hasLargeRows(sqlite: Transaction, { table, postgres }: TablePair): Promise<boolean> {
  const indexed = new Set(postgres.indexes.flatMap(({ columns }) => columns.map(({ column }) => column)));
  const columns = table.columns.filter(
    (column) => sizedKinds.has(column.kind) && indexed.has(nameOn("postgres", column)),
  );
  if (columns.length === 0) return false;
  const bytes = columns.map(({ name }) => `COALESCE(length(CAST(t.${quote(name)} AS BLOB)), 0)`).join(" + ");
  for await (const { text, values } of partsByRowid(sqlite, table)) {
    const any = `SELECT 1 FROM ${quote(table.name)} AS t WHERE ${text} AND ${bytes} > ${longest} LIMIT 1`;
    if ((await sqlite.query(statement(any, values))).length > 0) return true;
  }
  return false;
}
