import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import sql from "sql-template-tag";
import { describe, expect, test } from "vitest";
import { openPostgres } from "../../src/engines/postgres.js";
import { silentLogger } from "../../src/logger.js";
import { type TableReport, type VerifyReport, verify } from "../../src/migrate/verify.js";
import { freshDirectory, freshPostgres, freshSqlite } from "../support/databases.js";
import { filledPair, found, plant, writers } from "../support/differences.js";
import { openAt, script } from "../support/libsql.js";
import { until } from "../support/pair.js";
import { runAt } from "../support/postgres.js";
import { configOf } from "../support/postgres-config.js";
import { freshRole } from "../support/role.js";

const untouched = { missing: 0, extra: 0, different: 0, refused: 0, owed: 0, differences: [] };

function messagesOf({ tables }: VerifyReport): TableReport {
  const table = tables.find((candidate) => candidate.table === "messages");
  if (table === undefined) throw new Error("messages were not compared");
  return table;
}

describe.each([
  { letters: "--S", from: "sqlite", other: "postgres" },
  { letters: "P-S", from: "postgres", other: "sqlite" },
] as const)("a pair with $from primary", ({ letters, from, other }) => {
  test("that is equal says so, of every table", async () => {
    const { pair } = await filledPair(letters, 100);
    const report = await verify({ env: pair.env("") });
    expect(report).toMatchObject({
      equal: true,
      armed: true,
      from,
      search: { words: 20, missed: [] },
      schema: [],
      orphans: [],
    });
    expect(messagesOf(report)).toEqual({ table: "messages", sqlite: 100, postgres: 100, equal: 100, ...untouched });
    expect(report.tables).toHaveLength(6);
  });

  test("names exactly what was planted while eight writers write", async () => {
    const { pair, database } = await filledPair(letters, 1_000);
    const fire = writers(database, 1_000);
    try {
      await plant(
        pair,
        other,
        "DELETE FROM messages WHERE id = 'm0017'",
        `INSERT INTO messages (id, timestamp, sender_type, message_content) VALUES ('m0017x', 1, 'ai', 'ghost'), ('z7', 1, 'ai', 'ghost')`,
        `UPDATE messages SET message_content = message_content || ' ' WHERE id = 'm0507'`,
        `UPDATE messages SET metadata = '{"n":997,"list":[1.51]}', timestamp = timestamp + 1 WHERE id = 'm0997'`,
        `UPDATE messages SET metadata = '{"list":[15e-1],  "n":987.0}' WHERE id = 'm0987'`,
        "UPDATE messages SET user_id = NULL WHERE id = 'm0007'",
      );
      for (let round = 0; round < 3; round++) {
        const report = await verify({ env: pair.env("") });
        expect(found(report)).toEqual([
          "different m0007 user_id",
          "different m0507 message_content",
          "different m0997 timestamp metadata",
          "extra m0017x",
          "extra z7",
          "missing m0017",
        ]);
        expect(report.equal).toBe(false);
      }
    } finally {
      expect(await fire.stop()).toBeGreaterThan(100);
    }
  });

  test("says what is owed, and nothing else of it, when nobody mirrors", async () => {
    const { pair, database } = await filledPair(letters, 20);
    await database.close();
    const alone = await pair.open(letters.replace("S", "-"));
    await alone.write(
      sql`UPDATE messages SET username = 'later' WHERE id = 'm0003'`,
      sql`DELETE FROM messages WHERE id = 'm0004'`,
    );
    await alone.write(sql`UPDATE messages SET username = NULL WHERE id = 'm0005'`);
    await plant(pair, other, "DELETE FROM messages WHERE id = 'm0006'");
    const report = await verify({ env: pair.env(""), settleMs: 100 });
    expect(found(report)).toEqual(["missing m0006", "owed m0003", "owed m0004"]);
    expect(report.equal).toBe(false);
  });
});

test("a row that is owed is waited for until the relay has brought it", async () => {
  const { pair, database } = await filledPair("--S", 20);
  const verifying = await pair.postgres.transaction({ mode: "write" }, async (transaction) => {
    await transaction.query(sql`SELECT 1 AS one FROM dualdb_state FOR UPDATE`);
    await database.write(sql`UPDATE messages SET username = 'later' WHERE id = 'm0003'`);
    const report = verify({ env: pair.env("") });
    await until("the look and the relay wait", async () => {
      const waiting = await runAt(
        pair.url,
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
      );
      return waiting.length === 2;
    });
    return { report };
  });
  expect(await verifying.report).toMatchObject({ equal: true });
});

