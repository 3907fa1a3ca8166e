import { describe, expect, test } from "vitest";
import { type Database, sql } from "../../src/index.js";
import { copy } from "../../src/migrate/copy.js";
import { TestPair } from "../support/pair.js";
import { runAt } from "../support/postgres.js";

/** A pair that has tables of its own as well, whose SQLite side is there from the start. */
async function withTables(sqlite: string, postgres: string): Promise<TestPair> {
  const pair = await TestPair.create();
  await (await pair.open("---")).close();
  await onSqlite(pair, sqlite);
  await runAt(pair.url, postgres);
  return pair;
}

async function onSqlite(pair: TestPair, script: string): Promise<void> {
  await (await pair.sqlite).transaction({ mode: "write" }, (transaction) => transaction.script(script));
}

const ranks = {
  sqlite: "CREATE TABLE ranks (id TEXT PRIMARY KEY, position INTEGER UNIQUE)",
  postgres: 'CREATE TABLE ranks (id TEXT COLLATE "C" PRIMARY KEY, position BIGINT UNIQUE)',
};

/** Rows `k00000`, … with the positions 0, … */
function filled(count: number) {
  const rows = Array.from({ length: count }, (_, index) => [`k${String(index).padStart(5, "0")}`, index] as const);
  return rows.map(([id, position]) => `('${id}', ${position})`).join(", ");
}

/** Every row takes the position of the one behind it. */
function rotate(database: Database, count: number) {
  return database.write(
    sql`UPDATE ranks SET position = -position - 1`,
    sql`UPDATE ranks SET position = (-position) % CAST(${count} AS INTEGER)`,
  );
}

describe("rows that pass their unique values round", () => {
  test.each([
    ["--S", 1_300],
    ["P-S", 1_300],
  ])("arrive, with the flags %s and %i rows", async (letters, count) => {
    const pair = await withTables(ranks.sqlite, ranks.postgres);
    await onSqlite(pair, `INSERT INTO ranks VALUES ${filled(count)}`);
    const database = await pair.open(letters);
    await pair.expectConverged(database);
    await rotate(database, count);
    await pair.expectConverged(database);
  });

  test("in any order", async () => {
    const count = 3_000;
    const pair = await withTables(ranks.sqlite, ranks.postgres);
    await onSqlite(pair, `INSERT INTO ranks VALUES ${filled(count)}`);
    const database = await pair.open("--S");
    await pair.expectConverged(database);
    await database.write(
      sql`UPDATE ranks SET position = -position - 1`,
      sql`UPDATE ranks SET position = ((-position) * 1237) % ${count}`,
    );
    await pair.expectConverged(database);
    await database.close();
    await pair.expectConverged(await pair.open("P-S"));
  });

  test.each([["sqlite"], ["postgres"]] as const)("are copied all or none, from %s", async (from) => {
    const count = 1_200;
    const pair = await withTables(ranks.sqlite, ranks.postgres);
    await onSqlite(pair, `INSERT INTO ranks VALUES ${filled(count)}`);
    const database = await pair.open(from === "sqlite" ? "--S" : "P-S");
    await pair.expectConverged(database);
    await database.close();
    const alone = await pair.open(from === "sqlite" ? "---" : "P--");
    await rotate(alone, count);
    await alone.close();
    const { tables } = await copy({ env: {}, sqlite: pair.file, postgres: pair.url, strict: true });
    expect(tables.find(({ table }) => table === "ranks")).toMatchObject({ read: count, written: count });
    expect(await pair.owed(from)).toBe(0);
    await pair.expectEqual();
  });

  test("come in whole after a forced roll-back, and are no conflict", async () => {
    const count = 500;
    const pair = await withTables(ranks.sqlite, ranks.postgres);
    await onSqlite(pair, `INSERT INTO ranks VALUES ${filled(count)}`);
    await pair.expectConverged(await pair.open("P-S"));
    const alone = await pair.open("P--");
    await rotate(alone, count);
    await alone.close();
    await (await pair.open("---", { env: { DATABASE_URL: "postgres://postgres@127.0.0.1:1/x" } })).close();
    const database = await pair.open("--S");
    await pair.expectConverged(database);
    expect(await pair.count("sqlite", "dualdb_conflicts")).toBe(0);
    expect(await pair.rows("sqlite", "SELECT position FROM ranks WHERE id = 'k00000'")).toEqual([{ position: 1 }]);
  });
});

