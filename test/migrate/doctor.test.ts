import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createClient } from "@libsql/client";
import { describe, expect, onTestFinished, test } from "vitest";
import { copy } from "../../src/migrate/copy.js";
import { type DoctorReport, doctor, type FindingGroup } from "../../src/migrate/doctor.js";
import { rejectsIn } from "../../src/migrate/rejects.js";
import { freshDirectory, freshPostgres, freshSqlite } from "../support/databases.js";
import { dirtyIds, makeOldBotFile } from "../support/old-bot.js";
import { TestPair } from "../support/pair.js";
import { runAt } from "../support/postgres.js";

/** A SQLite file and a PostgreSQL database with tables of their own. */
async function databases(sqlite: string, postgres: string) {
  const file = freshSqlite();
  const client = createClient({ url: `file:${file}`, concurrency: 1 });
  await client.executeMultiple(`PRAGMA foreign_keys = OFF; ${sqlite}`);
  client.close();
  const url = await freshPostgres();
  await runAt(url, postgres);
  return { env: {}, sqlite: file, postgres: url };
}

const short = ({ table, column, action, reason, count, keys }: FindingGroup) =>
  `${table}.${column} ${action} ${count} (${keys.join(" ")}): ${reason}`;

const byTable = (left: { table: string }, right: { table: string }) => left.table.localeCompare(right.table);

const errorsOf = ({ problems }: DoctorReport) =>
  problems
    .filter(({ severity }) => severity !== "note")
    .map(({ side, table, column, problem }) => [side, table, column, problem]);

test("the file of an old bot whose rows are all right is healthy", async () => {
  const pair = await TestPair.create();
  await makeOldBotFile(pair.file, { rows: 50, dirty: false });
  const report = await doctor({ env: pair.env("---") });
  expect(report).toMatchObject({ healthy: true, findings: [] });
  expect(report.tables).toContainEqual({ table: "messages", rows: 50, refused: 0, planned: false });
  expect(report.databases.map(({ side, error }) => [side, error])).toEqual([
    ["sqlite", null],
    ["postgres", null],
  ]);
  expect(report.databases.map(({ version }) => version)).toEqual([
    expect.stringMatching(/^SQLite 3\.\d+/),
    expect.stringMatching(/^PostgreSQL \d+/),
  ]);
});

test("keeps no writer out of a file in SQLite's own journal mode", async () => {
  const text = "CREATE TABLE notes (id INTEGER PRIMARY KEY)";
  const rows = `INSERT INTO notes WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) SELECT i FROM n`;
  const given = await databases(`${text}; ${rows}`, text);
  const writer = createClient({ url: `file:${given.sqlite}`, concurrency: 1, timeout: 0 });
  const written: Promise<unknown>[] = [];
  const onProgress = () => {
    if (written.length === 0) written.push(writer.execute("INSERT INTO notes DEFAULT VALUES"));
  };
  const { tables } = await doctor({ ...given, onProgress });
  expect(await Promise.all(written)).toHaveLength(1);
  expect(tables).toEqual([{ table: "notes", rows: 5_001, refused: 0, planned: false }]);
  expect((await writer.execute("PRAGMA journal_mode")).rows).toEqual([{ journal_mode: "delete" }]);
  writer.close();
});

test("every dirty row of an old bot is listed once, and nothing is changed", async () => {
  const pair = await TestPair.create();
  await makeOldBotFile(pair.file, { rows: 10, dirty: true });
  const { healthy, findings, tables } = await doctor({ env: pair.env("---") });
  expect(healthy).toBe(false);
  const keys = findings.flatMap((group) => group.keys.map((key) => [key, group.action]));
  const { longInteger, empty, refused, notJson, ...altered } = dirtyIds;
  for (const id of Object.values(altered)) expect(keys.filter(([key]) => key === id)).toEqual([[id, "altered"]]);
  expect(keys).toContainEqual([notJson, "wrapped"]);
  expect(keys).toContainEqual([refused, "refused"]);
  expect(keys.map(([key]) => key)).not.toContain(longInteger);
  expect(tables.find(({ table }) => table === "messages")?.rows).toBeGreaterThan(10);
  expect(await pair.count("postgres", "messages")).toBe(0);
  expect(await pair.rows("sqlite", "SELECT name FROM sqlite_master WHERE name LIKE 'dualdb%'")).toEqual([]);
  expect(empty).toBeDefined();
});