test("rows that PostgreSQL refuses are refused, each with its column and reason, and not missing", async () => {
  const { pair, database } = await filledPair("--S", 5);
  await script(
    await pair.sqlite,
    `INSERT INTO queries (id, timestamp, user_id, username, query_text, result_count) VALUES ('large', 1, 'u', 'n', 't', 3000000000);
     INSERT INTO messages (id, timestamp, sender_type, message_content) VALUES (CAST(x'6bff' AS TEXT), 1, 'ai', 'x'), (NULL, 1, 'ai', 'x');
     UPDATE messages SET message_content = 'with' || char(0) || 'nul' WHERE id = 'm0001'`,
  );
  await database.drain({ timeoutMs: 2_000 });
  const report = await verify({ env: pair.env(""), settleMs: 5_000 });
  const refused = report.tables.flatMap(({ differences }) => differences);
  expect(refused).toEqual([
    { table: "messages", key: "\\N", kind: "refused", column: "id", reason: expect.stringContaining("NULL") },
    { table: "messages", key: "k\ufffd", kind: "refused", column: "id", reason: expect.stringContaining("UTF-8") },
    {
      table: "queries",
      key: "large",
      kind: "refused",
      column: "result_count",
      reason: expect.stringContaining("range"),
    },
  ]);
});

