import { describe, expect, test } from "vitest";
import { sql } from "../../src/index.js";
import { silentLogger } from "../../src/logger.js";
import { migrate } from "../../src/schema/migrations.js";
import { arm } from "../../src/shadow/arm.js";
import { speaker, TestPair, until } from "../support/pair.js";
import { runAt } from "../support/postgres.js";
import { Recorder } from "../support/recorder.js";

async function onSqlite(pair: TestPair, script: string): Promise<void> {
  await (await pair.sqlite).transaction({ mode: "write" }, (transaction) => transaction.script(script));
}

/** A pair that has tables of its own as well, whose SQLite side is there from the start. */
async function withTables(sqlite: string, postgres: string): Promise<TestPair> {
  const pair = await TestPair.create();
  await (await pair.open("---")).close();
  await onSqlite(pair, sqlite);
  await runAt(pair.url, postgres);
  return pair;
}

async function ids(pair: TestPair, side: "sqlite" | "postgres", table: string) {
  return (await pair.rows(side, `SELECT id FROM ${table} ORDER BY id`)).map(({ id }) => id);
}

describe("a row that REPLACE evicts leaves the other side, too", () => {
  const there = 'CREATE TABLE t (id TEXT COLLATE "C" PRIMARY KEY, name TEXT, other TEXT, active INTEGER)';
  const here = "CREATE TABLE t (id TEXT PRIMARY KEY, name TEXT, other TEXT, active INTEGER)";

  test.each([
    ["through a plain unique index", `${here}; CREATE UNIQUE INDEX u ON t (name)`, "n", "n"],
    ["through one of several columns", `${here}; CREATE UNIQUE INDEX u ON t (active DESC, name)`, "n", "n"],
    ["through a partial one", `${here}; CREATE UNIQUE INDEX u ON t (name) WHERE active = 1`, "n", "n"],
    ["through one that ignores case", `${here}; CREATE UNIQUE INDEX u ON t (name COLLATE NOCASE)`, "Bob", "bob"],
    ["through a column that ignores case", here.replace("name TEXT", "name TEXT COLLATE NOCASE UNIQUE"), "Bob", "bob"],
    ["through an expression", `${here}; CREATE UNIQUE INDEX u ON t (lower(name))`, "Bob", "bob"],
    [
      "through several expressions with a comment and a condition",
      `${here}; CREATE UNIQUE INDEX "u(" ON t (substr(name, 1, 2) /* of, it */ DESC, coalesce(other, id || ',')) -- all
       WHERE other IS NOT NULL AND id <> 'where'`,
      "Bob",
      "Bobby",
    ],
  ])("%s", async (_, sqlite, first, second) => {
    const pair = await withTables(sqlite, there);
    const database = await pair.open("--S");
    await database.write(
      sql`INSERT INTO t (id, name, other, active) VALUES ('one', ${first}, 'x', 1), ('far', 'y', 'y', 0)`,
    );
    await pair.expectConverged(database);
    await onSqlite(pair, `INSERT OR REPLACE INTO t (id, name, other, active) VALUES ('two', '${second}', 'x', 1)`);
    await pair.expectConverged(database);
    expect(await ids(pair, "postgres", "t")).toEqual(["far", "two"]);
    await onSqlite(pair, `UPDATE OR REPLACE t SET name = '${first}', other = 'x', active = 1 WHERE id = 'far'`);
    await pair.expectConverged(database);
    expect(await ids(pair, "postgres", "t")).toEqual(["far"]);
  });

  test("through the rowid's alias, where the key is another one, and through a generated column", async () => {
    const pair = await withTables(
      `CREATE TABLE t (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT, short TEXT AS (substr(name, 1, 2)));
       CREATE UNIQUE INDEX u ON t (short)`,
      'CREATE TABLE t (n BIGINT, id TEXT COLLATE "C" PRIMARY KEY, name TEXT)',
    );
    const database = await pair.open("--S");
    await database.write(sql`INSERT INTO t (n, id, name) VALUES (1, 'one', 'ab'), (2, 'two', 'cd')`);
    await pair.expectConverged(database);
    await onSqlite(pair, "INSERT OR REPLACE INTO t (n, id, name) VALUES (1, 'three', 'cdef')");
    await pair.expectConverged(database);
    expect(await ids(pair, "postgres", "t")).toEqual(["three"]);
  });

  test("through an index that came after the triggers", async () => {
    const pair = await withTables(`${here}; CREATE UNIQUE INDEX u ON t (name)`, there);
    const database = await pair.open("--S");
    await database.write(sql`INSERT INTO t (id, name, other) VALUES ('one', 'a', 'x')`);
    await database.drain();
    await onSqlite(pair, "CREATE UNIQUE INDEX later ON t (other)");
    await until("the triggers know it", async () => {
      const [row] = await pair.rows("sqlite", "SELECT sql FROM sqlite_schema WHERE name = 'dualdb_t_evict_insert'");
      return String(row?.sql).includes('"other"');
    });
    await onSqlite(pair, "INSERT OR REPLACE INTO t (id, name, other) VALUES ('two', 'b', 'x')");
    await pair.expectConverged(database);
    expect(await ids(pair, "postgres", "t")).toEqual(["two"]);
  });
});

