import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type { PostgresConfig } from "../../src/config.js";
import type { PostgresEngine, Statement } from "../../src/engines/engine.js";
import { openPostgres } from "../../src/engines/postgres.js";
import { silentLogger } from "../../src/logger.js";
import { available, type PgBouncer, startPgBouncer } from "../support/pgbouncer.js";
import { type PostgresServer, runAt, startPostgres } from "../support/postgres.js";
import { configOf, withState } from "../support/postgres-config.js";

const engines: PostgresEngine[] = [];

afterEach(async () => {
  vi.unstubAllEnvs();
  await Promise.all(engines.splice(0).map((engine) => engine.close()));
});

function open(url: string, changes: Partial<PostgresConfig> = {}): PostgresEngine {
  const engine = openPostgres({ config: configOf(url, changes), logger: silentLogger });
  engines.push(engine);
  return engine;
}

function statement(text: string, ...values: unknown[]): Statement {
  return { sql: text, text, values };
}

const encrypted = statement("SELECT ssl AS yes FROM pg_stat_ssl WHERE pid = pg_backend_pid()");

describe("access", () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres({ auth: "scram-sha-256", password: "right" });
  });
  afterAll(() => server.stop());

  test("the right password", async () => {
    expect(await open(server.url()).read(statement("SELECT 1 AS one"))).toEqual([{ one: 1 }]);
  });

  test.each([["s3cret"], [undefined]])("the password %s", async (password) => {
    vi.stubEnv("PGPASSWORD", "right");
    const failure = await open(server.url(), { password })
      .read(statement("SELECT 1"))
      .catch((error: unknown) => error);
    expect(failure).toMatchObject({
      code: "ACCESS_DENIED",
      side: "postgres",
      message: expect.stringContaining("password"),
    });
    expect((failure as Error).message).not.toContain('wrong"');
    expect((failure as Error).message).not.toContain("right:");
  });

  test("a database that does not exist is named", async () => {
    await expect(open(server.url("nowhere")).read(statement("SELECT 1"))).rejects.toMatchObject({
      code: "DATABASE_UNUSABLE",
      message: expect.stringContaining("/nowhere"),
    });
  });

  test("a host and a port where nobody is", async () => {
    for (const place of [{ port: 1 }, { host: "nowhere.invalid" }]) {
      await expect(open(server.url(), place).write([statement("SELECT 1")])).rejects.toMatchObject({
        code: "DATABASE_UNAVAILABLE",
      });
    }
  });

  test("a missing privilege", async () => {
    const url = await server.createDatabase();
    await runAt(url, "CREATE TABLE t (i int)");
    await runAt(url, "CREATE ROLE reader LOGIN PASSWORD 'reader'");
    const reader = open(url, { user: "reader", password: "reader" });
    await expect(reader.write([statement("INSERT INTO t VALUES (1)")])).rejects.toMatchObject({
      code: "ACCESS_DENIED",
    });
  });

  test("a read-only server", async () => {
    const url = await server.createDatabase();
    await runAt(url, `ALTER DATABASE ${new URL(url).pathname.slice(1)} SET default_transaction_read_only = on`);
    await expect(open(url).write([statement("CREATE TABLE t (i int)")])).rejects.toMatchObject({
      code: "DATABASE_UNAVAILABLE",
      retry: true,
    });
  });

  test("PG variables of the environment change nothing", async () => {
    vi.stubEnv("PGOPTIONS", "-c statement_timeout=1");
    vi.stubEnv("PGAPPNAME", "ambient");
    const text = "SELECT current_setting('statement_timeout') AS timeout, current_setting('application_name') AS name";
    expect(await open(server.url()).read(statement(text))).toEqual([{ timeout: "0", name: "" }]);
  });
});

