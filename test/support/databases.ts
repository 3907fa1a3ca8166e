import { mkdtempSync } from "node:fs";
import path from "node:path";
import { inject } from "vitest";
import type { TestServer } from "./global.js";
import { createDatabaseAt } from "./postgres.js";

/** The PostgreSQL servers of this run, for `describe.each`. */
export const postgresServers: readonly TestServer[] = inject("postgresServers");

/** The URL of a new, empty database on the server of that URL, or on the run's first; gone after the run. */
export function freshPostgres(serverUrl: string = defaultServer().url, locale?: string): Promise<string> {
  return createDatabaseAt(serverUrl, inject("databasePrefix"), locale);
}

/** The path of a SQLite file that does not exist yet, in a directory of its own; gone after the run. */
export function freshSqlite(): string {
  return path.join(freshDirectory(), "bot.db");
}

/** An empty directory; gone after the run. */
export function freshDirectory(): string {
  return mkdtempSync(path.join(inject("scratch"), "t-"));
}

function defaultServer(): TestServer {
  const [first] = postgresServers;
  if (first === undefined) throw new Error("the run has no PostgreSQL");
  return first;
}
