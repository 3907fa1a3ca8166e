import { once } from "node:events";
import { existsSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freshPostgres, freshSqlite, postgresServers } from "./support/databases.js";
import { until } from "./support/pair.js";
import { available, startPgBouncer } from "./support/pgbouncer.js";
import { availableBinaries, type PostgresServer, runAt, startPostgres } from "./support/postgres.js";
import { startProxy } from "./support/proxy.js";

describe.each(postgresServers)("the run's server: $name", (server) => {
  test("gives each test a database of its own", async () => {
    const [first, second] = await Promise.all([freshPostgres(server.url), freshPostgres(server.url)]);
    expect(first).not.toBe(second);
    await runAt(first, "CREATE TABLE t (i int)");
    await expect(runAt(second, "SELECT * FROM t")).rejects.toThrow();
  });
});

test("a SQLite path is fresh", () => {
  expect(existsSync(freshSqlite())).toBe(false);
  expect(freshSqlite()).not.toBe(freshSqlite());
});

describe.each(availableBinaries())("a server of its own, %s", (binaries) => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres({ binaries });
  });
  afterAll(() => server.stop());

  test("keeps its data over a crash and a restart", async () => {
    const url = await server.createDatabase();
    await runAt(url, "CREATE TABLE t (i int)");
    await runAt(url, "INSERT INTO t VALUES (1)");
    await server.crash();
    await expect(runAt(url, "SELECT 1")).rejects.toMatchObject({ code: "ECONNREFUSED" });
    await server.restart();
    expect(await runAt(url, "SELECT i FROM t")).toEqual([{ i: 1 }]);
    await server.restart();
    expect(await runAt(url, "SELECT i FROM t")).toEqual([{ i: 1 }]);
  });

  test("says nothing while it is frozen", async () => {
    const client = new pg.Client({ connectionString: server.url() });
    await client.connect();
    server.freeze();
    await expect(client.query({ text: "SELECT 1", query_timeout: 200 } as pg.QueryConfig)).rejects.toThrow("timeout");
    server.thaw();
    await client.end();
    expect(await runAt(server.url(), "SELECT 1 AS one")).toEqual([{ one: 1 }]);
  });

  test("stops while it is frozen", async () => {
    const other = await startPostgres({ binaries });
    other.freeze();
    await other.stop();
    await other.stop();
    await expect(runAt(other.url(), "SELECT 1")).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });
});

test("a server with a password refuses another", async () => {
  const server = await startPostgres({ auth: "scram-sha-256", password: "p@ss" });
  expect(await runAt(server.url(), "SELECT 1 AS one")).toEqual([{ one: 1 }]);
  await expect(runAt(server.url().replace("p%40ss", "other"), "SELECT 1")).rejects.toMatchObject({ code: "28P01" });
  await server.stop();
});

test("a server with TLS", async () => {
  const server = await startPostgres({ tls: true });
  const client = new pg.Client({
    host: "localhost",
    port: server.port,
    user: "postgres",
    ssl: { ca: server.ca ?? "" },
  });
  await client.connect();
  await client.end();
  await server.stop();
});

describe("the proxy", () => {
  const target = () => Number(new URL(postgresServers[0]?.url ?? "").port);
  const through = async (port: number) => {
    const client = new pg.Client({
      host: "127.0.0.1",
      port,
      user: "postgres",
      database: "postgres",
      connectionTimeoutMillis: 500,
    });
    client.on("error", () => {});
    await client.connect();
    return client;
  };

  test("delays, cuts, refuses, hangs", async () => {
    const proxy = await startProxy(target());
    const client = await through(proxy.port);
    proxy.delay(50);
    const begin = performance.now();
    await client.query("SELECT 1");
    expect(performance.now() - begin).toBeGreaterThan(95);
    proxy.delay(0);
    const cut = proxy.cutAfter("before-reply");
    await expect(client.query("SELECT 1")).rejects.toThrow("terminated");
    await cut;
    proxy.refuse();
    await expect(through(proxy.port)).rejects.toThrow();
    proxy.hang();
    await expect(through(proxy.port)).rejects.toThrow("timeout");
    proxy.accept();
    const other = await through(proxy.port);
    proxy.cut();
    await expect(other.query("SELECT 1")).rejects.toThrow();
    await proxy.close();
  });
});

describe("a proxy that reorders", () => {
  /** Answers each piece with itself. */
  async function echo(): Promise<{ readonly port: number; readonly accepted: string[]; close(): Promise<void> }> {
    const accepted: string[] = [];
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.on("data", (bytes) => {
        accepted.push(String(bytes));
        socket.write(bytes);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    return { port, accepted, close: () => new Promise((resolve) => server.close(() => resolve())) };
  }

  test("lets the last connection through first, and keeps the order within each", async () => {
    const server = await echo();
    const proxy = await startProxy(server.port);
    proxy.reorder(30);
    const clients = ["a", "b", "c"].map((name) => {
      const socket = connect({ port: proxy.port, host: "127.0.0.1", noDelay: true });
      let got = "";
      socket.on("data", (bytes) => {
        got += String(bytes);
      });
      socket.on("error", () => {});
      return { name, socket, got: () => got };
    });
    for (const { socket } of clients) await once(socket, "connect");
    for (let piece = 0; piece < 10; piece++) {
      for (const { name, socket } of clients) socket.write(`${name}${piece} `);
      await new Promise((resolve) => setTimeout(resolve, 2));
      if (piece === 5) proxy.reorder(0);
    }
    const whole = (name: string) => Array.from({ length: 10 }, (_, piece) => `${name}${piece} `).join("");
    await until("everything is back", () => clients.every(({ name, got }) => got().length === whole(name).length));
    for (const { name, got } of clients) expect(got()).toBe(whole(name));
    expect(server.accepted[0]).toMatch(/^c/);
    await proxy.close();
    await server.close();
  });
});

test.runIf(available)("PgBouncer shares connections", async () => {
  const server = await startPostgres();
  const bouncer = await startPgBouncer(server.port, 1);
  const [first] = await runAt(bouncer.url(server.url()), "SELECT pg_backend_pid() AS pid");
  const [second] = await runAt(bouncer.url(server.url()), "SELECT pg_backend_pid() AS pid");
  expect(first).toEqual(second);
  await bouncer.stop();
  await server.stop();
});