describe("a change that comes while the mirror is at its row gives the entry a new version, also inside", () => {
  test.each([
    ["INSERT OR IGNORE", "DELETE FROM t", "INSERT OR IGNORE INTO t VALUES ('one', 'second'), ('one', 'ignored')"],
    ["UPDATE OR IGNORE", "UPDATE t SET name = 'first'", "UPDATE OR IGNORE t SET name = 'second' WHERE id = 'one'"],
  ])("%s", async (_, first, second) => {
    const pair = await withTables(
      "CREATE TABLE t (id TEXT PRIMARY KEY, name TEXT UNIQUE); INSERT INTO t VALUES ('one', 'zero')",
      'CREATE TABLE t (id TEXT COLLATE "C" PRIMARY KEY, name TEXT UNIQUE)',
    );
    const mirroring = await pair.open("--S");
    await pair.expectConverged(mirroring);
    await mirroring.close();
    await onSqlite(pair, first);
    const entries = () => pair.rows("sqlite", "SELECT version FROM dualdb_journal");
    const seen = await entries();
    const database = await pair.open("--S", {
      reached: async (point) => {
        // What is on the other side now is the row as it was before this, and the mirror takes its entry off next.
        if (point !== "before-acknowledge" || seen.length > 1) return;
        await onSqlite(pair, second);
        seen.push(...(await entries()));
      },
    });
    await pair.expectConverged(database);
    const [before, after, ...others] = seen.map(({ version }) => Number(version));
    expect(others).toEqual([]);
    expect(after).toBeGreaterThan(before ?? Number.NaN);
    expect(await pair.rows("postgres", "SELECT id, name FROM t")).toEqual([{ id: "one", name: "second" }]);
  });
});

