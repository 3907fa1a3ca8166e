import { type DiscoveredTable, pairTables } from "../../data/catalogue/discover.js";
import { toPostgres } from "../../data/conversion/convert.js";
import { type DefinitionNote, type LaterStatement, refusalNote } from "../../data/definition/definition.js";
import { isRefusal, reasonOf } from "../../data/refusal.js";
import { everyRow } from "../../data/rows/every-row.js";
import { rowsOf } from "../../data/rows/rows.js";
import { nameOn, quote, quotedOn, type Table } from "../../data/table.js";
import { type ExactValue, statement, type Transaction } from "../../engines/engine.js";

/** An entry of a b-tree holds 2,704 bytes after compression. */
const longForIndex = 2_600;

/**
 * The plain indexes of tables that are yet to be made which could not be made behind the rows, since one is too long for them: a copy takes
 * the row and leaves out the index. `made`: PostgreSQL's tables, those among them.
 */
export async function refusedIndexes(
  sqlite: Transaction,
  postgres: Transaction,
  tables: { readonly sqlite: readonly DiscoveredTable[]; readonly made: readonly DiscoveredTable[] },
  statements: readonly LaterStatement[],
): Promise<DefinitionNote[]> {
  const { pairs } = pairTables(tables.sqlite, tables.made);
  const notes: DefinitionNote[] = [];
  for (const one of statements.filter(({ kind }) => kind === "index")) {
    const pair = pairs.find(({ postgres: { name } }) => name === one.table);
    const index = pair?.postgres.indexes.find(({ name }) => name === one.index);
    if (pair === undefined || index === undefined) continue;
    const named = pair.table.columns.filter((column) =>
      index.columns.some(({ column: name }) => name === nameOn("postgres", column)),
    );
    const reason = await refusalOf(sqlite, postgres, { ...pair.table, columns: named, key: [] }, index.name);
    if (reason !== null) notes.push(refusalNote(one, reason));
  }
  return notes;
}

/** null where all rows fit. `table` has the index's columns only. */
async function refusalOf(
  sqlite: Transaction,
  postgres: Transaction,
  table: Table,
  index: string,
): Promise<string | null> {
  if (!(await hasLong(sqlite, table))) return null;
  const names = table.columns.map((column) => quotedOn("postgres", column)).join(", ");
  const trial = { ...table, postgresName: "dualdb_index_trial" };
  await postgres.script(`SAVEPOINT dualdb_index; CREATE TEMPORARY TABLE dualdb_index_trial ON COMMIT DROP AS
    SELECT ${names} FROM ${quotedOn("postgres", table)} WITH NO DATA; CREATE INDEX ${quote(index)} ON dualdb_index_trial (${names})`);
  try {
    for await (const page of everyRow("sqlite", sqlite, table)) {
      const long = page.map((row) => toPostgres(table, row).values).filter((values) => bytesOf(values) > longForIndex);
      if (long.length > 0) await rowsOf("postgres").upsert(postgres, trial, long);
    }
    return null;
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return reasonOf(error);
  } finally {
    await postgres.script("ROLLBACK TO SAVEPOINT dualdb_index; RELEASE SAVEPOINT dualdb_index");
  }
}

/** A look that costs SQLite little: most indexes are on columns without a long value. */
async function hasLong(sqlite: Transaction, table: Table): Promise<boolean> {
  const bytes = table.columns.map(({ name }) => `COALESCE(length(CAST(${quote(name)} AS BLOB)), 0)`);
  const text = `SELECT 1 AS one FROM ${quote(table.name)} WHERE ${bytes.join(" + ")} > ${longForIndex} LIMIT 1`;
  return (await sqlite.query(statement(text))).length > 0;
}

function bytesOf(values: readonly ExactValue[]): number {
  return values.reduce<number>((sum, value) => {
    if (value instanceof Uint8Array) return sum + value.byteLength;
    return sum + (typeof value === "string" ? Buffer.byteLength(value) : 8);
  }, 0);
}
