import { statement, type Transaction } from "../../engines/engine.js";
import type { Table } from "../table.js";
import type { DefinitionNote } from "./definition.js";

/** What hangs on tables of SQLite, but has to be written anew for PostgreSQL by hand: their triggers, and views. */
export async function leftBehind(sqlite: Transaction, tables: readonly Table[]): Promise<DefinitionNote[]> {
  const text = `SELECT type, name, tbl_name AS "table" FROM main.sqlite_schema
    WHERE type IN ('trigger', 'view') AND name NOT LIKE 'dualdb\\_%' ESCAPE '\\' ORDER BY type, name`;
  const names = new Map(tables.map(({ name }) => [name.toLowerCase(), name]));
  const found = await sqlite.query(statement(text));
  return found.flatMap(({ type, name, table: owner }) => {
    const table = type === "view" ? String(name) : names.get(String(owner).toLowerCase());
    if (table === undefined) return [];
    const what = type === "view" ? "a view" : `the trigger ${String(name)}`;
    return [{ table, column: null, text: `${what}: left out` }];
  });
}