describe("databases that are no pair", () => {
  async function strangers(sqliteText: string, postgresText: string): Promise<{ sqlite: string; postgres: string }> {
    const file = freshSqlite();
    const engine = await openAt(file, { createFile: true });
    await script(engine, sqliteText);
    await engine.close();
    const url = await freshPostgres();
    const postgres = openPostgres({ config: configOf(url), logger: silentLogger });
    await postgres.transaction({ mode: "write" }, (transaction) => transaction.script(postgresText));
    await postgres.close();
    return { sqlite: file, postgres: url };
  }

  test("are compared from either side, looked at twice, and left without a trace", async () => {
    const ddl = (text: string) => `CREATE TABLE notes (id INTEGER PRIMARY KEY, body ${text})`;
    const both = await strangers(
      `${ddl("TEXT")}; INSERT INTO notes VALUES (1, 'a'), (2, 'b'), (9, 'c'), (10, 'd'), (11, 'only here')`,
      `${ddl("TEXT")}; INSERT INTO notes VALUES (1, 'a'), (2, 'B'), (9, 'c'), (10, 'd'), (12, 'only there')`,
    );
    const forward = await verify({ ...both, env: {} });
    expect(forward).toMatchObject({ armed: false, from: "sqlite", equal: false, search: null });
    expect(found(forward)).toEqual(["different 2 body", "extra 12", "missing 11"]);
    expect(found(await verify({ ...both, env: {}, from: "postgres" }))).toEqual([
      "different 2 body",
      "extra 11",
      "missing 12",
    ]);
    const tables = await runAt(
      both.postgres,
      "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace",
    );
    expect(tables).toEqual([{ relname: "notes" }]);
  });

  test("a table of one side, a column that the target lacks, and no key in common are said", async () => {
    const both = await strangers(
      "CREATE TABLE lonely (id INTEGER PRIMARY KEY); CREATE TABLE keyless (a INT); CREATE TABLE wide (id INTEGER PRIMARY KEY, a INT, b INT); INSERT INTO wide VALUES (1, 2, 3)",
      "CREATE TABLE keyless (a INT); CREATE TABLE wide (id INT PRIMARY KEY, a INT); INSERT INTO wide VALUES (1, 2)",
    );
    const report = await verify({ ...both, env: {} });
    expect(report.notCompared.map(({ table }) => table)).toEqual(["lonely"]);
    expect(report.keyless).toMatchObject([{ table: "keyless", sqlite: 0, postgres: 0, same: true }]);
    expect(report.schema).toContainEqual({ table: "wide", side: "postgres", kind: "column", columns: ["b"] });
    expect(report).toMatchObject({ equal: false, tables: [{ table: "wide", equal: 1, ...untouched }] });
    expect(await verify({ ...both, env: {}, tables: ["wide"] })).toMatchObject({ equal: false, notCompared: [] });
  });

  test("a value that PostgreSQL cannot hold is refused, and not equal to the NULL that is there instead", async () => {
    const both = await strangers(
      "CREATE TABLE notes (id INTEGER PRIMARY KEY, n INT); INSERT INTO notes VALUES (1, 'many'), (2, NULL)",
      "CREATE TABLE notes (id INT PRIMARY KEY, n INT); INSERT INTO notes VALUES (1, NULL), (2, NULL)",
    );
    const options = { ...both, env: {} };
    expect(await verify(options)).toMatchObject({ equal: false, tables: [{ equal: 1, refused: 1 }] });
    expect(found(await verify({ ...options, from: "postgres" }))).toEqual(["different 1 n"]);
  });

  test("rows without a key are compared as often as they are there, whatever their order", async () => {
    const both = await strangers(
      `CREATE TABLE log (at TEXT, what TEXT, n REAL, body BLOB); INSERT INTO log VALUES ('2024-01-01T00:00:00Z', '{"b":1e2,"a":[]}', -0.0, x'00ff'),
       (NULL, NULL, 1.5, NULL), (NULL, NULL, 1.5, NULL), ('2024-01-02 12:00:00+02:00', '"x"', 3, x'')`,
      `CREATE TABLE log (n FLOAT8, what JSONB, at TIMESTAMPTZ, body BYTEA); INSERT INTO log VALUES (3, '"x"', '2024-01-02T10:00:00Z', ''),
       (1.5, NULL, NULL, NULL), (0, '{"a":[],"b":100.0}', '2024-01-01T00:00:00Z', '\\x00ff'), (1.5, NULL, NULL, NULL)`,
    );
    const options = { ...both, env: {} };
    expect(await verify(options)).toMatchObject({
      equal: true,
      keyless: [{ sqlite: 4, postgres: 4, refused: 0, same: true }],
    });
    await runAt(both.postgres, "UPDATE log SET n = 1.25 WHERE ctid = (SELECT min(ctid) FROM log WHERE n = 1.5)");
    expect(await verify(options)).toMatchObject({ equal: false, keyless: [{ sqlite: 4, postgres: 4, same: false }] });
    await runAt(both.postgres, "UPDATE log SET n = 1.5 WHERE n = 1.25");
    await runAt(both.postgres, "INSERT INTO log (n) VALUES (1.5)");
    expect(await verify(options)).toMatchObject({ equal: false, keyless: [{ sqlite: 4, postgres: 5, same: false }] });
  });

  test("counters behind their column, orphans, and constraints that one side lacks are said", async () => {
    const both = await strangers(
      `CREATE TABLE parents (id INTEGER PRIMARY KEY, name TEXT UNIQUE); CREATE TABLE children (id INTEGER PRIMARY KEY, parent INT REFERENCES parents (id), age INT CHECK (age > 0));
       PRAGMA foreign_keys = OFF; CREATE INDEX by_age ON children (age); INSERT INTO parents VALUES (1, 'x'), (7, 'y'); INSERT INTO children VALUES (1, 1, 5)`,
      `CREATE TABLE parents (id BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, name TEXT NOT NULL); CREATE TABLE children (id INT PRIMARY KEY, parent INT, age INT);
       INSERT INTO parents VALUES (1, 'x'), (7, 'y'); INSERT INTO children VALUES (1, 1, 5)`,
    );
    const engine = await openAt(both.sqlite);
    await engine.write([sql`PRAGMA foreign_keys = OFF`]);
    await engine.write([sql`INSERT INTO children VALUES (2, 99, 5)`]);
    await engine.close();
    await runAt(both.postgres, "INSERT INTO children VALUES (2, 99, 5)");
    const report = await verify({ ...both, env: {} });
    const sequence = {
      table: "parents",
      column: "id",
      sequence: "parents_id_seq",
      last: null,
      highest: "7",
      readable: true,
    };
    expect(report.sequences).toEqual([sequence]);
    expect(report.orphans).toEqual([
      { side: "sqlite", table: "children", columns: ["parent"], parent: "parents", rows: 1 },
      { side: "postgres", table: "children", columns: ["parent"], parent: "parents", rows: 1 },
    ]);
    expect(report.schema.map(({ side, kind, columns: names }) => [side, kind, ...names].join(" ")).sort()).toEqual([
      "postgres check",
      "postgres foreign key parent",
      "postgres index age",
      "postgres unique name",
      "sqlite not null name",
    ]);
    expect(report.equal).toBe(false);
    await runAt(both.postgres, "SELECT setval(pg_get_serial_sequence('parents', 'id'), 7)");
    expect((await verify({ ...both, env: {} })).sequences).toEqual([]);
  });

  test("a counter is found by the default that asks it, whoever owns it, and said where it may not be asked", async () => {
    const both = await strangers(
      `CREATE TABLE tickets (id INTEGER PRIMARY KEY, no INTEGER, label TEXT); CREATE TABLE seats (id INTEGER PRIMARY KEY);
       INSERT INTO tickets VALUES (5, 9, 'L3'); INSERT INTO seats VALUES (4)`,
      `CREATE SEQUENCE numbers; CREATE SEQUENCE labels;
       CREATE TABLE tickets (id int PRIMARY KEY, no bigint DEFAULT nextval('numbers'), label text DEFAULT 'L' || nextval('labels'));
       CREATE TABLE seats (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY);
       INSERT INTO tickets VALUES (5, 9, 'L3'); INSERT INTO seats OVERRIDING SYSTEM VALUE VALUES (4); SELECT nextval('numbers')`,
    );
    const grants = "GRANT SELECT ON tickets, seats TO ROLE; GRANT USAGE ON numbers TO ROLE";
    const { url: postgres } = await freshRole(both.postgres, grants);
    const report = await verify({ ...both, postgres, env: {} });
    expect(report).toMatchObject({ equal: false, tables: [{ equal: 1 }, { equal: 1 }] });
    expect(report.sequences).toEqual([
      { table: "seats", column: "id", sequence: "seats_id_seq", last: null, highest: "4", readable: false },
      { table: "tickets", column: "no", sequence: "numbers", last: "1", highest: "9", readable: true },
    ]);
  });
});