describe("PostgreSQL's triggers find what is theirs", () => {
  test("whatever the search_path of a console puts before it", async () => {
    const pair = await TestPair.create();
    const primary = await pair.open("P--");
    const columns = "(id, timestamp, sender_type, message_content)";
    const decoys = ["dualdb_state", "dualdb_journal", "dualdb_version", "messages", "new_rows", "old_rows"];
    await runAt(
      pair.url,
      `CREATE SCHEMA other; CREATE TABLE other.dualdb_journal (LIKE public.dualdb_journal INCLUDING ALL);
       SET search_path = pg_temp, other; ${decoys.map((name) => `CREATE TEMP TABLE ${name} (id TEXT)`).join("; ")};
       INSERT INTO public.messages ${columns} VALUES ('one', 1, 'ai', 'a'), ('two', 1, 'ai', 'b'), ('three', 1, 'ai', 'c');
       UPDATE public.messages SET message_content = 'd' WHERE id = 'one'; DELETE FROM public.messages WHERE id = 'two';
       TRUNCATE public.queries`,
    );
    expect(await pair.rows("postgres", "SELECT row_key FROM dualdb_journal ORDER BY row_key")).toEqual(
      ["one", "three", "two"].map((row_key) => ({ row_key })),
    );
    await primary.close();
    await pair.expectConverged(await pair.open("P-S"));
    expect(await ids(pair, "sqlite", "messages")).toEqual(["one", "three"]);
  });

  test("in another schema than public, which search_path names", async () => {
    const pair = await TestPair.create({ migrated: false });
    const name = new URL(pair.url).pathname.slice(1);
    await runAt(pair.url, `CREATE SCHEMA "the bot's"; ALTER DATABASE "${name}" SET search_path = "the bot's"`);
    await migrate({ engine: pair.postgres, timeoutMs: 30_000, logger: silentLogger });
    const database = await pair.open("--S");
    await database.messageService.saveHumanMessage({ ...speaker, messageContent: "one" });
    await pair.expectConverged(database);
    await database.close();
    const primary = await pair.open("P-S");
    await primary.messageService.saveHumanMessage({ ...speaker, messageContent: "two" });
    await runAt(pair.url, `SET search_path = public; UPDATE "the bot's".messages SET username = 'eve'`);
    await pair.expectConverged(primary);
    expect(await pair.rows("sqlite", "SELECT DISTINCT username FROM messages")).toEqual([{ username: "eve" }]);
    const schemas = "SELECT DISTINCT schemaname AS name FROM pg_tables WHERE schemaname !~ '^(pg_|information_)'";
    expect(await runAt(pair.url, schemas)).toEqual([{ name: "the bot's" }]);
  });
});

describe("a table is armed again", () => {
  test("never where its triggers are those that it should have", async () => {
    const pair = await withTables(
      `CREATE TABLE "odd ""t""" (id TEXT PRIMARY KEY, name TEXT); CREATE UNIQUE INDEX u ON "odd ""t""" (lower(name)) WHERE name <> '';
       CREATE TABLE parts (id TEXT PRIMARY KEY); CREATE TABLE keyless (n INTEGER)`,
      `CREATE TABLE "odd ""t""" (id TEXT COLLATE "C" PRIMARY KEY, name TEXT); CREATE TABLE keyless (n INTEGER);
       CREATE TABLE parts (id TEXT COLLATE "C" PRIMARY KEY) PARTITION BY HASH (id);
       CREATE TABLE "Part 0" PARTITION OF parts FOR VALUES WITH (MODULUS 1, REMAINDER 0)`,
    );
    const first = await arm(await pair.sqlite, pair.postgres, Date.now);
    expect(first.armed).toHaveLength(9);
    const again = await arm(await pair.sqlite, pair.postgres, Date.now);
    expect(again.armed).toEqual([]);
    expect(again.catalogues).toEqual(first.catalogues);
  });

  test.each([
    ["a trigger of SQLite is another one", "sqlite"],
    ["a function of PostgreSQL is another one", "postgres"],
    ["a trigger of PostgreSQL is disabled", "postgres"],
    ["a partition has no triggers", "postgres"],
  ])("where %s", async (what, side) => {
    const pair = await withTables(
      "CREATE TABLE t (id TEXT PRIMARY KEY)",
      `CREATE TABLE t (id TEXT COLLATE "C" PRIMARY KEY) PARTITION BY HASH (id);
       CREATE TABLE t0 PARTITION OF t FOR VALUES WITH (MODULUS 1, REMAINDER 0)`,
    );
    await arm(await pair.sqlite, pair.postgres, Date.now);
    const scripts: Record<string, string> = {
      "a trigger of SQLite is another one":
        "DROP TRIGGER dualdb_t_update; CREATE TRIGGER dualdb_t_update AFTER UPDATE ON t BEGIN SELECT 1; END",
      "a function of PostgreSQL is another one":
        "CREATE OR REPLACE FUNCTION dualdb_journal_t() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
      "a trigger of PostgreSQL is disabled": "ALTER TABLE t DISABLE TRIGGER dualdb_delete",
      "a partition has no triggers": "DROP TRIGGER dualdb_insert ON t0",
    };
    const script = scripts[what] ?? "";
    await (side === "sqlite" ? onSqlite(pair, script) : runAt(pair.url, script));
    expect((await arm(await pair.sqlite, pair.postgres, Date.now)).armed).toEqual(["t"]);
    expect((await arm(await pair.sqlite, pair.postgres, Date.now)).armed).toEqual([]);
  });
});

