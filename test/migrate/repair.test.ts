import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import sql from "sql-template-tag";
import { describe, expect, test } from "vitest";
import { repair } from "../../src/migrate/repair.js";
import { verify } from "../../src/migrate/verify.js";
import { freshDirectory, freshPostgres, freshSqlite } from "../support/databases.js";
import { filledPair, found, plant, writers } from "../support/differences.js";
import { openAt, script } from "../support/libsql.js";
import { runAt } from "../support/postgres.js";
import { databases } from "../support/strangers.js";

const planted = [
  "DELETE FROM messages WHERE id IN ('m0017', 'm0027')",
  `INSERT INTO messages (id, timestamp, sender_type, message_content) VALUES ('m0017x', 1, 'ai', 'ghost')`,
  "UPDATE messages SET message_content = 'former' WHERE id = 'm0007'",
];

describe.each([
  { letters: "--S", other: "postgres" },
  { letters: "P-S", other: "sqlite" },
] as const)("a pair with $other as the shadow", ({ letters, other }) => {
  test("is shown what is amiss, then mended, while eight writers write", async () => {
    const { pair, database } = await filledPair(letters, 200);
    const fire = writers(database, 200);
    const directory = freshDirectory();
    try {
      await plant(pair, other, ...planted);
      const shown = await repair({ env: pair.env(""), directory });
      expect(shown).toMatchObject({ applied: false, equal: false, kept: null, left: [] });
      expect(shown.tables).toMatchObject([{ table: "messages", missing: 2, extra: 1, different: 1 }]);
      expect(readdirSync(directory)).toEqual([]);
      const report = await repair({ env: pair.env(""), directory, apply: true });
      expect(report).toMatchObject({ applied: true, equal: true, left: [], verified: { equal: true } });
      expect(report.tables).toMatchObject([{ table: "messages", missing: 2, extra: 1, different: 1 }]);
      const kept = readFileSync(String(report.kept), "utf8")
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line));
      expect(kept.map(({ table, key, row }) => [table, key, row.message_content]).sort()).toEqual([
        ["messages", "m0007", "former"],
        ["messages", "m0017x", "ghost"],
      ]);
      expect(statSync(String(report.kept)).mode & 0o777).toBe(0o600);
    } finally {
      await fire.stop();
    }
    await pair.expectConverged(database);
  });

  test("is mended with the bot at rest and no relay, and by a report that is out of date", async () => {
    const { pair, database } = await filledPair(letters, 30);
    await database.close();
    const directory = freshDirectory();
    await plant(pair, other, ...planted);
    const output = join(directory, "differences.jsonl");
    expect((await verify({ env: pair.env(""), output })).equal).toBe(false);
    await plant(pair, other, "DELETE FROM messages WHERE id = 'm0017x'");
    const report = await repair({ env: pair.env(""), directory, report: output, apply: true });
    expect(report).toMatchObject({ equal: true, left: [], verified: { equal: true } });
    expect(await pair.owed(other === "postgres" ? "sqlite" : "postgres")).toBe(0);
    expect(await repair({ env: pair.env(""), directory })).toMatchObject({ equal: true, tables: [], kept: null });
  });
});

test("children and parents, and unique values under other keys, are mended together", async () => {
  const { pair, database } = await filledPair("--S", 1);
  const document = await database.documentService.createDocument({ title: "t", createdBy: "123456789012345678" });
  await database.drain();
  await plant(
    pair,
    "postgres",
    "DELETE FROM documents",
    "INSERT INTO documents (id, title, created_by) VALUES ('other', 't', 'u')",
    "INSERT INTO document_collaborators (id, document_id, user_id) VALUES ('c', 'other', 'u')",
  );
  const report = await repair({ env: pair.env(""), directory: freshDirectory(), apply: true });
  expect(report).toMatchObject({ equal: true, left: [] });
  expect(await pair.rows("postgres", "SELECT id FROM documents")).toEqual([{ id: document.id }]);
  await pair.expectEqual();
});

