import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createMigrationHandler, type MigrationHandler, type RunReport } from "../../src/http.js";
import { type CopyOptions, copy } from "../../src/migrate/copy.js";
import { verify } from "../../src/migrate/verify.js";
import { armedPair, eightWriters } from "../support/armed-pair.js";
import { freshDirectory, freshSqlite } from "../support/databases.js";
import { openAt, script } from "../support/libsql.js";
import { until } from "../support/pair.js";
import { available, type PgBouncer, startPgBouncer } from "../support/pgbouncer.js";
import { type PostgresServer, runAt, startPostgres } from "../support/postgres.js";

if (!available) process.stderr.write("left out, since PgBouncer is not installed: copy and verify behind it\n");

describe.runIf(available)("behind PgBouncer in transaction mode", () => {
  let server: PostgresServer;
  let bouncer: PgBouncer;
  beforeAll(async () => {
    server = await startPostgres();
    bouncer = await startPgBouncer(server.port, 3);
  });
  afterAll(async () => {
    await bouncer.stop();
    await server.stop();
  });

  const through = (sqlite: string, url: string, more: CopyOptions = {}) =>
    copy({ env: {}, sqlite, postgres: bouncer.url(url), rejects: freshDirectory(), ...more });

  test.each(["---", "--S"])(
    "a pair under eight writers, %s: exact when they have stopped, and equal",
    async (letters) => {
      const pair = await armedPair(600, false, server.url());
      const database = await pair.open(letters, { env: { DATABASE_URL: bouncer.url(pair.url) } });
      const writers = eightWriters(database);
      const copies = await Promise.all([
        through(pair.file, pair.url, { batchSize: 200 }),
        through(pair.file, pair.url, { batchSize: 300 }),
      ]);
      expect(Math.min(...(await writers.stop()))).toBeGreaterThan(0);
      expect(copies.map(({ rejects }) => rejects)).toEqual([null, null]);
      await through(pair.file, pair.url);
      expect(await pair.owed("sqlite")).toBe(0);
      expect(await verify({ env: {}, sqlite: pair.file, postgres: bouncer.url(pair.url) })).toMatchObject({
        equal: true,
      });
      await database.close();
      await pair.expectEqual();
      await expectNothingLeft(pair.url);
    },
  );

  test.each([false, true])("two databases that are no pair, there and back; all or nothing: %s", async (strict) => {
    const url = await server.createDatabase();
    const file = freshSqlite();
    const engine = await openAt(file);
    await script(
      engine,
      `CREATE TABLE people (id INTEGER PRIMARY KEY, boss INTEGER REFERENCES people, team INTEGER REFERENCES teams, name TEXT);
       CREATE TABLE teams (id INTEGER PRIMARY KEY, lead INTEGER REFERENCES people); CREATE TABLE log (line TEXT);
       CREATE TABLE plain (id INTEGER PRIMARY KEY, n REAL, raw BLOB);
       PRAGMA defer_foreign_keys = ON; WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 600)
       INSERT INTO people SELECT i, 601 - i, 1, 'p' || i FROM n; INSERT INTO teams VALUES (1, 600);
       INSERT INTO log SELECT name FROM people; INSERT INTO plain SELECT id, id / 3.0, randomblob(9) FROM people`,
    );
    await engine.close();
    const forward = await through(file, url, { strict, createTables: true, batchSize: 100 });
    expect(forward.tables.map(({ table, written }) => `${table} ${written}`).sort()).toEqual([
      "log 600",
      "people 600",
      "plain 600",
      "teams 1",
    ]);
    const back = freshSqlite();
    await through(back, url, { strict, from: "postgres", createTables: true, batchSize: 100 });
    for (const sqlite of [file, back])
      expect(await verify({ env: {}, sqlite, postgres: bouncer.url(url) })).toMatchObject({ equal: true });
    await expectNothingLeft(url);
  });

  test("a run over HTTP is one for all processes, and leaves no lock of a session", async () => {
    const pair = await armedPair(20, false, server.url());
    const env = { MIGRATION_TOKEN: "secret", SQLITE_DB_PATH: pair.file, DATABASE_URL: bouncer.url(pair.url) };
    const [first, second] = [createMigrationHandler({ env }), createMigrationHandler({ env })];
    const headers = { authorization: "Bearer secret" };
    const ask = async (handler: MigrationHandler, method: string) =>
      handler(new Request("http://localhost/", { method, headers }));
    // The copy waits for this lock.
    await pair.postgres.transaction({ mode: "write", timeoutMs: 60_000 }, async (transaction) => {
      await transaction.script("SELECT 1 FROM dualdb_state FOR UPDATE");
      expect((await ask(first, "POST")).status).toBe(202);
      expect((await ask(second, "POST")).status).toBe(409);
    });
    await until("the other process sees the end", async () => {
      const { run } = (await (await ask(second, "GET")).json()) as { readonly run: RunReport | null };
      return run?.state === "done" && !run.here;
    });
    await expectNothingLeft(pair.url);
  });

  /** Whoever gets these connections next finds them as they were: no table, lock, statement or setting of a session. */
  async function expectNothingLeft(url: string): Promise<void> {
    const sessions = await runAt(
      url,
      `SELECT l.mode FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
         WHERE a.datname = current_database() AND a.backend_type = 'client backend' AND a.pid <> pg_backend_pid()`,
    );
    expect(sessions).toEqual([]);
    const left = await runAt(
      bouncer.url(url),
      `SELECT name FROM pg_settings WHERE source = 'session' AND name <> 'application_name' UNION ALL SELECT name FROM pg_prepared_statements
       UNION ALL SELECT relname::text FROM pg_class WHERE relname LIKE 'dualdb_stage%'`,
    );
    expect(left).toEqual([]);
  }
});