describe("the side that is not primary refuses", () => {
  const profile = "(id, user_id, username, first_seen_at, last_interaction_at)";

  test.each([
    `INSERT OR IGNORE INTO user_profiles ${profile} SELECT 'x', user_id, 'stray', 1, 1 FROM user_profiles`,
    `INSERT INTO user_profiles ${profile} SELECT 'x', user_id, 'stray', 1, 1 FROM user_profiles WHERE 1 ON CONFLICT DO NOTHING`,
    `INSERT OR REPLACE INTO user_profiles ${profile} SELECT 'x', user_id, 'stray', 1, 1 FROM user_profiles`,
    "UPDATE OR IGNORE user_profiles SET user_id = user_id",
  ])("%s, and nothing is journaled there", async (statement) => {
    const pair = await TestPair.create();
    const database = await pair.open("P-S");
    await database.userProfileService.createUserProfile("123456789012345678", "ada");
    await pair.expectConverged(database);
    await expect(onSqlite(pair, statement)).rejects.toMatchObject({ code: "NOT_PRIMARY" });
    expect(await pair.owed("sqlite")).toBe(0);
  });

  test("what is written to a table without a key, which nobody mirrors", async () => {
    const pair = await withTables("CREATE TABLE notes (body TEXT)", "CREATE TABLE notes (body TEXT)");
    const logger = new Recorder();
    const database = await pair.open("--S", { logger });
    expect(logger.of("unmirrored")).toMatchObject([{ fields: { tables: [{ table: "notes" }] } }]);
    await database.write(sql`INSERT INTO notes VALUES ('here')`);
    await expect(runAt(pair.url, "INSERT INTO notes VALUES ('there')")).rejects.toThrow("NOT_PRIMARY");
    await database.close();
    const primary = await pair.open("P-S");
    await primary.write(sql`INSERT INTO notes VALUES ('there')`);
    for (const statement of ["INSERT INTO notes VALUES ('here')", "UPDATE notes SET body = 'x'", "DELETE FROM notes"])
      await expect(onSqlite(pair, statement)).rejects.toMatchObject({ code: "NOT_PRIMARY" });
    expect(await primary.drain()).toEqual({ pending: 0, quarantined: 0 });
  });

  test("what is written to a partition of PostgreSQL by its own name, and journals it where it is primary", async () => {
    const pair = await withTables(
      "CREATE TABLE events (id TEXT PRIMARY KEY, body TEXT)",
      `CREATE TABLE events (id TEXT COLLATE "C" PRIMARY KEY, body TEXT) PARTITION BY LIST (id);
       CREATE TABLE events_a PARTITION OF events FOR VALUES IN ('a', 'b');
       CREATE TABLE events_rest PARTITION OF events DEFAULT PARTITION BY HASH (id);
       CREATE TABLE events_rest_0 PARTITION OF events_rest FOR VALUES WITH (MODULUS 1, REMAINDER 0)`,
    );
    const database = await pair.open("--S");
    await database.write(sql`INSERT INTO events VALUES ('a', '1'), ('z', '1')`);
    await database.drain();
    for (const statement of ["UPDATE events_a SET body = 'x'", "DELETE FROM events_rest_0", "TRUNCATE events_rest"])
      await expect(runAt(pair.url, statement)).rejects.toThrow("NOT_PRIMARY");
    await database.close();
    const primary = await pair.open("P-S");
    for (const statement of [
      "INSERT INTO events_a VALUES ('b', '2')",
      "UPDATE events_rest_0 SET body = '2'",
      "UPDATE events SET id = 'y' WHERE id = 'a'",
    ])
      await runAt(pair.url, statement);
    await pair.expectConverged(primary);
    expect(await ids(pair, "sqlite", "events")).toEqual(["b", "y", "z"]);
    await runAt(pair.url, "TRUNCATE events_rest_0");
    await pair.expectConverged(primary);
    expect(await ids(pair, "sqlite", "events")).toEqual(["b"]);
    await runAt(pair.url, "CREATE TABLE events_c PARTITION OF events FOR VALUES IN ('c')");
    await until(
      "it is armed",
      async () => (await runAt(pair.url, "SELECT 1 FROM pg_trigger WHERE tgrelid = 'events_c'::regclass")).length === 4,
    );
    await runAt(pair.url, "INSERT INTO events_c VALUES ('c', '3')");
    await pair.expectConverged(primary);
  });

  test("a TRUNCATE whose snapshot may be an old one", async () => {
    const pair = await TestPair.create();
    const primary = await pair.open("P-S");
    await primary.queryService.saveQuery({ userId: "123456789012345678", username: "ada", queryText: "q" });
    const truncate = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1; TRUNCATE queries; COMMIT";
    await expect(runAt(pair.url, truncate)).rejects.toThrow("READ COMMITTED");
    await runAt(pair.url, "TRUNCATE queries");
    await pair.expectConverged(primary);
    expect(await pair.count("sqlite", "queries")).toBe(0);
  });
});

