import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { sql } from "../../src/index.js";
import { type CopyOptions, copy } from "../../src/migrate/copy.js";
import { repair } from "../../src/migrate/repair.js";
import { arm } from "../../src/shadow/arm.js";
import { armedPair, eightWriters } from "../support/armed-pair.js";
import { freshDirectory } from "../support/databases.js";
import { makeOldBotFile } from "../support/old-bot.js";
import { speaker, TestPair, until } from "../support/pair.js";
import { runAt } from "../support/postgres.js";

const folder = () => join(freshDirectory(), "rejects");

function run(pair: TestPair, options: CopyOptions = {}) {
  return copy({ env: {}, sqlite: pair.file, postgres: pair.url, rejects: folder(), ...options });
}

function sums({ tables }: Awaited<ReturnType<typeof run>>) {
  const sum = (of: "read" | "written" | "alreadyThere" | "setAside") =>
    tables.reduce((total, table) => total + table[of], 0);
  return { read: sum("read"), written: sum("written"), alreadyThere: sum("alreadyThere"), setAside: sum("setAside") };
}

describe("a pair", () => {
  test("gets what is owed, loses what only the target had, and owes nothing afterwards", async () => {
    const pair = await TestPair.create();
    await makeOldBotFile(pair.file, { rows: 500, dirty: false });
    await (await pair.open("---")).close();
    await pair.postgres.write([
      sql`INSERT INTO messages (id, timestamp, sender_type, message_content) VALUES ('ghost', 1, 'human', 'x'), ('old-message-3', 1, 'ai', 'older')`,
    ]);
    await arm(await pair.sqlite, pair.postgres, Date.now);
    const owed = await pair.owed("sqlite");
    const first = await run(pair);
    expect(sums(first)).toEqual({ read: owed, written: owed, alreadyThere: 0, setAside: 0 });
    expect(first).toMatchObject({ from: "sqlite", to: "postgres", paired: true, rejects: null });
    await pair.expectEqual();
    expect(await pair.owed("sqlite")).toBe(0);
    expect(sums(await run(pair))).toEqual({ read: 0, written: 0, alreadyThere: 0, setAside: 0 });
    await expect(run(pair, { from: "postgres" })).rejects.toMatchObject({ code: "NOT_PRIMARY" });
  });

  test("says that a table without a key is left out, unless others are asked for", async () => {
    const pair = await armedPair(1);
    const visits = "CREATE TABLE visits (page text)";
    await (await pair.sqlite).write([{ sql: visits, text: visits, values: [] }]);
    await pair.postgres.write([{ sql: visits, text: visits, values: [] }]);
    const left = [{ table: "visits", reason: "it has no primary key in SQLite" }];
    expect(await run(pair)).toMatchObject({ paired: true, leftOut: left });
    expect(await run(pair, { tables: ["messages"] })).toMatchObject({ paired: true, leftOut: [] });
  });

  test("keeps what it cannot take in its file, and takes it when the primary has been corrected through it", async () => {
    const pair = await armedPair(50, true);
    const rejects = folder();
    const first = await run(pair, { rejects });
    expect(sums(first).setAside).toBe(1);
    expect(first.rejects).toBe(rejects);
    expect(sums(await run(pair, { rejects }))).toMatchObject({ read: 1, setAside: 1 });
    const file = join(rejects, `${first.tables.find(({ setAside }) => setAside > 0)?.table}.jsonl`);
    const line = JSON.parse(readFileSync(file, "utf8"));
    expect(line).toMatchObject({ column: "result_count", reason: "not a number in an integer column" });
    writeFileSync(file, `${JSON.stringify({ ...line, row: { ...line.row, [line.column]: 7 } })}\n`);
    expect(sums(await run(pair, { rejects, retryRejects: true }))).toMatchObject({ read: 1, written: 1, setAside: 0 });
    expect(existsSync(file)).toBe(false);
    await pair.expectEqual();
    expect(await pair.owed("sqlite")).toBe(0);
  });

  test("waits for what PostgreSQL still owes after a roll-back, and says so", async () => {
    const pair = await armedPair(1);
    await (await pair.sqlite).write([sql`UPDATE dualdb_state SET forced = 1`]);
    await pair.postgres.write([sql`UPDATE dualdb_state SET "primary" = 'postgres'`]);
    const refused = { code: "NOT_PRIMARY", message: expect.stringContaining("comes in first") };
    await expect(run(pair)).rejects.toMatchObject(refused);
    await expect(repair({ env: pair.env("---") })).rejects.toMatchObject(refused);
  });

  test("does not take a correction for newer than what the application has written since", async () => {
    const pair = await armedPair(50, true);
    const rejects = folder();
    await (await pair.sqlite).write([
      sql`INSERT INTO queries (id, timestamp, user_id, username, query_text, result_count)
        SELECT 'gone', timestamp, user_id, username, query_text, 'many' FROM queries LIMIT 1`,
    ]);
    expect(sums(await run(pair, { rejects })).setAside).toBe(2);
    const file = join(rejects, "queries.jsonl");
    const lines = () =>
      readFileSync(file, "utf8")
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line));
    const corrected = () => lines().map((line) => JSON.stringify({ ...line, row: { ...line.row, result_count: 7 } }));
    writeFileSync(file, `${corrected().join("\n")}\n`);
    await (await pair.sqlite).write([
      sql`UPDATE queries SET query_text = 'newer' WHERE id <> 'gone' AND result_count = 'many'`,
      sql`DELETE FROM queries WHERE id = 'gone'`,
    ]);
    expect(sums(await run(pair, { rejects, retryRejects: true }))).toMatchObject({ setAside: 1 });
    expect(lines()).toMatchObject([{ row: { query_text: "newer", result_count: "many" } }]);
    expect(await pair.count("sqlite", "queries WHERE id = 'gone'")).toBe(0);
    writeFileSync(file, `${corrected().join("\n")}\n`);
    expect(sums(await run(pair, { rejects, retryRejects: true }))).toMatchObject({ written: 1, setAside: 0 });
    expect(await pair.rows("postgres", "SELECT query_text FROM queries WHERE result_count = 7")).toContainEqual({
      query_text: "newer",
    });
    await pair.expectEqual();
  });

  test.each(["---", "P--"])("all or nothing, %s", async (letters) => {
    const pair = await armedPair(700);
    const database = await pair.open(letters);
    await database.messageService.saveHumanMessage({ ...speaker, messageContent: "one more" });
    await database.write(sql`DELETE FROM messages WHERE id = 'old-message-5'`);
    const [source, target] = letters === "P--" ? (["postgres", "sqlite"] as const) : (["sqlite", "postgres"] as const);
    await database.write(
      sql`INSERT INTO messages (id, timestamp, sender_type, message_content) VALUES ('bad', 1, 'human', 'x')`,
    );
    const spoil = source === "sqlite" ? sql`UPDATE messages SET timestamp = 'never' WHERE id = 'bad'` : sql`SELECT 1`;
    await database.write(spoil);
    const before = await pair.count(target, "messages");
    const owed = await pair.owed(source);
    if (source === "sqlite") {
      const failing = run(pair, { strict: true });
      await expect(failing).rejects.toMatchObject({
        code: "CONSTRAINT_VIOLATED",
        table: "messages",
        details: { key: "bad" },
      });
      expect(await pair.count(target, "messages")).toBe(before);
      expect(await pair.owed(source)).toBe(owed);
      await database.write(sql`DELETE FROM messages WHERE id = 'bad'`);
    }
    expect(sums(await run(pair, { strict: true }))).toEqual({
      read: owed,
      written: owed,
      alreadyThere: 0,
      setAside: 0,
    });
    expect(await pair.owed(source)).toBe(0);
    await pair.expectEqual();
  });

  test("eight writers at work: exact when they have stopped", async () => {
    const pair = await armedPair(1_500);
    const database = await pair.open("---");
    const writers = eightWriters(database);
    for (let round = 0; round < 2; round++) await run(pair, { batchSize: 300 });
    expect(Math.min(...(await writers.stop()))).toBeGreaterThan(0);
    await run(pair);
    expect(await pair.owed("sqlite")).toBe(0);
    await pair.expectEqual();
  });

  test("PostgreSQL primary: its rows come back to SQLite, and no other way", async () => {
    const pair = await armedPair(300);
    const database = await pair.open("P--");
    await database.messageService.saveHumanMessage({ ...speaker, messageContent: "on PostgreSQL" });
    await database.write(sql`DELETE FROM messages WHERE id = 'old-message-5'`);
    expect(sums(await run(pair))).toEqual({ read: 2, written: 2, alreadyThere: 0, setAside: 0 });
    await pair.expectEqual();
    await expect(run(pair, { from: "sqlite" })).rejects.toMatchObject({ code: "NOT_PRIMARY" });
  });

  test("somebody asks for an end while the mirror's lock is waited for: it comes at once, and nothing has happened", async () => {
    const pair = await armedPair(50);
    const controller = new AbortController();
    const before = await pair.owed("sqlite");
    await pair.postgres.transaction({ mode: "write" }, async (holder) => {
      await holder.script("SELECT 1 FROM dualdb_state FOR UPDATE");
      const copying = run(pair, { signal: controller.signal });
      const waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
      await until("it waits for the lock", async () => (await runAt(pair.url, waiting)).length > 0);
      controller.abort();
      await expect(copying).rejects.toMatchObject({ code: "INTERRUPTED" });
    });
    expect(await pair.owed("sqlite")).toBe(before);
    await run(pair);
    await pair.expectEqual();
  });

  test("somebody asks for an end: what is done stays done", async () => {
    const pair = await armedPair(1_000);
    const controller = new AbortController();
    let steps = 0;
    const onProgress = () => {
      if (++steps === 5) controller.abort();
    };
    const before = await pair.owed("sqlite");
    await expect(run(pair, { batchSize: 100, onProgress, signal: controller.signal })).rejects.toMatchObject({
      code: "INTERRUPTED",
    });
    const left = await pair.owed("sqlite");
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThan(before);
    await run(pair);
    await pair.expectEqual();
  });
});