test("what only PostgreSQL can refuse is tried there: keys, limits of indexes and search vectors, checks, types", async () => {
  const options = await databases(
    `CREATE TABLE teams (id INTEGER PRIMARY KEY, name TEXT);
     CREATE TABLE players (id INTEGER PRIMARY KEY, team INTEGER REFERENCES teams (id), email TEXT, mood TEXT, age INTEGER, story TEXT, small INTEGER);
     INSERT INTO teams VALUES (1, 'one'), (2, 'two');
     INSERT INTO players VALUES (1, 1, 'a', 'good', 20, 'x', 1), (2, 9, 'b', 'good', 20, 'x', 1), (3, 1, 'same', 'good', 20, 'x', 1),
       (4, 1, 'same', 'good', 20, 'x', 1), (5, 1, 'c', 'odd', 20, 'x', 1), (6, 1, 'd', 'good', -1, 'x', 1), (7, 1, 'e', 'good', 20, 'x', 40000),
       (8, 1, 'f', 'good', 20, CAST(x'00' AS TEXT), 1), (9, NULL, NULL, 'good', 20, 'x', 1.5);
     WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 130000)
       INSERT INTO players SELECT 10, 1, 'g', 'good', 20, group_concat('w' || i, ' '), 1 FROM n;
     INSERT INTO players VALUES (11, 1, hex(randomblob(4000)), 'good', 20, 'x', 1);`,
    `CREATE TYPE mood AS ENUM ('good', 'bad');
     CREATE TABLE teams (id bigint PRIMARY KEY, name text);
     CREATE TABLE players (id bigint PRIMARY KEY, team bigint REFERENCES teams (id), email text UNIQUE, mood mood, age integer CHECK (age >= 0),
       story text, small smallint);
     CREATE INDEX players_story ON players USING gin (to_tsvector('english', story));`,
  );
  const { findings } = await doctor(options);
  expect(findings.map(short).sort()).toEqual([
    "players.age refused 1 (6): a CHECK does not hold (players_age_check)",
    "players.email refused 1 (11): larger than an index or a search vector can hold (players_email_key)",
    "players.email refused 1 (4): duplicate under the unique key (email)",
    "players.mood refused 1 (5): no value of mood (22P02)",
    "players.small altered 1 (9): fraction in an integer column",
    expect.stringMatching(/^players\.small refused 1 \(7\): .*range/),
    "players.story altered 1 (8): NUL or a lone surrogate in text",
    "players.story refused 1 (10): larger than an index or a search vector can hold (54000)",
    "players.team refused 1 (2): no such row in teams",
  ]);
});