describe("rows that exclude each other by an index that only the database knows", () => {
  const slots = (type: string) =>
    `CREATE TABLE slots (id ${type} PRIMARY KEY, slot INTEGER, live INTEGER); CREATE UNIQUE INDEX taken ON slots (slot) WHERE live = 1`;

  test.each(["--S", "P-S"])("change places, with the flags %s", async (letters) => {
    const pair = await withTables(slots("TEXT"), slots('TEXT COLLATE "C"'));
    const database = await pair.open(letters);
    await database.write(sql`INSERT INTO slots VALUES ('a', 1, 1), ('b', 2, 1), ('c', 3, 1)`);
    await pair.expectConverged(database);
    await database.write(
      sql`UPDATE slots SET live = 0 WHERE id = 'a'`,
      sql`UPDATE slots SET slot = 1 WHERE id = 'b'`,
      sql`UPDATE slots SET slot = 2 WHERE id = 'c'`,
      sql`UPDATE slots SET slot = 3, live = 1 WHERE id = 'a'`,
    );
    await pair.expectConverged(database);
  });

  test("hand a value on, and the primary changes at once", async () => {
    const pair = await withTables(slots("TEXT"), slots('TEXT COLLATE "C"'));
    const database = await pair.open("--S");
    await database.write(sql`INSERT INTO slots VALUES ('b', 1, 1)`);
    await pair.expectConverged(database);
    await database.close();
    const alone = await pair.open("---");
    await alone.write(
      sql`UPDATE slots SET live = 0 WHERE id = 'b'`,
      sql`INSERT INTO slots VALUES ('a', 1, 1)`,
      sql`UPDATE slots SET slot = 9 WHERE id = 'x'`,
    );
    await alone.close();
    await pair.expectConverged(await pair.open("P-S"));
  });

  test("by an expression and by an exclusion constraint of PostgreSQL alone", async () => {
    const pair = await withTables(
      "CREATE TABLE names (id TEXT PRIMARY KEY, name TEXT); CREATE TABLE spans (id TEXT PRIMARY KEY, low INTEGER, high INTEGER)",
      `CREATE TABLE names (id TEXT COLLATE "C" PRIMARY KEY, name TEXT); CREATE UNIQUE INDEX ON names (lower(name));
       CREATE TABLE spans (id TEXT COLLATE "C" PRIMARY KEY, low INTEGER, high INTEGER, EXCLUDE USING gist (int4range(low, high) WITH &&))`,
    );
    const database = await pair.open("--S");
    await database.write(
      sql`INSERT INTO names VALUES ('a', 'one'), ('b', 'two')`,
      sql`INSERT INTO spans VALUES ('a', 0, 10), ('b', 10, 20)`,
    );
    await pair.expectConverged(database);
    await database.write(
      sql`UPDATE names SET name = CASE id WHEN 'a' THEN 'Two' ELSE 'One' END`,
      sql`UPDATE spans SET low = 20 - high, high = 20 - low`,
    );
    await pair.expectConverged(database);
  });
});

test("a swap takes no rows along that hang on it and that nobody mirrors: it is refused, and goes once they are gone", async () => {
  const pair = await withTables(
    "CREATE TABLE people (id TEXT PRIMARY KEY, name TEXT UNIQUE)",
    `CREATE TABLE people (id TEXT COLLATE "C" PRIMARY KEY, name TEXT UNIQUE);
     CREATE TABLE sessions (n INT PRIMARY KEY, person TEXT COLLATE "C" REFERENCES people (id) ON DELETE CASCADE)`,
  );
  const database = await pair.open("--S");
  await database.write(sql`INSERT INTO people VALUES ('1', 'a'), ('2', 'b'), ('3', 'c')`);
  await pair.expectConverged(database);
  await runAt(pair.url, "INSERT INTO sessions VALUES (1, '1'), (3, '3')");
  await database.write(
    sql`UPDATE people SET name = 'x' WHERE id = '1'`,
    sql`UPDATE people SET name = 'a' WHERE id = '2'`,
    sql`UPDATE people SET name = 'b' WHERE id = '1'`,
    sql`DELETE FROM people WHERE id = '3'`,
  );
  await database.drain({ timeoutMs: 60_000 });
  expect(await runAt(pair.url, "SELECT n FROM sessions")).toEqual([{ n: 1 }]);
  const [entry] = await pair.rows("sqlite", "SELECT last_error FROM dualdb_journal WHERE row_key = '1'");
  expect(entry?.last_error).toContain("sessions, which is not mirrored");
  await runAt(pair.url, "DELETE FROM sessions");
  await database.write(sql`UPDATE people SET name = name`);
  await pair.expectConverged(database);
});

test("a number that PostgreSQL alone gives is carried beside the key", async () => {
  const pair = await withTables(
    "CREATE TABLE q (id TEXT PRIMARY KEY, seq INTEGER, body TEXT)",
    'CREATE TABLE q (id TEXT COLLATE "C" PRIMARY KEY, seq BIGINT GENERATED ALWAYS AS IDENTITY, body TEXT)',
  );
  const database = await pair.open("--S");
  await database.write(sql`INSERT INTO q VALUES ('a', 7, 'x')`);
  await pair.expectConverged(database);
  await database.write(sql`UPDATE q SET body = 'y'`);
  await pair.expectConverged(database);
  await database.write(sql`UPDATE q SET seq = 9`);
  await pair.expectConverged(database);
  expect(await pair.rows("postgres", "SELECT * FROM q")).toEqual([{ id: "a", seq: 9, body: "y" }]);
});

