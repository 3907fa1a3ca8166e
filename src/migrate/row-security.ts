import sql, { raw } from "sql-template-tag";
import { ownSchema } from "../data/catalogue/own-schema.js";
import { nameOn, type Table } from "../data/table.js";
import type { Engine } from "../engines/engine.js";
import { DualDbError } from "../errors.js";

/** How a user comes to see and write all rows of a table. */
export const withoutRowSecurity =
  "Use a user with BYPASSRLS, or the table's owner where its security is not forced (ALTER TABLE … NO FORCE ROW LEVEL SECURITY).";

/** Tables of which PostgreSQL's policies hide rows from this user, or may: it takes no COPY there from such a user. */
export async function underRowSecurity(postgres: Engine, tables: readonly Table[]): Promise<Table[]> {
  const names = tables.map((table) => nameOn("postgres", table));
  const rows = await postgres.read(sql`SELECT relname AS name FROM pg_class
    WHERE relnamespace = ${raw(ownSchema)} AND relname = ANY (${names}::text[]) AND row_security_active(oid)`);
  const found = new Set(rows.map(({ name }) => String(name)));
  return tables.filter((table) => found.has(nameOn("postgres", table)));
}

/** @throws ACCESS_DENIED naming the tables: half of their rows would be taken for all of them. */
export async function assertNoRowSecurity(postgres: Engine, tables: readonly Table[]): Promise<void> {
  const found = await underRowSecurity(postgres, tables);
  const [first] = found;
  if (first === undefined) return;
  const names = found.map(({ name }) => name).join(", ");
  const message = `PostgreSQL's row-level security holds for this user in ${names}: it may not see every row, and no COPY is taken there. ${withoutRowSecurity}`;
  throw new DualDbError("ACCESS_DENIED", message, { side: "postgres", table: first.name });
}
