import { createClient } from "@libsql/client";
import { describe, expect, test } from "vitest";
import type { Engine, Row } from "../../src/engines/engine.js";
import { silentLogger } from "../../src/logger.js";
import { migrate } from "../../src/schema/migrations.js";
import { freshSqlite } from "../support/databases.js";
import { dirtyIds, makeOldBotFile } from "../support/old-bot.js";
import { openTarget } from "./sides.js";

function run(engine: Engine) {
  return migrate({ engine, timeoutMs: 30_000, logger: silentLogger });
}

async function freshEngine(): Promise<Engine> {
  const engine = await openTarget({ SQLITE_DB_PATH: freshSqlite() });
  await run(engine);
  return engine;
}

function query(engine: Engine, text: string): Promise<Row[]> {
  return engine.read({ sql: text, text, values: [] });
}

function execute(engine: Engine, ...texts: string[]) {
  return engine.write(texts.map((text) => ({ sql: text, text, values: [] })));
}

/** The ids of the messages that the index finds for a word, checked against its rows. */
async function found(engine: Engine, word: string): Promise<unknown[]> {
  const rows = await query(
    engine,
    `SELECT id FROM messages WHERE rowid IN (SELECT rowid FROM messages_fts WHERE messages_fts MATCH '"${word}"') ORDER BY id`,
  );
  return rows.map(({ id }) => id);
}

/** FTS5's own comparison of the index with the table; throws where they differ. */
function checkIndex(engine: Engine) {
  return execute(engine, "INSERT INTO messages_fts (messages_fts, rank) VALUES ('integrity-check', 1)");
}

const insert = (verb: string, id: string, content: string, more = "") =>
  `${verb} INTO messages (id, timestamp, sender_type, message_content) VALUES ('${id}', 1, 'human', '${content}') ${more}`;
const columnsOf = "SELECT name FROM pragma_table_info('messages')";
const allRows = "SELECT count(*) AS messages, (SELECT count(*) FROM user_profiles) AS profiles FROM messages";

describe("over an existing bot's file", () => {
  test("rows and columns stay, the full-text index and its triggers are made anew", async () => {
    const path = freshSqlite();
    await makeOldBotFile(path);
    const engine = await openTarget({ SQLITE_DB_PATH: path });
    const before = [await query(engine, columnsOf), await query(engine, allRows)];
    expect(await found(engine, "run")).toEqual([]);
    expect((await run(engine)).applied).toHaveLength(2);
    expect([await query(engine, columnsOf), await query(engine, allRows)]).toEqual(before);
    expect(before[0]?.at(-1)).toEqual({ name: "id" });
    expect(await found(engine, "run")).toHaveLength(20);
    const triggers = await query(
      engine,
      "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'messages' ORDER BY name",
    );
    const names = ["messages_fts_before_insert", "messages_fts_delete", "messages_fts_insert", "messages_fts_update"];
    expect(triggers.map(({ name }) => name)).toEqual(names);
    await execute(engine, insert("INSERT", "new", "jumping"), `DELETE FROM messages WHERE id = '${dirtyIds.nul}'`);
    expect(await found(engine, "jump")).toEqual(["new"]);
    await checkIndex(engine);
  });

  test("rows that PostgreSQL would not take are no hindrance here", async () => {
    const path = freshSqlite();
    await makeOldBotFile(path, { rows: 1 });
    const engine = await openTarget({ SQLITE_DB_PATH: path });
    await run(engine);
    const ids = await query(engine, "SELECT id FROM messages UNION ALL SELECT id FROM queries");
    expect(ids.map(({ id }) => id)).toEqual(expect.arrayContaining(Object.values(dirtyIds)));
    await execute(engine, "UPDATE messages SET message_content = message_content || ' touched'");
    expect(await found(engine, "touch")).toHaveLength(8);
    await checkIndex(engine);
  });

  test("the bot may have it open meanwhile", async () => {
    const path = freshSqlite();
    await makeOldBotFile(path, { dirty: false });
    const bot = createClient({ url: `file:${path}`, concurrency: 1 });
    await bot.execute("SELECT count(*) FROM messages");
    const engine = await openTarget({ SQLITE_DB_PATH: path });
    await run(engine);
    await bot.execute(insert("INSERT", "late", "swimming"));
    bot.close();
    expect(await found(engine, "swim")).toEqual(["late"]);
    await checkIndex(engine);
  });
});

