import { readFileSync } from "node:fs";
import type { Engine, Side } from "../../src/engines/engine.js";
import { openLibsql } from "../../src/engines/libsql.js";
import { openPostgres } from "../../src/engines/postgres.js";
import { silentLogger } from "../../src/logger.js";
import { freshPostgres, freshSqlite, postgresServers } from "./databases.js";
import { runAt } from "./postgres.js";
import { configOf } from "./postgres-config.js";

/** A side that the conformance suites run on: `open` gives an engine on a new database that has the six tables. */
export interface ServiceSide {
  readonly name: string;
  readonly side: Side;
  open(): Promise<Engine>;
}

export const serviceSides: readonly ServiceSide[] = [
  { name: "SQLite file", side: "sqlite", open: openFile },
  ...postgresServers.map(({ name, url }): ServiceSide => {
    return { name: `PostgreSQL ${name}`, side: "postgres", open: () => openServer(url) };
  }),
];

async function openFile(): Promise<Engine> {
  const file = freshSqlite();
  const config = { url: `file:${file}`, authToken: undefined, file };
  const engine = await openLibsql({ config, logger: silentLogger });
  await engine.transaction({ mode: "write" }, (transaction) => transaction.script(schema("libsql")));
  return engine;
}

async function openServer(serverUrl: string): Promise<Engine> {
  const url = await freshPostgres(serverUrl);
  await runAt(url, schema("postgres"));
  return openPostgres({ config: configOf(url), logger: silentLogger });
}

function schema(folder: "libsql" | "postgres"): string {
  return readFileSync(new URL(`../../sql/${folder}/0001_tables.sql`, import.meta.url), "utf8");
}
