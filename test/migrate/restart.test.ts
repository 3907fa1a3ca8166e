import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { statement } from "../../src/engines/engine.js";
import { openPostgres } from "../../src/engines/postgres.js";
import { codes, DualDbError, hasCode } from "../../src/errors.js";
import { silentLogger } from "../../src/logger.js";
import { type CopyOptions, copy } from "../../src/migrate/copy.js";
import type { Progress } from "../../src/migrate/progress.js";
import { lastRuns } from "../../src/migrate/runs.js";
import { verify } from "../../src/migrate/verify.js";
import { armedPair, eightWriters } from "../support/armed-pair.js";
import { commandLine } from "../support/command-line.js";
import { freshDirectory, freshSqlite } from "../support/databases.js";
import { filledPair, found, plant, writers } from "../support/differences.js";
import { openAt, script } from "../support/libsql.js";
import { type TestPair, until } from "../support/pair.js";
import { type PostgresServer, runAt, startPostgres } from "../support/postgres.js";
import { configOf } from "../support/postgres-config.js";

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

/** Restarts PostgreSQL at the first progress that is wanted. */
function restartAt(isWanted: (progress: Progress) => boolean) {
  let restarting: Promise<void> | null = null;
  const onProgress = (progress: Progress) => {
    if (restarting === null && isWanted(progress)) restarting = server.restart();
  };
  return { onProgress, done: async () => expect(await (restarting ?? "it never came to that")).toBeUndefined() };
}

/** What a run comes to that loses PostgreSQL: its result, or the error that says so. */
async function outcomeOf<T>(run: Promise<T>): Promise<T | DualDbError> {
  try {
    return await run;
  } catch (error) {
    if (!hasCode(error, "DATABASE_UNAVAILABLE", "OUTCOME_UNKNOWN")) throw error;
    expect(codes[error.code].exit).toBe(1);
    return error;
  }
}

