import { existsSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { migrationStatus } from "../../src/migrate/status.js";
import { freshPostgres, freshSqlite } from "../support/databases.js";
import { openAt, script } from "../support/libsql.js";
import { speaker, TestPair } from "../support/pair.js";
import { runAt } from "../support/postgres.js";
import { travelledPair } from "../support/travel.js";

/** What would have moved if anything had been written. */
async function fingerprint(pair: TestPair) {
  const own = "(SELECT string_agg(s::text, ',') FROM dualdb_state s)";
  const [row] = await runAt(
    pair.url,
    `SELECT ${own} AS state, (SELECT count(*) FROM dualdb_runs) AS runs, (SELECT sum(total) FROM dualdb_counters) AS counted,
      (SELECT count(*) FROM pg_class) AS relations, (SELECT last_value FROM dualdb_version) AS version`,
  );
  return [
    row,
    await pair.rows("sqlite", "SELECT * FROM dualdb_state"),
    await pair.rows("sqlite", "PRAGMA schema_version"),
  ];
}

const nowhere = "postgres://user:hunter2@127.0.0.1:1/nothing";

describe("migrationStatus", () => {
  test("tells the whole of a shadowed pair, as JSON, and changes nothing", async () => {
    const pair = await travelledPair();
    const before = await fingerprint(pair);
    const status = await migrationStatus({ env: pair.env("--S") });
    expect(await fingerprint(pair)).toEqual(before);
    expect(JSON.parse(JSON.stringify(status))).toEqual(status);
    expect(status).toMatchObject({
      flags: { primary: false, read: false, shadow: true },
      requested: "shadow",
      step: { route: "shadow", counters: [{ kind: "count", name: "mirrored", total: 5 }] },
      primary: "sqlite",
      finalized: false,
      sqlite: { reachable: true, journal: { entries: 0, oldest: null } },
      postgres: { reachable: true, state: { primary: "sqlite" } },
      unmirrored: [],
      conflicts: [],
      conflictCount: 0,
      runs: [{ command: "verify", outcome: "done" }],
      latency: { sqlite: { count: expect.any(Number) }, postgres: { count: 13 } },
      rollBack: { possible: true, lost: 0, rows: 0, text: "nothing to do: SQLite is primary" },
      next: { gate: "read", set: { USE_POSTGRES_SHADOW: "true", USE_POSTGRES_READ: "true" }, ready: true, blocked: [] },
    });
    expect(status.tables).toContainEqual({ table: "messages", sqlite: 3, postgres: 3, owed: 0 });
    expect(status.step?.since).toBeLessThanOrEqual(status.at);
  });

  test("says what a roll-back costs, and what is owed, with PostgreSQL primary", async () => {
    const pair = await travelledPair("P-S");
    const bot = await pair.open("P--");
    for (let index = 0; index < 14; index++)
      await bot.messageService.saveHumanMessage({ ...speaker, messageContent: `row ${index}` });
    await bot.close();
    const status = await migrationStatus({ env: pair.env("P--") });
    expect(status).toMatchObject({ primary: "postgres", step: { route: "postgres" }, rollBack: { lost: 0, rows: 14 } });
    expect(status.since).toBeGreaterThan(Date.now() - 60_000);
    expect(status.rollBack.text).toMatch(/^0 lost, 14 rows, about \d+ ms$/);
    expect(status.tables).toContainEqual({ table: "messages", sqlite: 3, postgres: 17, owed: 14 });
    expect(status.next).toMatchObject({ gate: null, set: { USE_POSTGRES_SHADOW: "true" } });
  });

  test("says that a roll-back would be refused, and for which row", async () => {
    const pair = await travelledPair("P-S");
    await runAt(pair.url, `INSERT INTO dualdb_journal VALUES ('messages', 'm1', 1, ${Date.now()}, 9, 'VALUE_REFUSED')`);
    const { rollBack, postgres } = await migrationStatus({ env: pair.env("P-S") });
    expect(rollBack).toMatchObject({
      rows: 1,
      estimatedMs: null,
      text: expect.stringContaining("SQLite refuses 1 row"),
    });
    expect(postgres).toMatchObject({
      refused: [{ table: "messages", key: "m1", attempts: 9, lastError: "VALUE_REFUSED" }],
    });
  });

  test("tells what it can while PostgreSQL is away: what a roll-back leaves behind, and no password", async () => {
    const pair = await travelledPair("P-S");
    const status = await migrationStatus({ env: pair.env("P-S"), postgres: nowhere });
    expect(status).toMatchObject({
      primary: "postgres",
      postgres: { reachable: false, error: { code: "DATABASE_UNAVAILABLE" } },
      rollBack: { rows: null, text: expect.stringContaining("comes in when it is back") },
      next: { ready: true, set: {} },
    });
    expect(status.tables).toContainEqual({ table: "messages", sqlite: 3, postgres: null, owed: 0 });
    expect(JSON.stringify(status)).not.toContain("hunter2");
  });

  test("looks at a PostgreSQL that is primary although SQLite's file is gone, and does not make one", async () => {
    const pair = await travelledPair("P-S");
    const sqlite = freshSqlite();
    const status = await migrationStatus({ env: pair.env("P-S"), sqlite });
    expect(status).toMatchObject({
      primary: "postgres",
      sqlite: { reachable: false, error: { code: "DATABASE_UNAVAILABLE" } },
    });
    expect(status.tables).toContainEqual({ table: "messages", sqlite: null, postgres: 3, owed: 0 });
    expect(existsSync(sqlite)).toBe(false);
  });

  test("before anything has been moved it says what to begin with", async () => {
    const pair = await TestPair.create({ migrated: false });
    await (await pair.open("---")).close();
    const alone = await migrationStatus({ env: { SQLITE_DB_PATH: pair.file } });
    expect(alone).toMatchObject({
      postgres: null,
      databases: { postgres: null },
      next: { text: expect.stringContaining("DATABASE_URL") },
    });
    const empty = await migrationStatus({ env: pair.env("---") });
    expect(empty).toMatchObject({ primary: null, step: null, next: { command: "npx dualdb migrate" } });
    expect(empty.unmirrored).toHaveLength(6);
  });

  test.each([
    ["P-S", "postgres", "restart the application"],
    ["--S", "read", "answer reads"],
    ["-RS", "postgres", "primary"],
    ["---", "shadow", "follow"],
  ])("with %s on a pair whose primary is SQLite the next gate is %s", async (letters, gate, text) => {
    const pair = await travelledPair();
    expect((await migrationStatus({ env: pair.env(letters) })).next).toMatchObject({
      gate,
      text: expect.stringContaining(text),
    });
  });

  test.each([
    ["---", null, "rolls back"],
    ["P-S", "finalize", "End the way back"],
  ])("with %s on a pair whose primary is PostgreSQL it is %s", async (letters, gate, text) => {
    const pair = await travelledPair("P-S");
    expect((await migrationStatus({ env: pair.env(letters) })).next).toMatchObject({
      gate,
      text: expect.stringContaining(text),
    });
  });

  test("samples the reads of a table with a key that is no UTF-8", async () => {
    const pair = await TestPair.create({ migrated: false });
    const text = "CREATE TABLE notes (name TEXT PRIMARY KEY)";
    await runAt(pair.url, text);
    const sqlite = await openAt(pair.file);
    await script(sqlite, `${text}; INSERT INTO notes VALUES ('plain'), (CAST(x'68e96c' AS TEXT))`);
    await sqlite.close();
    const { latency } = await migrationStatus({ env: pair.env("---") });
    expect(latency.sqlite).toMatchObject({ count: 11 });
  });

  test("is refused for a file that is not there, which is not made, and for databases of other partners", async () => {
    const env = { SQLITE_DB_PATH: freshSqlite(), DATABASE_URL: await freshPostgres() };
    await expect(migrationStatus({ env })).rejects.toMatchObject({ code: "DATABASE_UNAVAILABLE" });
    expect(existsSync(env.SQLITE_DB_PATH)).toBe(false);
    const [one, other] = [await travelledPair(), await travelledPair()];
    const { next } = await migrationStatus({ env: one.env("--S"), postgres: other.url });
    expect(next.ready).toBe(false);
    expect(next.blocked).toContainEqual(expect.objectContaining({ name: "pair", ok: false }));
  });
});