describe("a table that is empty where it counts, and has rows on the other side, is not armed", () => {
  const table = (type: string) => `CREATE TABLE notes (id ${type} PRIMARY KEY, body TEXT)`;
  const row = "INSERT INTO notes VALUES ('a', 'the only copy')";

  test("with SQLite primary", async () => {
    const pair = await withTables(table("TEXT"), `${table('TEXT COLLATE "C"')}; ${row}`);
    const database = await pair.open("--S");
    await database.queryService.saveQuery({ userId: "123456789012345678", username: "ada", queryText: "q" });
    expect(await database.drain()).toEqual({ pending: 0, quarantined: 0 });
    expect(await pair.count("postgres", "queries")).toBe(1);
    expect(await pair.count("postgres", "notes")).toBe(1);
    const { problem, unmirrored } = await database.status();
    expect(problem).toBeNull();
    expect(unmirrored).toEqual([
      { table: "notes", reason: expect.stringContaining("empty in SQLite, which is primary") },
    ]);
    await runAt(pair.url, "DELETE FROM notes");
    await until("it is armed", async () => (await database.status()).unmirrored?.length === 0);
    await database.write(sql`INSERT INTO notes VALUES ('b', 'x')`);
    await pair.expectConverged(database);
  });

  test("with PostgreSQL primary", async () => {
    const pair = await withTables(`${table("TEXT")}; ${row}`, "SELECT 1");
    await (await pair.open("P-S")).close();
    await runAt(pair.url, table('TEXT COLLATE "C"'));
    const logger = new Recorder();
    const database = await pair.open("P-S", { logger });
    expect(logger.of("unmirrored")).toMatchObject([{ fields: { tables: [{ table: "notes" }] } }]);
    expect(await database.drain()).toEqual({ pending: 0, quarantined: 0 });
    expect(await pair.count("sqlite", "notes")).toBe(1);
    await runAt(pair.url, row);
    await until("it is armed", async () => (await database.status()).unmirrored?.length === 0);
    await pair.expectConverged(database);
  });

  test("but one that was armed, and has been emptied since, is", async () => {
    const pair = await withTables(`${table("TEXT")}; ${row}`, table('TEXT COLLATE "C"'));
    const database = await pair.open("--S");
    await pair.expectConverged(database);
    await onSqlite(pair, "DROP TRIGGER dualdb_notes_update; DELETE FROM notes");
    await pair.expectConverged(database);
    expect(await pair.count("postgres", "notes")).toBe(0);
  });
});
