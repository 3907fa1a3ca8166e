import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { TestProject } from "vitest/node";
import { availableBinaries, runAt, shortVersion, startPostgres } from "./postgres.js";

/** A server that the suites run against. */
export interface TestServer {
  /** For the titles of tests: `installed 15.13`, `embedded 18.4`, `configured 16.2`. */
  readonly name: string;
  readonly url: string;
}

declare module "vitest" {
  interface ProvidedContext {
    /** All servers of this run; the first is the one that a test takes which needs just one. */
    postgresServers: readonly TestServer[];
    /** Every database of this run begins with it. */
    databasePrefix: string;
    /** A directory that goes away after the run. */
    scratch: string;
  }
}

/** Brings up the databases of a run, once: whatever was to take part and cannot fails the run. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const scratch = mkdtempSync(path.join(tmpdir(), "dualdb-test-"));
  const databasePrefix = `dualdb_test_${process.pid}`;
  const configured = configuredUrl();
  const kinds = availableBinaries().filter((kind) => kind === "embedded" || configured === null);
  const started = await Promise.all(kinds.map((kind) => startPostgres({ binaries: kind })));
  const own = started.map((server) => ({ name: `${server.kind} ${server.version}`, url: server.url() }));
  const servers = configured === null ? own : [await describeServer(configured), ...own];
  if (servers.length === 0)
    throw new Error("no PostgreSQL to test against: run npm ci, install PostgreSQL, or set TEST_DATABASE_URL");
  project.provide("postgresServers", servers);
  project.provide("databasePrefix", databasePrefix);
  project.provide("scratch", scratch);
  return async () => {
    if (configured !== null) await dropDatabases(configured, databasePrefix);
    await Promise.all(started.map((server) => server.stop()));
    rmSync(scratch, { recursive: true, force: true });
  };
}

function configuredUrl(): string | null {
  const { env } = process;
  if (env.TEST_DATABASE_URL) return env.TEST_DATABASE_URL;
  if (!env.TEST_POSTGRES_HOST) return null;
  const url = new URL(`postgres://${env.TEST_POSTGRES_HOST}:${env.TEST_POSTGRES_PORT || 5432}`);
  url.pathname = `/${env.TEST_POSTGRES_DB || "postgres"}`;
  url.username = encodeURIComponent(env.TEST_POSTGRES_USER || "postgres");
  url.password = encodeURIComponent(env.TEST_POSTGRES_PASSWORD ?? "");
  return url.href;
}

async function describeServer(url: string): Promise<TestServer> {
  const [row] = await runAt(url, "SHOW server_version");
  return { name: `configured ${shortVersion(row)}`, url };
}

async function dropDatabases(url: string, prefix: string): Promise<void> {
  const rows = await runAt(url, "SELECT datname FROM pg_database WHERE starts_with(datname, $1)", [prefix]);
  for (const row of rows) await runAt(url, `DROP DATABASE IF EXISTS "${String(row.datname)}" WITH (FORCE)`);
}