describe("tables that PostgreSQL lacks", () => {
  const sqlite = `CREATE TABLE teams (id INTEGER PRIMARY KEY, name TEXT);
    CREATE TABLE players (id INTEGER PRIMARY KEY, team INTEGER REFERENCES teams (id), name TEXT, since TEXT CHECK (since > ''));
    INSERT INTO teams VALUES (1, 'one'), (2, 'a' || char(0) || 'b');
    INSERT INTO players VALUES (1, 1, CAST(x'68e96c' AS TEXT), '2024-01-02'), (2, 9, 'b', '2024-01-02'), (3, NULL, 'c', '2024-01-02');`;
  const tablesOf = (url: string) => runAt(url, "SELECT relname FROM pg_class WHERE relname IN ('teams', 'players')");

  test("are named, and that their rows were not scanned, and how they would be", async () => {
    const { tables, problems, findings, healthy } = await doctor(await databases(sqlite, "SELECT"));
    expect({ tables, findings, healthy }).toEqual({ tables: [], findings: [], healthy: false });
    const missing = problems.filter(({ severity }) => severity === "error");
    expect(missing.map(({ table, problem }) => [table, problem])).toEqual([
      ["players", "PostgreSQL has no such table: its rows were not scanned"],
      ["teams", "PostgreSQL has no such table: its rows were not scanned"],
    ]);
    expect(missing[0]?.next).toContain("npx dualdb doctor --create-tables");
  });

  test("are scanned as the copy that makes them takes them, and are not made", async () => {
    const options = { ...(await databases(sqlite, "SELECT")), createTables: true };
    const { tables, problems, findings, healthy } = await doctor(options);
    expect(healthy).toBe(false);
    expect(tables).toEqual([
      { table: "players", rows: 3, refused: 1, planned: true },
      { table: "teams", rows: 2, refused: 0, planned: true },
    ]);
    expect(findings.map(short).sort()).toEqual([
      "players.name altered 1 (1): text that is not UTF-8",
      "players.team refused 1 (2): no such row in teams",
      "teams.name altered 1 (2): NUL or a lone surrogate in text",
    ]);
    const notes = problems.map(({ severity, table, problem }) => [severity, table, problem]);
    expect(notes).toContainEqual(["note", "players", "the table is not there yet"]);
    expect(notes).toContainEqual(["note", "players", "CHECK (since > '') is left out"]);
    expect(notes.filter(([severity]) => severity !== "note")).toEqual([]);
    expect(await tablesOf(options.postgres)).toEqual([]);
    const copied = await copy({ ...options, rejects: join(freshDirectory(), "rejects") });
    expect(copied.tables.map(({ table, read, setAside }) => [table, read, setAside]).sort()).toEqual([
      ["players", 3, 1],
      ["teams", 2, 0],
    ]);
  });

  test("are not scanned for somebody who may not make them", async () => {
    const role = `looker_${process.pid}`;
    const options = await databases(sqlite, `CREATE ROLE ${role} LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC`);
    onTestFinished(() => runAt(options.postgres, `DROP ROLE ${role}`).then(() => undefined));
    const postgres = new URL(options.postgres);
    postgres.username = role;
    const { tables, problems } = await doctor({ ...options, postgres: postgres.href, createTables: true });
    expect(tables).toEqual([]);
    const errors = problems.filter(({ severity }) => severity === "error").map(({ problem }) => problem);
    expect(errors).toContain("the user lacks CREATE on schema public");
    expect(errors).toContain("PostgreSQL has no such table: its rows were not scanned");
  });
});

