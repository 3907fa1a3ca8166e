import type { Client } from "@libsql/client";
import type { Column } from "../data/table.js";
import { DualDbError } from "../errors.js";
import type { ReadOptions, Row } from "./engine.js";
import { notPrimaryError } from "./libsql-errors.js";
import { type Page, pageOf, rowsOfExact, rowsOfJson } from "./libsql-page.js";
import { readAnyText } from "./libsql-text.js";
import { type BoundStatement, plainRows } from "./libsql-values.js";

/** The rows of one SELECT, in one statement where that can be done. */
export async function readRows(client: Client, bound: BoundStatement, options: ReadOptions): Promise<Row[]> {
  const { columns, asPrimary = false } = options;
  const page = columns && pageOf(columns, bound.sql, asPrimary);
  if (columns !== undefined && page !== undefined) return readPage(client, bound, columns, page, asPrimary);
  if (asPrimary) await refuseUnlessPrimary(client);
  return options.anyText === true ? readAnyText(client, bound) : plainRows(await client.execute(bound));
}

/** Throws NOT_PRIMARY unless the state says that SQLite is primary. */
export async function refuseUnlessPrimary(client: Client): Promise<void> {
  const { rows } = await client.execute(`SELECT "primary" FROM dualdb_state WHERE id = 1`);
  if (rows[0]?.[0] !== "sqlite") throw notPrimaryError();
}

async function readPage(
  client: Client,
  bound: BoundStatement,
  columns: readonly Column[],
  page: Page,
  asPrimary: boolean,
): Promise<Row[]> {
  return (
    (await readJson(client, bound, columns, page, asPrimary)) ?? readExact(client, bound, columns, page, asPrimary)
  );
}

async function readJson(
  client: Client,
  { args }: BoundStatement,
  columns: readonly Column[],
  page: Page,
  asPrimary: boolean,
): Promise<Row[] | undefined> {
  try {
    const { rows } = await client.execute({ sql: page.json, args });
    if (asPrimary && rows[0]?.[1] !== "sqlite") throw notPrimaryError();
    return rowsOfJson(columns, rows[0]?.[0]);
  } catch (error) {
    if (isBlobInJson(error)) return undefined;
    throw error;
  }
}

async function readExact(
  client: Client,
  { args }: BoundStatement,
  columns: readonly Column[],
  page: Page,
  asPrimary: boolean,
): Promise<Row[]> {
  if (asPrimary) await refuseUnlessPrimary(client);
  return rowsOfExact(columns, await client.execute({ sql: page.exact, args }));
}

function isBlobInJson(error: unknown): boolean {
  return (
    !(error instanceof DualDbError) && error instanceof Error && error.message.includes("JSON cannot hold BLOB values")
  );
}