describe("databases that are no pair", () => {
  async function strangers(): Promise<{ sqlite: string; postgres: string; env: NodeJS.ProcessEnv; directory: string }> {
    const file = freshSqlite();
    const engine = await openAt(file, { createFile: true });
    await script(
      engine,
      `CREATE TABLE parents (id INTEGER PRIMARY KEY, name TEXT UNIQUE); CREATE TABLE children (id INTEGER PRIMARY KEY, parent INT REFERENCES parents (id));
       INSERT INTO parents VALUES (1, 'a'), (2, 'b'), (3, 'c'); INSERT INTO children VALUES (1, 1), (2, 2), (3, 3)`,
    );
    await engine.close();
    const url = await freshPostgres();
    await runAt(url, "CREATE TABLE parents (id INT PRIMARY KEY, name TEXT UNIQUE CHECK (name <> 'c'))");
    await runAt(url, "CREATE TABLE children (id INT PRIMARY KEY, parent INT REFERENCES parents (id))");
    await runAt(url, "INSERT INTO parents VALUES (1, 'a'), (5, 'b')");
    await runAt(url, "INSERT INTO children VALUES (1, 1), (7, 5)");
    return { sqlite: file, postgres: url, env: {}, directory: freshDirectory() };
  }

  test("are mended from SQLite, but for what PostgreSQL refuses, and the rest is not held up", async () => {
    const both = await strangers();
    const report = await repair({ ...both, apply: true });
    expect(report.equal).toBe(false);
    expect(report.left.map(({ table, key }) => `${table} ${key}`).sort()).toEqual(["children 3", "parents 3"]);
    for (const { reason } of report.left)
      expect(reason).toMatch(/^(a CHECK does not hold|the row that its foreign key points to is not there) \(/);
    expect(report.verified === null ? [] : found(report.verified)).toEqual(["missing 3", "missing 3"]);
    expect(await runAt(both.postgres, "SELECT * FROM parents ORDER BY id")).toEqual([
      { id: 1, name: "a" },
      { id: 2, name: "b" },
    ]);
  });

  test("are mended from PostgreSQL, where the other side's rows are removed", async () => {
    const both = await strangers();
    const report = await repair({ ...both, from: "postgres", apply: true });
    expect(report).toMatchObject({ equal: true, left: [], from: "postgres", armed: false });
    const engine = await openAt(both.sqlite);
    const rows = await engine.read(
      sql`SELECT p.id, p.name, c.id AS child FROM parents p JOIN children c ON c.parent = p.id ORDER BY p.id`,
    );
    await engine.close();
    expect(rows).toEqual([
      { id: 1, name: "a", child: 1 },
      { id: 5, name: "b", child: 7 },
    ]);
    expect(readFileSync(String(report.kept), "utf8").trimEnd().split("\n")).toHaveLength(4);
  });
});

describe("what cannot be mended is an error, and nothing is changed", () => {
  test("a report that is none, is missing, or is a folder", async () => {
    const { pair } = await filledPair("--S", 1);
    const report = join(freshDirectory(), "r.jsonl");
    writeFileSync(report, `{"table":"messages","key":"m0000","kind":"missing"}\n{"table":"messages"}\n`);
    await expect(repair({ env: pair.env(""), report })).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      details: { line: 2 },
    });
    await expect(repair({ env: pair.env(""), report: `${report}x` })).rejects.toMatchObject({ code: "FILE_UNUSABLE" });
    await expect(repair({ env: pair.env(""), report: freshDirectory() })).rejects.toMatchObject({
      code: "FILE_UNUSABLE",
    });
  });

  test("the shadow as the source, and a folder that cannot be written", async () => {
    const { pair } = await filledPair("--S", 10);
    await plant(pair, "postgres", "UPDATE messages SET username = 'x' WHERE id = 'm0007'");
    await expect(repair({ env: pair.env(""), from: "postgres", apply: true })).rejects.toMatchObject({
      code: "NOT_PRIMARY",
    });
    const file = join(freshDirectory(), "file");
    writeFileSync(file, "");
    const failed = repair({ env: pair.env(""), directory: file, apply: true });
    await expect(failed).rejects.toMatchObject({ code: "FILE_UNUSABLE" });
    expect(found(await verify({ env: pair.env("") }))).toEqual(["different m0007 username"]);
  });

  test("a pair in the middle of a flip", async () => {
    const { pair, database } = await filledPair("--S", 1);
    await database.close();
    await runAt(pair.url, `UPDATE dualdb_state SET "primary" = 'postgres'`);
    await expect(repair({ env: pair.env("") })).rejects.toMatchObject({ code: "NOT_PRIMARY" });
  });
});

test("databases that are no pair: an identity goes on behind the rows that were mended", async () => {
  const both = await databases(
    "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO t VALUES (1, 1), (7, 2)",
    "CREATE TABLE t (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, n int)",
  );
  const report = await repair({ ...both.options, directory: freshDirectory(), apply: true });
  expect(report).toMatchObject({ equal: true, left: [] });
  expect(await runAt(both.url, "INSERT INTO t DEFAULT VALUES RETURNING id")).toEqual([{ id: 8 }]);
});
