import { onTestFinished } from "vitest";
import { type Config, readConfig } from "../../src/config.js";
import type { Engine, Side } from "../../src/engines/engine.js";
import { openLibsql } from "../../src/engines/libsql.js";
import { silentLogger } from "../../src/logger.js";
import { freshPostgres, freshSqlite, postgresServers } from "../support/databases.js";

/** The environment that names one database. */
export type Target = Readonly<Record<string, string>>;

export interface TestSide {
  readonly name: string;
  readonly side: Side;
  /** A new, empty database. */
  fresh(): Promise<Target>;
}

/** SQLite, and every PostgreSQL of the run. */
export const sides: readonly TestSide[] = [
  { name: "sqlite", side: "sqlite", fresh: async () => ({ SQLITE_DB_PATH: freshSqlite() }) },
  ...postgresServers.map((server) => ({
    name: `postgres ${server.name}`,
    side: "postgres" as const,
    fresh: async () => ({ DATABASE_URL: await freshPostgres(server.url) }),
  })),
];

/** An engine on that database; closed with the test. */
export async function openTarget(target: Target, more: Target = {}): Promise<Engine> {
  const config = readConfig({ ...target, ...more });
  const engine = await openConfigured(config);
  onTestFinished(() => engine.close());
  return engine;
}

async function openConfigured({ postgres, sqlite, migrationTimeoutMs }: Config): Promise<Engine> {
  if (postgres === null) return openLibsql({ config: sqlite, logger: silentLogger, busyLimitMs: migrationTimeoutMs });
  const { openPostgres } = await import("../../src/engines/postgres.js");
  return openPostgres({ config: postgres, logger: silentLogger });
}
