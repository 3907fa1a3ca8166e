import type { TablePair } from "../../data/catalogue/discover.js";
import { chunks } from "../../data/chunks.js";
import type { SourceRow } from "../../data/conversion/convert.js";
import { orphaned } from "../../data/refusal.js";
import { nameOn, quote, type Table } from "../../data/table.js";
import { statement, type Transaction } from "../../engines/engine.js";

/** A foreign key of PostgreSQL, by SQLite's names. */
interface Kinship {
  readonly columns: readonly string[];
  readonly parent: Table;
  readonly parentColumns: readonly string[];
}

const rowsAtOnce = 500;

/**
 * Why PostgreSQL misses the parents of these rows of one table, in the words of somebody who looks at SQLite. `column`: the columns of the
 * foreign key, by SQLite's names.
 */
export async function whyOrphaned(
  sqlite: Transaction,
  pairs: readonly TablePair[],
  pair: TablePair,
  column: string,
  rows: readonly SourceRow[],
): Promise<string[]> {
  const kinship = kinshipOf(pairs, pair, column);
  if (typeof kinship === "string") return rows.map(() => kinship);
  const reasons: string[] = [];
  for (const part of chunks(rows, rowsAtOnce)) reasons.push(...(await reasonsOf(sqlite, pair.table, kinship, part)));
  return reasons;
}

/** The foreign key on these columns, or what is to be said where SQLite cannot be asked for the parent. */
function kinshipOf(pairs: readonly TablePair[], { table, postgres }: TablePair, column: string): Kinship | string {
  const candidates = postgres.foreignKeys.filter(({ columns }) => namesIn(table, columns).join(", ") === column);
  const [found] = candidates;
  if (found === undefined || candidates.length > 1) return orphaned;
  const parent = pairs.find((pair) => pair.postgres.name === found.parent);
  if (parent === undefined) return `no such row in PostgreSQL's ${found.parent}`;
  const columns = namesIn(table, found.columns);
  return { columns, parent: parent.table, parentColumns: namesIn(parent.table, found.parentColumns) };
}

function namesIn({ columns }: Table, postgresNames: readonly string[]): string[] {
  const names = new Map(columns.map((column) => [nameOn("postgres", column), column.name]));
  return postgresNames.map((name) => names.get(name) ?? name);
}

async function reasonsOf(
  sqlite: Transaction,
  table: Table,
  { columns, parent, parentColumns }: Kinship,
  rows: readonly SourceRow[],
): Promise<string[]> {
  const places = columns.map((name) => table.columns.findIndex((column) => column.name === name));
  const lists = rows.map((_, index) => `(${[index, ...places.map(() => "?")].join(", ")})`);
  const pairs = parentColumns.map((name, index) => `p.${quote(name)} = w.c${index}`);
  const spelledAlike = pairs.map((pair) => `${pair} COLLATE BINARY`);
  const text = `WITH w (${["n", ...places.map((_, index) => `c${index}`)].join(", ")}) AS (VALUES ${lists.join(", ")})
    SELECT max(p.${quote(parentColumns[0] ?? "")} IS NOT NULL) AS known, max(${spelledAlike.join(" AND ")}) AS alike
    FROM w LEFT JOIN ${quote(parent.name)} AS p ON ${pairs.join(" AND ")} GROUP BY w.n ORDER BY w.n`;
  const values = rows.flatMap((row) => places.map((place) => row.values[place] ?? null));
  const found = await sqlite.query(statement(text, values));
  return found.map(({ known, alike }) => {
    if (known !== 1n) return `no such row in ${parent.name}`;
    if (alike !== 1n) return `its row in ${parent.name} is spelled otherwise, which PostgreSQL tells apart`;
    return `its row in ${parent.name} would not arrive`;
  });
}