describe("PostgreSQL restarts during a verify under eight writers", () => {
  test("in the rows or in the checks: an error or equal, and the next one is equal", async () => {
    const { pair, database } = await filledPair("--S", 700, { server: server.url() });
    const fire = writers(database, 700);
    const moments: ((progress: Progress) => boolean)[] = [
      ({ table }) => table === "documents",
      ({ table, rows }) => table === "messages" && rows > 300,
      ({ step }) => step === "check",
    ];
    for (const moment of moments) {
      const { onProgress, done } = restartAt(moment);
      const outcome = await outcomeOf(verify({ env: pair.env(""), onProgress }));
      await done();
      if (!hasCode(outcome, "DATABASE_UNAVAILABLE", "OUTCOME_UNKNOWN")) expect(outcome).toMatchObject({ equal: true });
    }
    expect(await verify({ env: pair.env("") })).toMatchObject({ equal: true });
    expect(await fire.stop()).toBeGreaterThan(50);
    await pair.expectConverged(database);
  });

  test("while it looks again at a row: status 1, nothing is remembered, and the next one tells", async () => {
    const { pair, database } = await filledPair("--S", 500, { server: server.url() });
    await plant(pair, "postgres", "DELETE FROM messages WHERE id = 'm0017'");
    const fire = writers(database, 500);
    const holding = holdLock(pair);
    const verifying = commandLine(["verify", "--json"], { env: pair.env("") });
    await until("the look and the relay wait for the lock", async () => (await waiting(pair)) === 2);
    await server.restart();
    expect(await holding).toMatchObject({ code: "DATABASE_UNAVAILABLE" });
    const { status, out, err } = await verifying;
    expect({ status, err }).toEqual({ status: 1, err: "" });
    expect(JSON.parse(out)).toMatchObject({ ok: false, error: { code: "DATABASE_UNAVAILABLE" } });
    expect((await pair.postgres.transaction({ mode: "read" }, lastRuns)).map(({ command }) => command)).toEqual([]);
    expect(found(await verify({ env: pair.env("") }))).toEqual(["missing m0017"]);
    expect(await fire.stop()).toBeGreaterThan(50);
  });

  /** Holds the mirror's lock until the connection breaks off. */
  function holdLock(pair: TestPair): Promise<unknown> {
    const locked = pair.postgres.transaction({ mode: "write", timeoutMs: 60_000 }, (transaction) =>
      transaction.script("SELECT 1 FROM dualdb_state FOR UPDATE; SELECT pg_sleep(60)"),
    );
    return locked.catch((error: unknown) => error);
  }

  async function waiting(pair: TestPair): Promise<number> {
    const text = `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
    return (await runAt(pair.url, text)).length;
  }
});

describe("PostgreSQL restarts during a copy", () => {
  test("of a pair under eight writers: an error, and the next ones end exact", async () => {
    const pair = await armedPair(400, false, server.url());
    const database = await pair.open("---");
    const fire = eightWriters(database);
    const run = (more: Pick<CopyOptions, "onProgress"> = {}) =>
      copy({ env: {}, sqlite: pair.file, postgres: pair.url, rejects: freshDirectory(), batchSize: 50, ...more });
    const { onProgress, done } = restartAt(({ table, rows }) => table === "messages" && rows >= 100);
    expect(await outcomeOf(run({ onProgress }))).toBeInstanceOf(DualDbError);
    await done();
    await run();
    expect(Math.min(...(await fire.stop()))).toBeGreaterThan(0);
    await run();
    expect(await pair.owed("sqlite")).toBe(0);
    await pair.expectEqual();
  });

  test.each(["sqlite", "postgres"] as const)(
    "from %s, of no pair, under writers: an error, and the next one ends exact",
    async (from) => {
      const [file, url] = [freshSqlite(), await server.createDatabase()];
      const table = "CREATE TABLE items (id BIGINT PRIMARY KEY, name TEXT)";
      const rows =
        "INSERT INTO items WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT i, 'item ' || i FROM n";
      const engine = await openAt(file);
      await script(engine, from === "sqlite" ? `${table}; ${rows}` : table);
      await engine.close();
      await runAt(url, from === "postgres" ? `${table}; ${rows}` : table);
      const run = (more: Pick<CopyOptions, "onProgress"> = {}) =>
        copy({ env: {}, sqlite: file, postgres: url, from, batchSize: 500, rejects: freshDirectory(), ...more });
      const { onProgress, done } = restartAt((progress) => progress.rows >= 2_000);
      const fire = from === "sqlite" ? itemWriter(file) : itemWriter(file, url);
      expect(await outcomeOf(run({ onProgress }))).toBeInstanceOf(DualDbError);
      await done();
      await run();
      const written = await fire.stop();
      expect(written).toBeGreaterThan(10);
      const [again] = (await run()).tables;
      expect(again).toMatchObject({ read: 20_000 + written, setAside: 0, extra: 0 });
      expect(again?.alreadyThere).toBeGreaterThanOrEqual(18_000);
      expect(await verify({ env: {}, sqlite: file, postgres: url })).toMatchObject({ equal: true });
    },
  );
});

/** Inserts items one after the other, on PostgreSQL where a URL is given, and changes an old one each time, until `stop`, which tells how many. */
function itemWriter(file: string, url?: string): { stop(): Promise<number> } {
  let isOver = false;
  const running = (async () => {
    const engine =
      url === undefined ? await openAt(file) : openPostgres({ config: configOf(url), logger: silentLogger });
    let written = 0;
    while (!isOver) {
      const insert = `INSERT INTO items VALUES (${30_000 + written}, 'new')`;
      const change = `UPDATE items SET name = 'changed ${written}' WHERE id = ${(written * 37) % 20_000 || 1}`;
      // PostgreSQL may be away, or go while it commits.
      const isDone = await engine.write([statement(insert), statement(change)]).then(
        () => true,
        (error: unknown) => {
          if (!hasCode(error, "DATABASE_UNAVAILABLE", "OUTCOME_UNKNOWN", "CONSTRAINT_VIOLATED")) throw error;
          return hasCode(error, "CONSTRAINT_VIOLATED");
        },
      );
      if (isDone) written++;
      await delay(2);
    }
    await engine.close();
    return written;
  })();
  running.catch(() => undefined);
  return {
    stop() {
      isOver = true;
      return running;
    },
  };
}
