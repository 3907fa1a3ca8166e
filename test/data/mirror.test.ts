import { expect, test } from "vitest";
import { sql } from "../../src/index.js";
import { TestPair } from "../support/pair.js";
import { runAt } from "../support/postgres.js";

const theirs = `
  CREATE TABLE "UserAccounts" ("userId" INTEGER PRIMARY KEY, "displayName" TEXT NOT NULL UNIQUE, "createdAt" INTEGER, "lastSeen" TEXT, "isAdmin" INTEGER, "balance" NUMERIC);
  CREATE TABLE "blogPosts" ("postID" TEXT PRIMARY KEY, "authorID" INTEGER REFERENCES "UserAccounts" ("userId") ON DELETE CASCADE, "body" TEXT);
  CREATE TABLE pairs (a TEXT, b INTEGER, note TEXT, PRIMARY KEY (b, a)) WITHOUT ROWID;
  INSERT INTO "UserAccounts" VALUES (1, 'ada', 1700000000, '2024-01-01T10:00:00.000Z', 1, 1.5), (2, 'bob', 1700000001, '2024-01-02T10:00:00.500Z', 0, 12345.25);
  INSERT INTO "blogPosts" VALUES ('p1', 1, 'hello'), ('p,2', 2, NULL);
  INSERT INTO pairs VALUES ('x,y', 1, 'n'), ('\\', 2, NULL);`;

/** PostgreSQL cuts names after 63 bytes; the functions of two such tables must not be one. */
const longNames = ["one", "two"].map(
  (name) => `${"a_name_that_is_nearly_as_long_as_postgresql_lets_it_be_".padEnd(58, "x")}_${name}`,
);

const ours = `
  CREATE TABLE user_accounts (user_id bigint PRIMARY KEY, display_name varchar(20) NOT NULL UNIQUE, created_at timestamptz, last_seen timestamptz(3), is_admin boolean, balance numeric(12,2));
  CREATE TABLE "a_very_long_prefix" (id int);
  DROP TABLE "a_very_long_prefix";
  CREATE TABLE blog_posts (post_id text COLLATE "C" PRIMARY KEY, author_id bigint REFERENCES user_accounts ON DELETE CASCADE, body text);
  CREATE TABLE "PAIRS" ("A" text, "B" int, note text, PRIMARY KEY ("B", "A"));`;

const users = `SELECT userId, displayName, createdAt, typeof(createdAt) AS type, lastSeen, isAdmin, balance FROM UserAccounts ORDER BY userId`;

test("tables that are called otherwise on the other side are mirrored there and back", async () => {
  const pair = await TestPair.create();
  await (await pair.open("---")).close();
  await (await pair.sqlite).transaction({ mode: "write" }, (transaction) => transaction.script(theirs));
  await runAt(pair.url, ours);
  for (const name of longNames) {
    const text = `CREATE TABLE ${name} (id INTEGER PRIMARY KEY, label TEXT)`;
    await (await pair.sqlite).write([{ sql: text, text, values: [] }]);
    await runAt(pair.url, text);
  }
  const before = await pair.rows("sqlite", users);

  const shadow = await pair.open("--S");
  expect((await shadow.status()).unmirrored ?? []).toEqual([]);
  await pair.expectConverged(shadow);
  expect(
    await pair.rows(
      "postgres",
      "SELECT created_at::text AS at, is_admin, balance FROM user_accounts WHERE user_id = 1",
    ),
  ).toEqual([{ at: expect.stringContaining("2023-11-14"), is_admin: 1, balance: 1.5 }]);
  await shadow.write(
    sql`UPDATE "UserAccounts" SET "displayName" = 'bob' || "userId"`,
    sql`DELETE FROM "blogPosts" WHERE "postID" = 'p1'`,
  );
  await shadow.write(sql`UPDATE pairs SET b = 3 WHERE b = 2`);
  await shadow.write(
    sql`INSERT OR REPLACE INTO "UserAccounts" ("userId", "displayName", "createdAt") VALUES (3, 'bob1', 1700000005)`,
  );
  await pair.expectConverged(shadow);
  expect(await pair.rows("postgres", `SELECT display_name FROM user_accounts ORDER BY user_id`)).toEqual([
    { display_name: "bob2" },
    { display_name: "bob1" },
  ]);
  expect(await pair.rows("postgres", `SELECT "A", "B" FROM "PAIRS" ORDER BY "B"`)).toEqual([
    { A: "x,y", B: 1 },
    { A: "\\", B: 3 },
  ]);
  await shadow.close();

  const primary = await pair.open("P-S");
  await runAt(
    pair.url,
    "UPDATE user_accounts SET created_at = created_at + interval '1 second', last_seen = last_seen + interval '1 day', display_name = 'Bob'  WHERE user_id = 2",
  );
  await runAt(pair.url, `DELETE FROM "PAIRS" WHERE "B" = 1`);
  for (const [index, name] of longNames.entries()) await runAt(pair.url, `INSERT INTO ${name} VALUES (${index}, 'x')`);
  await pair.expectConverged(primary);
  expect(await pair.rows("sqlite", users)).toEqual([
    {
      ...before[1],
      displayName: "Bob",
      createdAt: 1_700_000_002,
      type: "integer",
      lastSeen: "2024-01-03T10:00:00.500Z",
    },
    expect.objectContaining({ userId: 3, displayName: "bob1", createdAt: 1_700_000_005 }),
  ]);
  expect(await pair.count("sqlite", "pairs")).toBe(1);
  for (const [index, name] of longNames.entries())
    expect(await pair.rows("sqlite", `SELECT id FROM ${name}`)).toEqual([{ id: index }]);
  await primary.close();
  const back = await pair.open("---");
  await pair.expectEqual();
  expect((await back.status()).primary).toBe("sqlite");
});