describe("keys that the two sides spell in different ways", () => {
  test("of TEXT and BIGINT: only what PostgreSQL prints goes over, and deleting the others takes no other row", async () => {
    const pair = await withTables(
      "CREATE TABLE k (id TEXT PRIMARY KEY, v TEXT)",
      "CREATE TABLE k (id BIGINT PRIMARY KEY, v TEXT)",
    );
    const database = await pair.open("--S");
    await database.write(
      sql`INSERT INTO k VALUES ('7', 'seven'), ('007', 'agent'), ('+5', 'plus'), ('5', 'five'), ('abc', 'none'), ('99999999999999999999', 'large')`,
    );
    await database.drain({ timeoutMs: 60_000 });
    const there = () => pair.rows("postgres", "SELECT * FROM k ORDER BY id");
    expect(await there()).toEqual([
      { id: 5, v: "five" },
      { id: 7, v: "seven" },
    ]);
    expect(await pair.rows("sqlite", "SELECT row_key FROM dualdb_journal WHERE attempts > 0 ORDER BY row_key")).toEqual(
      ["+5", "007", "99999999999999999999", "abc"].map((row_key) => ({ row_key })),
    );
    await database.write(sql`DELETE FROM k WHERE id NOT IN ('7', '5')`);
    await pair.expectConverged(database);
    expect(await there()).toHaveLength(2);
    await database.close();
    await pair.expectConverged(await pair.open("P-S"));
  });

  test("of INTEGER and TEXT, from PostgreSQL", async () => {
    const pair = await withTables(
      "CREATE TABLE k (id INT PRIMARY KEY NOT NULL, v TEXT)",
      'CREATE TABLE k (id TEXT COLLATE "C" PRIMARY KEY, v TEXT)',
    );
    const database = await pair.open("P-S");
    await runAt(pair.url, "INSERT INTO k VALUES ('7', 'seven'), ('007', 'agent'), ('1e3', 'e'), ('abc', 'none')");
    await database.drain({ timeoutMs: 60_000 });
    const here = () => pair.rows("sqlite", "SELECT CAST(id AS TEXT) AS id FROM k ORDER BY id");
    expect(await here()).toEqual([{ id: "7" }, { id: "abc" }]);
    await runAt(pair.url, "DELETE FROM k WHERE id IN ('007', '1e3')");
    await pair.expectConverged(database);
    expect(await here()).toEqual([{ id: "7" }, { id: "abc" }]);
  });

  test("of UUIDs and of an enumeration", async () => {
    const pair = await withTables(
      "CREATE TABLE g (id TEXT PRIMARY KEY, v TEXT); CREATE TABLE m (id TEXT PRIMARY KEY, v TEXT)",
      "CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE TABLE g (id uuid PRIMARY KEY, v TEXT); CREATE TABLE m (id mood PRIMARY KEY, v TEXT)",
    );
    const database = await pair.open("--S");
    const lower = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa";
    await database.write(
      sql`INSERT INTO g VALUES (${lower}, 'lower'), (${lower.toUpperCase()}, 'upper'), ('none', 'x')`,
      sql`INSERT INTO m VALUES ('good', 'x'), ('no such', 'y')`,
    );
    await database.drain({ timeoutMs: 60_000 });
    await database.write(sql`DELETE FROM g WHERE v <> 'lower'`, sql`DELETE FROM m WHERE v = 'y'`);
    await pair.expectConverged(database);
    expect(await pair.rows("postgres", "SELECT v FROM g")).toEqual([{ v: "lower" }]);
    expect(await pair.rows("postgres", "SELECT v FROM m")).toEqual([{ v: "x" }]);
  });

  test("of dates, however the session that writes them prints them", async () => {
    const pair = await withTables(
      "CREATE TABLE d (day TEXT PRIMARY KEY, v TEXT)",
      "CREATE TABLE d (day date PRIMARY KEY, v TEXT)",
    );
    const database = await pair.open("P-S");
    await runAt(pair.url, "INSERT INTO d VALUES ('2024-12-31', 'x'), ('2024-02-01', 'y')");
    await pair.expectConverged(database);
    await runAt(
      pair.url,
      "BEGIN; SET LOCAL datestyle = 'German'; DELETE FROM d WHERE v = 'x'; UPDATE d SET v = 'z'; COMMIT",
    );
    await pair.expectConverged(database);
    expect(await pair.rows("sqlite", "SELECT * FROM d")).toEqual([{ day: "2024-02-01", v: "z" }]);
    await database.close();
    const back = await pair.open("--S");
    await back.write(sql`INSERT INTO d VALUES ('2024-13-45', 'none'), ('2025-01-02', 'x')`);
    await back.drain({ timeoutMs: 60_000 });
    await back.write(sql`DELETE FROM d WHERE v = 'none'`);
    await pair.expectConverged(back);
  });
});
