import { describe, expect, test } from "vitest";
import type { DualDatabase } from "../../src/database.js";
import { sql } from "../../src/index.js";
import { copy } from "../../src/migrate/copy.js";
import { TestPair, until } from "../support/pair.js";
import { runAt } from "../support/postgres.js";

const addColumn = "ALTER TABLE documents ADD COLUMN tags TEXT";

async function onBoth(pair: TestPair, sqlite: string, postgres = sqlite): Promise<void> {
  await (await pair.sqlite).transaction({ mode: "write" }, (transaction) => transaction.script(sqlite));
  await runAt(pair.url, postgres);
}

async function withDocument(letters: string) {
  const pair = await TestPair.create();
  const database = await pair.open(letters);
  const { id } = await database.documentService.createDocument({ title: "t", createdBy: "123456789012345678" });
  await database.drain();
  return { pair, database, id };
}

async function tagsOn(pair: TestPair, id: string) {
  const of = async (side: "sqlite" | "postgres") =>
    (await pair.rows(side, `SELECT tags FROM documents WHERE id = '${id}'`))[0]?.tags;
  return { sqlite: await of("sqlite"), postgres: await of("postgres") };
}

function tag(database: DualDatabase, id: string, tags: string) {
  return database.write(sql`UPDATE documents SET tags = ${tags} WHERE id = ${id}`);
}

describe("a column that both sides are given while a relay runs is mirrored at once", () => {
  test.each([["--S"], ["P-S"]])("with the flags %s", async (letters) => {
    const { pair, database, id } = await withDocument(letters);
    await onBoth(pair, addColumn);
    await tag(database, id, "important");
    await pair.expectConverged(database);
    expect(await tagsOn(pair, id)).toEqual({ sqlite: "important", postgres: "important" });
  });

  test("by every process, and a fenced read does not miss it", async () => {
    const { pair, database, id } = await withDocument("-RS");
    const other = await pair.open("-RS");
    await onBoth(pair, addColumn);
    for (let round = 0; round < 20; round++) {
      await tag(round % 2 === 0 ? database : other, id, `round ${round}`);
      for (const reader of [database, other])
        expect(await reader.read(sql`SELECT tags FROM documents WHERE id = ${id}`)).toEqual([
          { tags: `round ${round}` },
        ]);
    }
    await pair.expectConverged(database);
  });

  test.each([
    ["SQLite first", "--S"],
    ["SQLite first, and written to before PostgreSQL has it", "--S"],
    ["PostgreSQL first, and written to before SQLite has it", "P-S"],
  ])("%s", async (order, letters) => {
    const { pair, database, id } = await withDocument(letters);
    const first = letters === "P-S" ? pair.postgres : await pair.sqlite;
    const second = letters === "P-S" ? await pair.sqlite : pair.postgres;
    await first.transaction({ mode: "write" }, (transaction) => transaction.script(addColumn));
    if (order.includes("written")) {
      await tag(database, id, "early");
      await until("the relay has met it", async () => (await database.status()).problem?.code === "SCHEMA_MISSING");
      expect((await database.status()).problem?.message).toContain("tags");
    }
    await second.transaction({ mode: "write" }, (transaction) => transaction.script(addColumn));
    if (!order.includes("written")) await tag(database, id, "late");
    await pair.expectConverged(database);
    const tags = order.includes("written") ? "early" : "late";
    expect(await tagsOn(pair, id)).toEqual({ sqlite: tags, postgres: tags });
  });
});

describe("a table that both sides are given while a relay runs", () => {
  const table = "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, body TEXT)";

  test.each([
    ["--S", "SQLite first"],
    ["--S", "PostgreSQL first"],
    ["P-S", "SQLite first"],
  ])("is armed and mirrored by itself, with the flags %s, %s", async (letters, order) => {
    const { pair, database } = await withDocument(letters);
    const there = table.replace("TEXT NOT", 'TEXT COLLATE "C" NOT');
    const left = async () =>
      (await pair.sqlite).transaction({ mode: "write" }, (transaction) => transaction.script(table));
    if (order === "SQLite first") await left();
    await runAt(pair.url, there);
    if (order !== "SQLite first") await left();
    await until("it is armed", async () => {
      const armed = await pair.rows("sqlite", "SELECT 1 AS one FROM sqlite_schema WHERE name = 'dualdb_notes_insert'");
      return armed.length > 0;
    });
    await database.write(sql`INSERT INTO notes (id, body) VALUES ('a', 'one'), ('b', 'two')`);
    await database.write(sql`DELETE FROM notes WHERE id = 'b'`);
    await pair.expectConverged(database);
    expect(await pair.rows(letters === "P-S" ? "sqlite" : "postgres", "SELECT * FROM notes")).toEqual([
      { id: "a", body: "one" },
    ]);
  });
});

test("a copy of a pair whose tables change meanwhile ends with an error, and leaves everything owed", async () => {
  const { pair, database } = await withDocument("---");
  await database.close();
  await (await pair.open("--S")).close();
  await onBoth(pair, "UPDATE documents SET title = 'again'", "SELECT 1");
  const copying = copy({
    env: {},
    sqlite: pair.file,
    postgres: pair.url,
    onProgress: ({ step }) => {
      if (step === "copy") changing ??= onBoth(pair, addColumn);
    },
  });
  let changing: Promise<void> | undefined;
  await expect(copying).rejects.toMatchObject({ code: "SCHEMA_CHANGED", side: "sqlite" });
  await changing;
  expect(await pair.owed("sqlite")).toBe(1);
});
