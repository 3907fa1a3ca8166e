import type { Index } from "../data/catalogue/catalogue.js";
import { sameSet } from "../data/catalogue/common-key.js";
import type { TablePair } from "../data/catalogue/couple.js";
import { indexTextOf } from "../data/catalogue/sqlite-index.js";
import { quote } from "../data/table.js";

/** Which rows of SQLite a new row evicts under REPLACE, for a trigger of their table. */
export interface Evictions {
  /** A condition on a row of the table, by its own name; `NEW` is the row that comes. */
  readonly condition: string;
  /** The columns whose change can evict; none where that cannot be told. */
  readonly columns: readonly string[];
}

/** Rows that hold what has to be unique, under another key. null where the key is all that has to be. */
export function evictions(pair: TablePair): Evictions | null {
  const { table, sqlite } = pair;
  const indexes = sqlite.indexes.filter((index) => index.unique && !isKey(index, table.key));
  const conditions = indexes.map((index) => sameIn(index, pair));
  // The alias of the rowid is unique without an index.
  const alias = sqlite.columns.find(({ identity }) => identity);
  const hasAlias = alias !== undefined && !sameSet([alias.name], table.key);
  if (hasAlias) conditions.push(equal(pair, alias.name, "BINARY"));
  if (conditions.length === 0) return null;
  const columns = [...indexes.flatMap(columnsOf), ...(hasAlias ? [alias.name] : [])];
  return {
    condition: conditions.map((condition) => `(${condition})`).join(" OR "),
    columns: columns.includes(null) ? [] : [...new Set(columns.filter((name) => name !== null))],
  };
}

/** The primary key is compared by its bytes, else it would not be the key of both sides. */
function isKey({ columns, partial }: Index, key: readonly string[]): boolean {
  const names = columns.map(({ column }) => column ?? "");
  return !partial && sameSet(names, key) && columns.every(({ collation }) => collation?.toUpperCase() === "BINARY");
}

/** null where an expression or a condition may look at any column. */
function columnsOf({ columns, partial }: Index): (string | null)[] {
  return partial ? [null] : columns.map(({ column }) => column);
}

function sameIn(index: Index, pair: TablePair): string {
  const text = index.sql === null ? null : indexTextOf(index.sql);
  const terms = index.columns.map(({ column, collation = "BINARY" }, at) => {
    if (column !== null) return equal(pair, column, collation);
    const term = text?.terms[at] ?? "NULL";
    return `(${term}) = ${ofNew(term, pair)}`;
  });
  const where = text?.where ?? null;
  return [...terms, ...(where === null ? [] : [`(${where})`, ofNew(where, pair)])].join(" AND ");
}

function equal({ table }: TablePair, column: string, collation: string): string {
  return `${quote(table.name)}.${quote(column)} = NEW.${quote(column)} COLLATE ${quote(collation)}`;
}

/** An expression about the row that comes: its columns stand there by their own names, as they do in the index. */
function ofNew(expression: string, { table, sqlite }: TablePair): string {
  const names = [...sqlite.columns, ...sqlite.generated].map(({ name }) => quote(name));
  const row = names.map((name) => `NEW.${name} AS ${name}`).join(", ");
  return `(SELECT ${expression} FROM (SELECT ${row}) AS ${quote(table.name)})`;
}