describe("TLS", () => {
  let secured: PostgresServer;
  let plain: PostgresServer;
  beforeAll(async () => {
    [secured, plain] = await Promise.all([startPostgres({ tls: true }), startPostgres()]);
  });
  afterAll(() => Promise.all([secured.stop(), plain.stop()]));

  test.each([
    ["disable", false],
    ["allow", true],
    ["prefer", true],
    ["require", true],
  ] as const)("sslmode %s with a server that offers it", async (sslMode, yes) => {
    expect(await open(secured.url(), { sslMode }).read(encrypted)).toEqual([{ yes: yes ? 1 : 0 }]);
  });

  test.each([
    ["disable", true],
    ["allow", true],
    ["prefer", true],
    ["require", false],
    ["verify-ca", false],
    ["verify-full", false],
  ] as const)("sslmode %s with a server that does not", async (sslMode, works) => {
    const reading = open(plain.url(), { sslMode }).read(encrypted);
    if (works) expect(await reading).toEqual([{ yes: 0 }]);
    else
      await expect(reading).rejects.toMatchObject({
        code: "DATABASE_UNUSABLE",
        message: expect.stringContaining("TLS"),
      });
  });

  test("verify-ca asks for the authority, verify-full for the name too", async () => {
    const { ca } = secured;
    const outcome = (sslMode: PostgresConfig["sslMode"], host: string, authority: string | undefined) =>
      open(secured.url(), { sslMode, host, ca: authority })
        .read(encrypted)
        .then(
          (rows) => rows[0]?.yes,
          (error) => error.code,
        );
    expect(await outcome("verify-ca", "127.0.0.1", ca)).toBe(1);
    expect(await outcome("verify-full", "localhost", ca)).toBe(1);
    expect(await outcome("verify-full", "127.0.0.1", ca)).toBe("DATABASE_UNUSABLE");
    expect(await outcome("verify-ca", "localhost", undefined)).toBe("DATABASE_UNUSABLE");
    expect(await outcome("verify-full", "localhost", undefined)).toBe("DATABASE_UNUSABLE");
  });
});

describe.runIf(available)("behind PgBouncer in transaction mode", () => {
  let server: PostgresServer;
  let bouncer: PgBouncer;
  let url: string;
  beforeAll(async () => {
    server = await startPostgres();
    bouncer = await startPgBouncer(server.port);
    url = await server.createDatabase();
    await withState(url, "postgres");
    await runAt(url, "CREATE TABLE t (i int PRIMARY KEY, n int NOT NULL)");
  });
  afterAll(async () => {
    await bouncer.stop();
    await server.stop();
  });

  test("more clients than connections read, write and run transactions at once", async () => {
    vi.stubEnv("PGOPTIONS", "-c statement_timeout=1");
    const engine = open(bouncer.url(url));
    const calls = Array.from({ length: 60 }, async (_, i) => {
      await engine.write([statement("INSERT INTO t VALUES ($1, 0)", i)], { asPrimary: true });
      const increment = statement("UPDATE t SET n = n + 1 WHERE i = $1", i);
      await engine.write([increment, increment], { asPrimary: true });
      await engine.transaction({ mode: "write", timeoutMs: 5000 }, (transaction) => transaction.execute(increment));
      const columns = i % 2 === 0 ? { columns: [{ name: "n", kind: "integer", notNull: true } as const] } : {};
      const read = statement("SELECT n FROM t WHERE i = $1", i);
      return (await engine.read(read, { asPrimary: true, ...columns }))[0]?.n;
    });
    expect(await Promise.all(calls)).toEqual(Array(60).fill(3));
    const setting = statement("SELECT current_setting('statement_timeout') AS timeout");
    const settings = await Promise.all(Array.from({ length: 10 }, () => engine.read(setting)));
    expect(settings.flat()).toEqual(Array(10).fill({ timeout: "0" }));
  });

  test("a server connection that dies behind it", async () => {
    const engine = open(bouncer.url(url));
    await engine.read(statement("SELECT 1"));
    await server.restart();
    await expect
      .poll(() => engine.read(statement("SELECT 1 AS one")).catch(() => null), { timeout: 20_000 })
      .toEqual([{ one: 1 }]);
  });
});
