import { onTestFinished } from "vitest";
import {
  type DiscoveredTable,
  discoverPostgres,
  discoverSqlite,
  type Pairing,
  pairTables,
} from "../../src/data/catalogue/discover.js";
import type { Engine } from "../../src/engines/engine.js";
import { openPostgres } from "../../src/engines/postgres.js";
import { silentLogger } from "../../src/logger.js";
import { freshPostgres, freshSqlite } from "../support/databases.js";
import { openAt, script } from "../support/libsql.js";
import { configOf } from "../support/postgres-config.js";

/** A SQLite file and a PostgreSQL database with the tables of a test, closed when it ends. */
export interface Sides {
  readonly sqlite: Engine;
  readonly postgres: Engine;
  pairing(): Promise<Pairing>;
}

export async function sides(sqliteText: string, postgresText: string): Promise<Sides> {
  const sqlite = await sqliteWith(sqliteText);
  const postgres = await postgresWith(postgresText);
  return {
    sqlite,
    postgres,
    pairing: async () => pairTables(await tablesOf(sqlite), await tablesOf(postgres)),
  };
}

export async function sqliteWith(text: string): Promise<Engine> {
  const engine = await openAt(freshSqlite());
  onTestFinished(() => engine.close());
  await script(engine, text);
  return engine;
}

export async function postgresWith(text: string): Promise<Engine> {
  const engine = openPostgres({ config: configOf(await freshPostgres()), logger: silentLogger });
  onTestFinished(() => engine.close());
  if (text !== "") await script(engine, text);
  return engine;
}

export function tablesOf(engine: Engine): Promise<DiscoveredTable[]> {
  return engine.transaction({ mode: "read" }, engine.side === "sqlite" ? discoverSqlite : discoverPostgres);
}