describe("rows that stand in each other's way", () => {
  const both = `CREATE TABLE teams (id INTEGER PRIMARY KEY, code TEXT UNIQUE, size INTEGER);
    CREATE TABLE players (id INTEGER PRIMARY KEY, team TEXT, email TEXT, nick TEXT);
    CREATE TABLE folders (id INTEGER PRIMARY KEY, parent INTEGER, name TEXT);`;
  const sqlite = `${both}
    INSERT INTO teams VALUES (1, 'one', 5), (2, 'two', 99999999999), (3, 'three', 5);
    INSERT INTO players VALUES (1, 'none', 'shared', 'a'), (2, 'one', 'shared', 'b'), (3, 'one', 'shared', 'c'), (4, 'one', 'd', 'c'),
      (5, 'two', 'e', 'e'), (6, 'one', 'e', 'f'), (7, 'one', 'Shared', 'f'), (8, NULL, NULL, 'x'), (9, NULL, NULL, 'y'), (10, 'one', 'd', 'f');
    INSERT INTO folders VALUES (5, NULL, 'root'), (4, 5, 'child'), (3, 77, 'alone'), (2, 3, 'below'), (1, 2, 'deep'), (6, 5, 'child'), (7, 6, 'below it');`;
  const postgres = `${both}
    ALTER TABLE players ADD FOREIGN KEY (team) REFERENCES teams (code), ADD UNIQUE (email), ADD UNIQUE (nick);
    ALTER TABLE folders ADD FOREIGN KEY (parent) REFERENCES folders (id), ADD UNIQUE (name);`;

  test("are as many as a copy then sets aside, and the same", async () => {
    const options = await databases(sqlite, postgres);
    const { findings, tables } = await doctor(options);
    expect(findings.map(short)).toEqual([
      "folders.name refused 1 (6): duplicate under the unique key (name)",
      "folders.parent refused 1 (3): no such row in folders",
      "folders.parent refused 3 (2 7 1): its row in folders would not arrive",
      "teams.size refused 1 (2): integer beyond the column's range",
      "players.team refused 1 (1): no such row in teams",
      "players.team refused 1 (5): its row in teams would not arrive",
      "players.email refused 2 (3 10): duplicate under the unique key (email)",
      "players.nick refused 1 (7): duplicate under the unique key (nick)",
    ]);
    const rejects = join(freshDirectory(), "rejects");
    const copied = await copy({ ...options, rejects });
    const aside = copied.tables.map(({ table, read, setAside }) => ({ table, rows: read, refused: setAside }));
    expect(aside.sort(byTable)).toEqual(tables.map(({ planned, ...table }) => table).sort(byTable));
    for (const { table } of tables) {
      const kept: string[] = [];
      for await (const { reject } of rejectsIn(join(rejects, `${table}.jsonl`))) kept.push(reject.key);
      const told = findings.filter((group) => group.table === table).flatMap(({ keys }) => keys);
      expect(kept.sort()).toEqual(told.sort());
    }
  });
});

test("too much text in a column that is NOT NULL is found in the bot's own tables", async () => {
  const pair = await TestPair.create();
  await makeOldBotFile(pair.file, { rows: 2, dirty: false });
  const words = `WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 130000)
    UPDATE messages SET message_content = (SELECT group_concat('w' || i, ' ') FROM n) WHERE id = 'old-message-1'`;
  await (await pair.sqlite).transaction({ mode: "write" }, (transaction) => transaction.script(words));
  const { findings } = await doctor({ env: pair.env("---") });
  expect(findings.map(short)).toEqual([
    "messages.message_content refused 1 (old-message-1): larger than an index or a search vector can hold (54000)",
  ]);
});

test("differences between the schemas are problems with a next step", async () => {
  const options = await databases(
    `CREATE TABLE "Order Items" (id INTEGER PRIMARY KEY, "Unit Price" REAL, note TEXT, total AS ("Unit Price" * 2), UNIQUE (note));
     CREATE INDEX prices ON "Order Items" ("Unit Price"); CREATE UNIQUE INDEX notes ON "Order Items" (note);
     CREATE TABLE lonely (id INTEGER PRIMARY KEY);
     CREATE TABLE keyless (a TEXT);`,
    `CREATE TABLE order_items (id bigint PRIMARY KEY, unit_price numeric(9, 2), extra text, other bigint UNIQUE);
     CREATE TABLE keyless (a text);
     CREATE TABLE beside (id bigint PRIMARY KEY);`,
  );
  const report = await doctor(options);
  expect(report.healthy).toBe(false);
  expect(new Set(errorsOf(report).map(String)).size).toBe(errorsOf(report).length);
  expect(errorsOf(report).map(([, , , problem]) => problem)).not.toContainEqual(
    expect.stringContaining("SQLite's notes"),
  );
  expect(report.problems.find(({ table }) => table === "keyless")?.severity).toBe("warning");
  expect(errorsOf(report)).toEqual(
    expect.arrayContaining([
      ["postgres", "lonely", null, "PostgreSQL has no such table: its rows were not scanned"],
      ["sqlite", "keyless", null, expect.stringContaining("primary key")],
      ["postgres", "Order Items", "note", "the column is missing"],
      ["sqlite", "Order Items", "extra", "the column is missing"],
      ["sqlite", "Order Items", null, "lacks the unique key (other)"],
      ["postgres", "Order Items", null, "lacks the unique key (note)"],
      ["postgres", "Order Items", null, "lacks an index on (unit_price), as SQLite's prices"],
    ]),
  );
  const notes = report.problems.filter(({ severity }) => severity === "note");
  expect(notes.map(({ table, column, problem }) => [table, column, problem])).toEqual(
    expect.arrayContaining([
      ["Order Items", "total", "the database computes this column"],
      ["beside", null, "only PostgreSQL has this table"],
      ["Order Items", "Unit Price", "holds 9 digits, 2 of them behind the point"],
    ]),
  );
  expect(report.problems.every(({ next }) => next.length > 0)).toBe(true);
  expect((await doctor({ ...options, tables: ["lonely"] })).tables).toEqual([]);
});

