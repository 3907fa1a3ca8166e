import { readFileSync } from "node:fs";
import type { PostgresConfig } from "../../src/config.js";
import { runAt } from "./postgres.js";

/** The settings of an engine for a URL of a test server. */
export function configOf(url: string, changes: Partial<PostgresConfig> = {}): PostgresConfig {
  const { hostname, port, pathname, username, password } = new URL(url);
  return {
    host: hostname,
    port: Number(port || 5432),
    database: decodeURIComponent(pathname.slice(1)),
    user: decodeURIComponent(username),
    password: password === "" ? undefined : decodeURIComponent(password),
    sslMode: "prefer",
    ca: undefined,
    poolSize: 20,
    queryTimeoutMs: 10_000,
    ...changes,
  };
}

/** Creates our tables in an empty PostgreSQL and says which side is primary. */
export async function withState(url: string, primary: "sqlite" | "postgres"): Promise<void> {
  await runAt(url, readFileSync(new URL("../../sql/postgres/0002_journal.sql", import.meta.url), "utf8"));
  await runAt(url, `UPDATE dualdb_state SET "primary" = $1`, [primary]);
}
