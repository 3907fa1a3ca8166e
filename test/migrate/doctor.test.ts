import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createClient } from "@libsql/client";
import { describe, expect, onTestFinished, test } from "vitest";
import { openPostgres } from "../../src/engines/postgres.js";
import { silentLogger } from "../../src/logger.js";
import { type CopyOptions, copy } from "../../src/migrate/copy.js";
import { type DoctorReport, doctor, type FindingGroup } from "../../src/migrate/doctor.js";
import type { Progress } from "../../src/migrate/progress.js";
import { rejectsIn } from "../../src/migrate/rejects.js";
import { freshDirectory, freshPostgres, freshSqlite } from "../support/databases.js";
import { dirtyIds, makeOldBotFile } from "../support/old-bot.js";
import { TestPair } from "../support/pair.js";
import { runAt } from "../support/postgres.js";
import { configOf } from "../support/postgres-config.js";
import { freshRole } from "../support/role.js";

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

/** Copies, and expects that what is set aside is what the doctor has called refused: as many rows of each table, and the same ones. */
async function expectAsCopied(options: CopyOptions, { tables, findings }: Pick<DoctorReport, "tables" | "findings">) {
  const rejects = join(freshDirectory(), "rejects");
  const copied = await copy({ ...options, rejects });
  const aside = copied.tables.map(({ table, read, setAside }) => ({ table, rows: read, refused: setAside }));
  expect(aside.sort(byTable)).toEqual(tables.map(({ planned, ...table }) => table).sort(byTable));
  for (const { table } of tables) {
    const kept: string[] = [];
    const file = join(rejects, `${table}.jsonl`);
    if (existsSync(file)) for await (const { reject } of rejectsIn(file)) kept.push(reject.key);
    const told = findings.filter((group) => group.table === table && group.action === "refused");
    const isKeyless = told.some(({ keys }) => keys.length === 0);
    if (isKeyless) expect(kept).toHaveLength(told.reduce((sum, { count }) => sum + count, 0));
    else expect(kept.sort()).toEqual(told.flatMap(({ keys }) => keys).sort());
  }
}

const errorsOf = ({ problems }: DoctorReport) =>
  problems
    .filter(({ severity }) => severity !== "note")
    .map(({ side, table, column, problem }) => [side, table, column, problem]);

test("the file of an old bot whose rows are all right is healthy", async () => {
  const pair = await TestPair.create();
  await makeOldBotFile(pair.file, { rows: 50, dirty: false });
  const report = await doctor({ env: pair.env("---") });
  expect(report).toMatchObject({ healthy: true, findings: [] });
  expect(errorsOf(report)).toEqual([]);
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

test("tells how far it has come in each table, and how far it is", async () => {
  const text =
    "CREATE TABLE notes (id INTEGER PRIMARY KEY); CREATE TABLE pairs (a INTEGER, b INTEGER, PRIMARY KEY (a, b))";
  const rows = `INSERT INTO notes WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) SELECT i FROM n`;
  const given = await databases(`${text} WITHOUT ROWID; ${rows}; INSERT INTO pairs VALUES (1, 1)`, text);
  const seen: Progress[] = [];
  await doctor({ ...given, batchSize: 200, onProgress: (progress) => seen.push(progress) });
  const inNotes = seen.filter(({ table }) => table === "notes");
  expect(inNotes.every(({ step, total }) => step === "scan" && total === 500)).toBe(true);
  expect(inNotes[0]?.rows).toBeLessThan(500);
  expect(inNotes.at(-1)?.rows).toBe(500);
  expect(seen.at(-1)).toEqual({ step: "scan", table: "pairs", rows: 1, total: 1 });
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
  const { tables } = await doctor({ ...given, batchSize: 1_000, onProgress });
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
    "players.email refused 1 (4): another row has the same unique value (players_email_key)",
    "players.mood refused 1 (5): no value of the column's type (22P02)",
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

  test("may point to one that is there", async () => {
    const options = await databases(sqlite, "CREATE TABLE teams (id bigint PRIMARY KEY, name varchar(3))");
    const report = await doctor({ ...options, createTables: true });
    expect(report.findings.filter(({ action }) => action === "refused").map(short)).toEqual([
      "players.team refused 1 (2): no such row in teams",
    ]);
    expect(errorsOf(report)).toEqual([]);
    await expectAsCopied({ ...options, createTables: true }, report);
  });

  test("and that point to one that somebody writes to: nobody has to wait behind the doctor for long", async () => {
    const options = await databases(sqlite, "CREATE TABLE teams (id bigint PRIMARY KEY, name text)");
    const writer = openPostgres({ config: configOf(options.postgres), logger: silentLogger });
    await writer.transaction({ mode: "write", timeoutMs: 60_000 }, async (transaction) => {
      await transaction.script("INSERT INTO teams VALUES (7, 'seven')");
      await expect(doctor({ ...options, createTables: true })).rejects.toMatchObject({ code: "DATABASE_BUSY" });
    });
    await writer.close();
  }, 30_000);

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
      "folders.name refused 1 (6): another row has the same unique value (folders_name_key)",
      "folders.parent refused 3 (1 2 7): its row in folders would not arrive",
      "folders.parent refused 1 (3): no such row in folders",
      "teams.size refused 1 (2): integer beyond the column's range",
      "players.email refused 2 (3 10): another row has the same unique value (players_email_key)",
      "players.nick refused 1 (7): another row has the same unique value (players_nick_key)",
      "players.team refused 1 (1): no such row in teams",
      "players.team refused 1 (5): its row in teams would not arrive",
    ]);
    await expectAsCopied(options, { findings, tables });
  });
});