describe("the full-text index follows the rows", () => {
  const upsert = "ON CONFLICT (id) DO UPDATE SET message_content = excluded.message_content";
  const ways: [string, string, string[]][] = [
    ["INSERT OR REPLACE", insert("INSERT OR REPLACE", "a", "second"), ["a"]],
    ["REPLACE", insert("REPLACE", "a", "second"), ["a"]],
    ["an upsert", insert("INSERT", "a", "second", upsert), ["a"]],
    [
      "an upsert that leaves the text alone",
      insert("INSERT", "a", "x", "ON CONFLICT (id) DO UPDATE SET username = 'second'"),
      ["a"],
    ],
    ["UPDATE", "UPDATE messages SET message_content = 'second' WHERE id = 'a'", ["a"]],
    ["UPDATE OR REPLACE", "UPDATE OR REPLACE messages SET message_content = 'second' WHERE id = 'a'", ["a"]],
    ["INSERT OR IGNORE", insert("INSERT OR IGNORE", "a", "second"), []],
    ["DO NOTHING", insert("INSERT", "a", "second", "ON CONFLICT (id) DO NOTHING"), []],
    ["DELETE", "DELETE FROM messages WHERE id = 'a'", []],
  ];

  test.each(ways)("%s", async (_title, change, second) => {
    const engine = await freshEngine();
    await execute(engine, insert("INSERT", "b", "other"), insert("INSERT", "a", "first"));
    await execute(engine, change);
    expect(await found(engine, "second")).toEqual(second);
    await checkIndex(engine);
    await execute(engine, insert("INSERT OR IGNORE", "a", "ignored"), insert("INSERT OR REPLACE", "a", "third"));
    expect([await found(engine, "first"), await found(engine, "second"), await found(engine, "third")]).toEqual([
      [],
      [],
      ["a"],
    ]);
    await checkIndex(engine);
    await execute(engine, "DELETE FROM messages WHERE id = 'a'", insert("INSERT", "a", "fourth"));
    expect([await found(engine, "third"), await found(engine, "fourth")]).toEqual([[], ["a"]]);
    await checkIndex(engine);
  });

  test("with recursive triggers, which report the row that REPLACE evicts", async () => {
    const engine = await freshEngine();
    await execute(engine, insert("INSERT", "a", "first"));
    await execute(engine, "PRAGMA recursive_triggers = ON");
    await execute(engine, insert("REPLACE", "a", "second"));
    expect([await found(engine, "first"), await found(engine, "second")]).toEqual([[], ["a"]]);
    await checkIndex(engine);
  });

  test("a change that is rolled back changes nothing", async () => {
    const engine = await freshEngine();
    await execute(engine, insert("INSERT", "a", "first"));
    const changes = [insert("REPLACE", "a", "second"), insert("INSERT", "a", "third")];
    await expect(execute(engine, ...changes)).rejects.toMatchObject({ code: "CONSTRAINT_VIOLATED" });
    expect(await found(engine, "first")).toEqual(["a"]);
    await checkIndex(engine);
  });

  test("diacritics count, and words are stemmed", async () => {
    const engine = await freshEngine();
    await execute(engine, insert("INSERT", "a", "cafés are running"));
    expect([await found(engine, "run"), await found(engine, "café"), await found(engine, "cafe")]).toEqual([
      ["a"],
      ["a"],
      [],
    ]);
  });
});

test("without the trigger that this takes, the comparison finds stale words", async () => {
  const engine = await freshEngine();
  await execute(engine, "DROP TRIGGER messages_fts_before_insert", insert("INSERT", "a", "first"));
  await execute(engine, insert("REPLACE", "a", "second"));
  await expect(checkIndex(engine)).rejects.toThrow();
});

describe("rowids that change", () => {
  async function withGaps(path: string): Promise<Engine> {
    await makeOldBotFile(path, { dirty: false });
    const engine = await openTarget({ SQLITE_DB_PATH: path });
    await run(engine);
    await execute(engine, "DELETE FROM messages WHERE rowid % 3 = 0");
    return engine;
  }

  test("VACUUM keeps them", async () => {
    const engine = await withGaps(freshSqlite());
    const before = await query(engine, "SELECT rowid, id FROM messages ORDER BY rowid");
    await execute(engine, "VACUUM");
    expect(await query(engine, "SELECT rowid, id FROM messages ORDER BY rowid")).toEqual(before);
    expect((await run(engine)).searchRebuilt).toBe(false);
    await checkIndex(engine);
  });

  test("after a dump and a restore the index is rebuilt, once", async () => {
    const engine = await withGaps(freshSqlite());
    await execute(
      engine,
      "CREATE TABLE dump AS SELECT * FROM messages",
      "DROP TRIGGER messages_fts_delete",
      "DROP TRIGGER messages_fts_insert",
      "DELETE FROM messages",
      "INSERT INTO messages SELECT * FROM dump",
    );
    await expect(checkIndex(engine)).rejects.toThrow();
    expect((await run(engine)).searchRebuilt).toBe(true);
    await checkIndex(engine);
    expect((await run(engine)).searchRebuilt).toBe(false);
  });
});
