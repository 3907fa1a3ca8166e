import type { Adapter } from "../../src/adapter.js";
import { readConfig } from "../../src/config.js";
import type { Engine, Side } from "../../src/engines/engine.js";
import { openPostgres } from "../../src/engines/postgres.js";
import { silentLogger } from "../../src/logger.js";
import { open } from "../../src/open.js";
import { migrate } from "../../src/schema/migrations.js";
import { freshPostgres, freshSqlite, postgresServers } from "./databases.js";
import type { TestServer } from "./global.js";
import { sqldRuns, startSqld } from "./sqld.js";

/** A new pair of databases, or SQLite alone, with one side primary. */
export interface OpenSide {
  /** The primary's. */
  readonly engine: Engine;
  readonly adapter: Adapter;
  close(): Promise<void>;
}

/** A side that the conformance suites run on, as the adapter opens it. */
export interface ServiceSide {
  readonly name: string;
  readonly side: Side;
  open(): Promise<OpenSide>;
}

export const serviceSides: readonly ServiceSide[] = [
  { name: "SQLite file", side: "sqlite", open: () => openSide({ SQLITE_DB_PATH: freshSqlite() }) },
  ...(sqldRuns ? [{ name: "libSQL server", side: "sqlite" as const, open: openRemote }] : []),
  ...postgresServers.map((server) => postgresSide(server)),
];

/** A database on one of the run's servers, of that locale. */
export function postgresSide({ name, url }: TestServer, locale?: string): ServiceSide {
  const title = locale === undefined ? `PostgreSQL ${name}` : `PostgreSQL ${name}, ${locale}`;
  return { name: title, side: "postgres", open: () => openServer(url, locale) };
}

async function openServer(serverUrl: string, locale: string | undefined): Promise<OpenSide> {
  const env = {
    SQLITE_DB_PATH: freshSqlite(),
    DATABASE_URL: await freshPostgres(serverUrl, locale),
    USE_POSTGRES_PRIMARY: "on",
  };
  const { postgres: config } = readConfig(env);
  if (config === null) throw new Error("no PostgreSQL in the configuration");
  const engine = openPostgres({ config, logger: silentLogger });
  await migrate({ engine, timeoutMs: 30_000, logger: silentLogger });
  await engine.close();
  return openSide(env);
}

async function openRemote(): Promise<OpenSide> {
  const server = await startSqld();
  const side = await openSide({ TURSO_DATABASE_URL: server.url });
  return {
    ...side,
    close: async () => {
      await side.close();
      await server.stop();
    },
  };
}

async function openSide(env: NodeJS.ProcessEnv): Promise<OpenSide> {
  const opened = await open(readConfig(env), silentLogger, { clock: Date.now, reached: () => undefined });
  const { sqlite, primary, relay } = opened;
  const postgres = primary.side === "postgres" ? await opened.postgres() : null;
  const engine = postgres ?? sqlite;
  if (engine === null) throw new Error("nothing is open");
  return {
    engine,
    adapter: opened.adapter,
    close: async () => {
      await relay?.stop();
      await Promise.all([sqlite?.close(), postgres?.close()]);
    },
  };
}
