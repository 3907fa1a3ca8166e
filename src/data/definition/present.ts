import { statement, type Transaction } from "../../engines/engine.js";
import type { DiscoveredTable } from "../catalogue/catalogue.js";
import { discoverPostgres } from "../catalogue/discover-postgres.js";
import { ownSchema } from "../catalogue/own-schema.js";

/** What PostgreSQL has before tables are made there. */
export interface Present {
  readonly tables: readonly DiscoveredTable[];
  /** Of the schema's tables, views, indexes and sequences, which share their names. */
  readonly names: ReadonlySet<string>;
  /** Of PostgreSQL's own catalogue: a name there is that table's, whatever a schema has. */
  readonly own: ReadonlySet<string>;
}

/** An empty schema of which nothing else is known. */
export const nothingPresent: Present = { tables: [], names: new Set(), own: new Set() };

export async function presentIn(postgres: Transaction): Promise<Present> {
  const rows = await postgres.query(
    statement(`SELECT relname AS name, relnamespace = 'pg_catalog'::regnamespace AS own FROM pg_class
      WHERE relnamespace IN ('pg_catalog'::regnamespace, ${ownSchema})`),
  );
  const named = (isOwn: boolean) => new Set(rows.filter(({ own }) => own === isOwn).map(({ name }) => String(name)));
  return { tables: await discoverPostgres(postgres), names: named(false), own: named(true) };
}
