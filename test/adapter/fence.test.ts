import { expect, test } from "vitest";
import { sql } from "../../src/index.js";
import { speaker, TestPair, until } from "../support/pair.js";
import { runAt } from "../support/postgres.js";

async function onSqlite(pair: TestPair, script: string): Promise<void> {
  await (await pair.sqlite).transaction({ mode: "write" }, (transaction) => transaction.script(script));
}

async function withTables(sqlite: string, postgres: string): Promise<TestPair> {
  const pair = await TestPair.create();
  await (await pair.open("---")).close();
  await onSqlite(pair, sqlite);
  await runAt(pair.url, postgres);
  return pair;
}

test("a table that nobody mirrors is read from SQLite, the others from PostgreSQL", async () => {
  const pair = await withTables(
    'CREATE TABLE notes (body TEXT); CREATE TABLE "odd (t)" (body TEXT)',
    'CREATE TABLE notes (body TEXT); CREATE TABLE "odd (t)" (body TEXT)',
  );
  const database = await pair.open("-RS");
  await database.drain();
  for (let round = 1; round <= 20; round++) {
    await database.write(sql`INSERT INTO notes VALUES ('x')`, sql`INSERT INTO "odd (t)" VALUES ('x')`);
    for (const read of [sql`SELECT COUNT(*) AS n FROM Notes`, sql`SELECT COUNT(*) AS n FROM "odd (t)"`])
      expect(await database.read(read)).toEqual([{ n: round }]);
  }
  expect((await database.status()).reads).toMatchObject({ fenced: 0, owed: 40 });
  expect(await database.read(sql`SELECT COUNT(*) AS notes_n FROM messages`)).toEqual([{ notes_n: 0 }]);
  expect((await database.status()).reads).toMatchObject({ fenced: 1, owed: 40 });
});

test("a table of SQLite that is rebuilt while processes run, and has no triggers for a while, gives no stale answer", async () => {
  const pair = await TestPair.create();
  const database = await pair.open("-RS");
  await database.drain();
  const [table] = await pair.rows("sqlite", "SELECT sql FROM sqlite_schema WHERE name = 'queries'");
  await onSqlite(
    pair,
    `${String(table?.sql).replace("queries", "queries_new")}; INSERT INTO queries_new SELECT * FROM queries;
     DROP TABLE queries; ALTER TABLE queries_new RENAME TO queries`,
  );
  for (let round = 1; round <= 50; round++) {
    await database.queryService.saveQuery({ userId: speaker.userId, username: "ada", queryText: "q" });
    expect(await database.queryService.getQueryCount()).toBe(round);
  }
  await until("PostgreSQL answers again", async () => {
    await database.queryService.getQueryCount();
    return (await database.status()).reads.fenced > 0;
  });
  await pair.expectConverged(database);
});

test("nobody waits for a row that PostgreSQL does not take", async () => {
  const pair = await withTables(
    "CREATE TABLE things (id TEXT PRIMARY KEY, n)",
    'CREATE TABLE things (id TEXT COLLATE "C" PRIMARY KEY, n INTEGER)',
  );
  const database = await pair.open("-RS", { env: { READ_FENCE_MS: "600000" } });
  await database.write(sql`INSERT INTO things VALUES ('a', 'no number')`);
  await until("it is in quarantine", async () => (await database.drain({ timeoutMs: 100 })).quarantined === 1);
  for (let round = 0; round < 20; round++)
    expect(await database.read(sql`SELECT id FROM things`)).toEqual([{ id: "a" }]);
  const id = await database.messageService.saveHumanMessage({ ...speaker, messageContent: "x" });
  expect(await database.messageService.getMessageById(id)).toMatchObject({ id });
});