test("what the user may not do in PostgreSQL is said with the statement that allows it", async () => {
  const pair = await TestPair.create();
  await makeOldBotFile(pair.file, { rows: 1, dirty: false });
  const role = `reader_${process.pid}`;
  onTestFinished(() => runAt(pair.url, `DROP OWNED BY ${role}; DROP ROLE ${role}`).then(() => undefined));
  await runAt(
    pair.url,
    `CREATE ROLE ${role} LOGIN PASSWORD 'secret'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO ${role}`,
  );
  const url = new URL(pair.url);
  url.username = role;
  url.password = "secret";
  const { problems } = await doctor({ env: {}, sqlite: pair.file, postgres: url.href, tables: ["messages"] });
  expect(problems).toContainEqual({
    severity: "error",
    side: "postgres",
    table: "messages",
    column: null,
    problem: "the user lacks INSERT, UPDATE, DELETE, TRIGGER",
    next: `As its owner: GRANT INSERT, UPDATE, DELETE, TRIGGER ON messages TO ${role};`,
  });
  expect(JSON.stringify(problems)).not.toContain("secret");
});

describe("a database that cannot be looked at is part of the report", () => {
  const nowhere = "postgres://nobody:s3cret@127.0.0.1:1/x";

  test("PostgreSQL that does not answer", async () => {
    const file = freshSqlite();
    await makeOldBotFile(file, { rows: 1, dirty: false });
    const report = await doctor({ env: {}, sqlite: file, postgres: nowhere });
    expect(report.healthy).toBeNull();
    expect(report.databases.map(({ error }) => error?.code)).toEqual([undefined, "DATABASE_UNAVAILABLE"]);
    expect(JSON.stringify(report)).not.toContain("s3cret");
  });

  test.each([
    ["a file that is not there", () => undefined, "DATABASE_UNAVAILABLE"],
    ["a directory", (path: string) => mkdirSync(path), "DATABASE_UNUSABLE"],
    ["no database", (path: string) => writeFileSync(path, "x".repeat(5_000)), "DATABASE_UNUSABLE"],
  ])("%s", async (_name, make, code) => {
    const path = join(freshDirectory(), "bot.db");
    make(path);
    const { healthy, databases } = await doctor({ env: {}, sqlite: path, postgres: nowhere });
    expect(healthy).toBeNull();
    expect(databases[0]).toMatchObject({ side: "sqlite", name: path, version: null, error: { code } });
  });

  test("without a PostgreSQL there is nothing to compare with, and an unknown table is a mistake", async () => {
    await expect(doctor({ env: {} })).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    const pair = await TestPair.create();
    await makeOldBotFile(pair.file, { rows: 1, dirty: false });
    const env = pair.env("---");
    await expect(doctor({ env, tables: ["mesages"] })).rejects.toThrow(
      "SQLite has no table mesages. It has document_collaborators, documents",
    );
    await expect(doctor({ env, signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "INTERRUPTED" });
  });
});