describe("rows of which only PostgreSQL can tell are those that a copy sets aside", () => {
  test("for keys that conversion brings together, indexes of any kind, domains, other comparisons, and without a key", async () => {
    const options = await databases(
      `CREATE TABLE codes (id INTEGER PRIMARY KEY, n UNIQUE); INSERT INTO codes VALUES (1, 1), (2, 1.4), (3, '1'), (4, 2);
       CREATE TABLE moments (id INTEGER PRIMARY KEY, at TEXT UNIQUE);
       INSERT INTO moments VALUES (1, '2024-01-01T00:00:00Z'), (2, '2024-01-01 01:00:00+01:00'), (3, '2024-01-02 00:00:00');
       CREATE TABLE names (id INTEGER PRIMARY KEY, name TEXT, active INTEGER, n INTEGER, during TEXT);
       INSERT INTO names VALUES (1, 'Ada', 1, 1, '[1,5)'), (2, 'ADA', 1, 2, '[5,6)'), (3, 'Bob', 1, 1, '[6,7)'), (4, 'Cid', 0, 1, '[4,5)'), (5, 'Dan', 0, 1, '[9,10)'),
         (6, 'Eve', 1, 0, '[20,21)');
       CREATE TABLE people (name TEXT COLLATE NOCASE PRIMARY KEY); INSERT INTO people VALUES ('ada'), ('Bob');
       CREATE TABLE pets (id INTEGER PRIMARY KEY, owner TEXT REFERENCES people (name)); INSERT INTO pets VALUES (1, 'ADA'), (2, 'Bob'), (3, 'Zoe');
       CREATE TABLE shorts (id INTEGER PRIMARY KEY, code TEXT); INSERT INTO shorts VALUES (1, 'abc'), (2, 'abcdefgh');
       CREATE TABLE wide (id INTEGER PRIMARY KEY, a TEXT, b TEXT, UNIQUE (a, b));
       INSERT INTO wide VALUES (1, hex(randomblob(600)), hex(randomblob(600))), (2, hex(randomblob(1300)), hex(randomblob(1250)));
       CREATE TABLE bytes (id INTEGER PRIMARY KEY, raw BLOB); INSERT INTO bytes VALUES (1, randomblob(2000)), (2, randomblob(3000));
       CREATE TABLE loose (n INTEGER, mood TEXT); INSERT INTO loose VALUES (1, 'good'), (-1, 'good'), (1, 'odd'), (1, 'good');
       CREATE TABLE logs (id INTEGER PRIMARY KEY, day INTEGER); INSERT INTO logs VALUES (1, 5), (2, 25), (3, 99);
       CREATE TABLE tickets (id INTEGER PRIMARY KEY, what TEXT); INSERT INTO tickets VALUES (1, 'a'), (2, 'b');`,
      `CREATE DOMAIN short AS text CHECK (length(VALUE) < 5); CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE SEQUENCE numbers;
       CREATE TABLE codes (id bigint PRIMARY KEY, n int UNIQUE); CREATE TABLE moments (id bigint PRIMARY KEY, at timestamptz UNIQUE);
       CREATE TABLE names (id bigint PRIMARY KEY, name text, active boolean, n int, during int4range, CONSTRAINT apart EXCLUDE USING gist (during WITH &&));
       CREATE UNIQUE INDEX one_name ON names (lower(name)); CREATE UNIQUE INDEX one_active ON names (n) WHERE active; CREATE INDEX shares ON names ((100 / n));
       CREATE TABLE people (name text PRIMARY KEY); CREATE TABLE pets (id bigint PRIMARY KEY, owner text REFERENCES people);
       CREATE TABLE shorts (id bigint PRIMARY KEY, code short); CREATE TABLE wide (id bigint PRIMARY KEY, a text, b text, CONSTRAINT both_wide UNIQUE (a, b));
       CREATE TABLE bytes (id bigint PRIMARY KEY, raw bytea); CREATE INDEX by_raw ON bytes (raw);
       CREATE TABLE loose (n int CHECK (n > 0), mood mood);
       CREATE TABLE logs (id bigint, day int, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
       CREATE TABLE logs_10 PARTITION OF logs FOR VALUES FROM (0) TO (10); CREATE TABLE logs_30 PARTITION OF logs FOR VALUES FROM (20) TO (30);
       CREATE TABLE tickets (id bigint PRIMARY KEY, what text, no bigint NOT NULL UNIQUE DEFAULT nextval('numbers'));`,
    );
    const report = await doctor(options);
    expect(
      report.findings
        .filter(({ action }) => action === "refused")
        .map(short)
        .sort(),
    ).toEqual([
      "bytes.raw refused 1 (2): larger than an index or a search vector can hold (by_raw)",
      "codes.n refused 2 (2 3): another row has the same unique value (codes_n_key)",
      "logs.day refused 1 (): a CHECK does not hold (no partition)",
      "loose.mood refused 1 (): no value of the column's type (22P02)",
      "loose.n refused 1 (): a CHECK does not hold (loose_n_check)",
      "moments.at refused 1 (2): another row has the same unique value (moments_at_key)",
      "names.during refused 1 (4): another row excludes it (apart)",
      "names.lower(name) refused 1 (2): another row has the same unique value (one_name)",
      "names.n refused 1 (3): another row has the same unique value (one_active)",
      "names.n refused 1 (6): VALUE_REFUSED 22012",
      "pets.owner refused 1 (1): its row in people is spelled otherwise, which PostgreSQL tells apart",
      "pets.owner refused 1 (3): no such row in people",
      "shorts.code refused 1 (2): a CHECK does not hold (short_check)",
      "wide.a refused 1 (2): larger than an index or a search vector can hold (both_wide)",
    ]);
    // Nothing has taken a number of the sequence, and none of the tables a row.
    expect(await runAt(options.postgres, "SELECT is_called FROM numbers")).toEqual([{ is_called: false }]);
    expect(await runAt(options.postgres, "SELECT id FROM tickets")).toEqual([]);
    await expectAsCopied(options, report);
  });

  test("for parents that are not copied, those of PostgreSQL alone count", async () => {
    const options = await databases(
      `CREATE TABLE teams (id INTEGER PRIMARY KEY); INSERT INTO teams VALUES (1), (2); CREATE TABLE players (id INTEGER PRIMARY KEY, team INTEGER);
       INSERT INTO players VALUES (1, 1), (2, 2)`,
      "CREATE TABLE teams (id bigint PRIMARY KEY); INSERT INTO teams VALUES (2); CREATE TABLE players (id bigint PRIMARY KEY, team bigint REFERENCES teams)",
    );
    const chosen = { ...options, tables: ["players"] };
    const report = await doctor(chosen);
    expect(report.findings.map(short)).toEqual(["players.team refused 1 (1): no such row in PostgreSQL's teams"]);
    await expectAsCopied(chosen, report);
  });

  test("and what a trigger would do is not tried, but said", async () => {
    const text = "CREATE TABLE notes (id INTEGER PRIMARY KEY, n INTEGER); CREATE TABLE others (id INTEGER PRIMARY KEY)";
    const options = await databases(
      `${text}; INSERT INTO notes VALUES (1, 1), (2, -1); INSERT INTO others VALUES (1)`,
      `${text}; CREATE SEQUENCE runs;
       CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('runs'); IF NEW.n < 0 THEN RAISE 'below'; END IF; RETURN NEW; END $$;
       CREATE TRIGGER looks BEFORE INSERT ON notes FOR EACH ROW EXECUTE FUNCTION look();
       CREATE TRIGGER later BEFORE UPDATE ON others FOR EACH ROW EXECUTE FUNCTION look();`,
    );
    const { healthy, problems, tables } = await doctor(options);
    expect({ healthy, tables: tables.map(({ refused }) => refused) }).toEqual({ healthy: false, tables: [0, 0] });
    const warnings = problems.filter(({ severity }) => severity !== "note");
    expect(warnings.map(({ severity, table, stops }) => [severity, table, stops])).toEqual([
      ["warning", "notes", null],
    ]);
    expect(warnings[0]?.problem).toContain("whether its trigger looks lets rows through as they are could not be told");
    expect(warnings[0]?.next).toContain('ALTER TABLE "notes" DISABLE TRIGGER "looks"');
    expect(await runAt(options.postgres, "SELECT is_called FROM runs")).toEqual([{ is_called: false }]);
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

test("a type that holds less, and constraints that SQLite alone has, unless PostgreSQL's types say the same", async () => {
  const options = await databases(
    `CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER NOT NULL CHECK (n > 0), low INTEGER, high INTEGER, flag INTEGER CHECK (flag IN (0, 1)),
       doc TEXT CHECK (json_valid(doc)), mood TEXT CHECK ("mood" IN ('low', 'high')), code TEXT CHECK (length(code) <= 5), age INTEGER CHECK (age > 0),
       kind TEXT CHECK (typeof(kind) = 'text'), CHECK (low < [high]), CHECK (high > 0 AND n < 9))`,
    `CREATE TYPE mood AS ENUM ('low', 'high');
     CREATE TABLE t (id int PRIMARY KEY, n int, low bigint, high bigint, flag boolean, doc jsonb, mood mood, code varchar(5), age bigint CHECK (age >= 1), kind text)`,
  );
  const { healthy, problems } = await doctor(options);
  expect(healthy).toBe(false);
  expect(
    problems.map(({ severity, side, column, problem, stops }) => [severity, side, column, problem, stops]),
  ).toEqual([
    ["note", "postgres", "id", "holds 32 bits, SQLite 64", null],
    ["note", "postgres", "n", "holds 32 bits, SQLite 64", null],
    ["note", "postgres", "code", "holds 5 characters, SQLite any number", null],
    ["warning", "postgres", "n", "the column may be NULL, in SQLite it may not", null],
    ["warning", "postgres", null, "lacks SQLite's CHECKs on (n), (low, high), (n, high)", null],
  ]);
  expect(problems.find(({ column, severity }) => column === "n" && severity === "warning")?.next).toContain(
    'ALTER TABLE "t" ALTER COLUMN "n" SET NOT NULL',
  );
});

describe("what the user may not do in PostgreSQL is said", () => {
  test("with the statement that allows it", async () => {
    const pair = await TestPair.create();
    await makeOldBotFile(pair.file, { rows: 1, dirty: false });
    const role = await freshRole(pair.url, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO ROLE");
    const { problems } = await doctor({ env: {}, sqlite: pair.file, postgres: role.url, tables: ["messages"] });
    expect(problems).toContainEqual({
      severity: "error",
      side: "postgres",
      table: "messages",
      column: null,
      problem: "the user lacks INSERT, UPDATE, DELETE, TRIGGER",
      stops: "copying and mirroring the table",
      next: `As its owner: GRANT INSERT, UPDATE, DELETE, TRIGGER ON messages TO ${role.name};`,
    });
    expect(JSON.stringify(problems)).not.toContain("secret");
  });

  const text = `CREATE TABLE "Order" (id INTEGER PRIMARY KEY, n INTEGER CHECK (n > 0)); CREATE TABLE items (id INTEGER PRIMARY KEY, n INTEGER);`;
  const rows = `${text} PRAGMA ignore_check_constraints = ON; INSERT INTO "Order" VALUES (1, 1), (2, -1), (3, 'x'); INSERT INTO items VALUES (1, 1), (2, 'y')`;
  const all =
    'GRANT CREATE ON SCHEMA public TO ROLE; GRANT SELECT, INSERT, UPDATE, DELETE, TRIGGER ON "Order", items TO ROLE;';
  const seen = ({ problems }: DoctorReport) =>
    problems
      .filter(({ severity }) => severity !== "note")
      .map(({ severity, table, column, problem, stops, next }) => [severity, table, column, problem, stops, next]);

  test("of a sequence that a copy and a change of the primary are to set", async () => {
    const options = await databases(
      rows,
      `CREATE TABLE "Order" (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n int CHECK (n > 0)); CREATE TABLE items (id serial PRIMARY KEY, n int)`,
    );
    const { url: postgres, name } = await freshRole(
      options.postgres,
      `${all} GRANT USAGE, SELECT ON items_id_seq TO ROLE`,
    );
    const report = await doctor({ ...options, postgres });
    expect(report.healthy).toBe(false);
    const raise = (privileges: string, sequence: string) =>
      `As its owner: GRANT ${privileges} ON SEQUENCE ${sequence} TO ${name};`;
    expect(seen(report)).toEqual([
      [
        "warning",
        "Order",
        "id",
        'the user lacks SELECT, UPDATE on "Order_id_seq", its sequence',
        null,
        raise("SELECT, UPDATE", '"Order_id_seq"'),
      ],
      [
        "warning",
        "items",
        "id",
        "the user lacks UPDATE on items_id_seq, its sequence",
        null,
        raise("UPDATE", "items_id_seq"),
      ],
    ]);
    expect(report.tables.map(({ table, refused }) => [table, refused])).toEqual([
      ["Order", 2],
      ["items", 1],
    ]);
  });

  test("of temporary tables, without which nothing is tried, and of reading a table, whose rows are not", async () => {
    const options = await databases(rows, text.replaceAll("INTEGER", "int"));
    const database = new URL(options.postgres).pathname.slice(1);
    const { url: postgres, name } = await freshRole(
      options.postgres,
      `${all} REVOKE TEMPORARY ON DATABASE ${database} FROM PUBLIC`,
    );
    const untried = await doctor({ ...options, postgres });
    const problem =
      "the user lacks TEMPORARY on the database, so that rows of which only PostgreSQL can tell were not tried";
    expect(seen(untried)).toEqual([
      [
        "error",
        null,
        null,
        problem,
        expect.stringContaining("copy"),
        `As its owner: GRANT TEMPORARY ON DATABASE ${database} TO ${name};`,
      ],
    ]);
    expect(untried.tables.map(({ table, rows, refused }) => [table, rows, refused])).toEqual([
      ["Order", 3, 1],
      ["items", 2, 1],
    ]);
    await runAt(
      options.postgres,
      `GRANT TEMPORARY ON DATABASE ${database} TO ${name}; REVOKE SELECT ON "Order" FROM ${name}`,
    );
    const unread = await doctor({ ...options, postgres });
    expect(seen(unread).map(([severity, table, , what, stops]) => [severity, table, what, stops])).toEqual([
      ["error", "Order", "the user lacks SELECT", "copying and mirroring the table"],
      [
        "warning",
        "Order",
        "which of its rows PostgreSQL itself refuses could not be told: the user may not read Order",
        null,
      ],
    ]);
    expect(seen(unread)[0]?.at(-1)).toBe(`As its owner: GRANT SELECT ON "Order" TO ${name};`);
    expect(unread.tables).toEqual(untried.tables);
  });

  test("of rows that policies hide", async () => {
    const options = await databases(
      rows,
      `${text.replaceAll("INTEGER", "int")} ALTER TABLE items ENABLE ROW LEVEL SECURITY`,
    );
    const { url: postgres } = await freshRole(options.postgres, all);
    expect(seen(await doctor({ ...options, postgres }))).toEqual([
      [
        "error",
        "items",
        null,
        expect.stringContaining("row-level security"),
        "copying the table, and comparing it",
        expect.stringContaining("BYPASSRLS"),
      ],
    ]);
    expect(seen(await doctor(options))).toEqual([]);
  });

  test("of a function that a CHECK calls: it ends a copy, too", async () => {
    const options = await databases(
      rows,
      `CREATE FUNCTION fine(n int) RETURNS boolean LANGUAGE sql AS 'SELECT n > 0'; REVOKE EXECUTE ON FUNCTION fine FROM PUBLIC;
       CREATE TABLE "Order" (id int PRIMARY KEY, n int CHECK (fine(n))); CREATE TABLE items (id int PRIMARY KEY, n int)`,
    );
    const { url: postgres } = await freshRole(options.postgres, all);
    const report = await doctor({ ...options, postgres });
    expect(seen(report).map(([severity, table, , , stops]) => [severity, table, stops])).toEqual([
      ["error", "Order", "copying the table, which ends there, too"],
    ]);
    await expect(copy({ ...options, postgres, rejects: join(freshDirectory(), "rejects") })).rejects.toMatchObject({
      code: "ACCESS_DENIED",
    });
  });
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