test("every difference goes to the file, and the first thousand into the result", async () => {
  const { pair } = await filledPair("--S", 1_500);
  await plant(pair, "postgres", "DELETE FROM messages WHERE id <> 'm0000'");
  const output = join(freshDirectory(), "out", "differences.jsonl");
  const report = await verify({ env: pair.env(""), output });
  expect(messagesOf(report)).toMatchObject({ missing: 1_499, differences: { length: 1_000 } });
  const lines = readFileSync(output, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(new Set(lines.map(({ key }) => key)).size).toBe(1_499);
  expect(lines[0]).toEqual({ table: "messages", key: "m0001", kind: "missing" });
  expect(statSync(output).mode & 0o777).toBe(0o600);
});

test("a message that a side does not find by its words is said", async () => {
  const { pair } = await filledPair("--S", 30);
  await script(await pair.sqlite, "INSERT INTO messages_fts (messages_fts) VALUES ('delete-all')");
  const report = await verify({ env: pair.env("") });
  expect(report.equal).toBe(false);
  expect(report.search?.missed.length).toBe(report.search?.words);
  expect(new Set(report.search?.missed.map(({ side }) => side))).toEqual(new Set(["sqlite"]));
});

describe("what cannot be told is an error", () => {
  test("the shadow's side as the source", async () => {
    const { pair } = await filledPair("--S", 1);
    await expect(verify({ env: pair.env(""), from: "postgres" })).rejects.toMatchObject({ code: "NOT_PRIMARY" });
  });

  test("no file, no such table, no server, a folder for the output", async () => {
    const url = await freshPostgres();
    const env = {};
    await expect(verify({ env, sqlite: freshSqlite(), postgres: url })).rejects.toMatchObject({
      code: "DATABASE_UNAVAILABLE",
    });
    const { pair } = await filledPair("--S", 1);
    await expect(verify({ env: pair.env(""), tables: ["nothing"] })).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    await expect(verify({ env, sqlite: pair.file, postgres: "postgres://u:p@127.0.0.1:1/x" })).rejects.toMatchObject({
      code: "DATABASE_UNAVAILABLE",
    });
    await expect(verify({ env: pair.env(""), output: freshDirectory() })).rejects.toMatchObject({
      code: "FILE_UNUSABLE",
    });
  });

  test("an interruption", async () => {
    const { pair } = await filledPair("--S", 1);
    await expect(verify({ env: pair.env(""), signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: "INTERRUPTED",
    });
  });
});

test("two connections are taken where only one is allowed", async () => {
  const { pair } = await filledPair("--S", 600);
  await plant(pair, "postgres", "DELETE FROM messages");
  expect(messagesOf(await verify({ env: pair.env("", { POSTGRES_POOL_SIZE: "1" }) })).missing).toBe(600);
});
