import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { type CopyReport, copy } from "../../src/migrate/copy.js";
import { freshDirectory, freshPostgres } from "../support/databases.js";
import { openAt, script, serverConfig, sqlite } from "../support/libsql.js";
import { runAt } from "../support/postgres.js";
import { sqldRuns, startSqld } from "../support/sqld.js";
import { counts, databases, linesOf, numbers } from "../support/strangers.js";

const cats = "CREATE TABLE cat (id INTEGER PRIMARY KEY, up INTEGER REFERENCES cat, slug TEXT UNIQUE)";
const there = "CREATE TABLE cat (id bigint PRIMARY KEY, up bigint REFERENCES cat, slug text UNIQUE)";

function aside({ tables }: CopyReport) {
  return tables.flatMap(({ table, findings }) =>
    findings.flatMap(({ keys, column, reason }) => keys.map((key) => [table, key, column, reason])),
  );
}

const orphaned = "the row that its foreign key points to is not there";
const duplicate = "another row has the same unique value";

describe("a table that points to itself, into PostgreSQL", () => {
  test("a row whose unique value is held by one that only PostgreSQL has is set aside, with its children, and all else arrives", async () => {
    const both = await databases(
      `${cats}; INSERT INTO cat VALUES (1, NULL, 'a'), (2, 1, 'b'); CREATE TABLE later (id INTEGER PRIMARY KEY); INSERT INTO later VALUES (1)`,
      "",
    );
    await both.copy({ createTables: true });
    await both.sqlite("DELETE FROM cat WHERE id = 2; INSERT INTO cat VALUES (3, 1, 'b'), (4, 3, 'd'), (5, 1, 'e')");
    const report = await both.copy();
    expect(counts(report)).toEqual([
      ["cat", 4, 1, 1, 2, 1],
      ["later", 1, 0, 1, 0, 0],
    ]);
    expect(aside(report)).toEqual([
      ["cat", "3", "slug", `${duplicate} (cat_slug_key)`],
      ["cat", "4", "up", orphaned],
    ]);
    expect(linesOf(join(both.rejects, "cat.jsonl")).map(({ key }) => key)).toEqual(["3", "4"]);
    expect(counts(await both.copy())[0]).toEqual(["cat", 4, 0, 2, 2, 1]);
  });

  test("rows that swap their unique values, or hand them on, arrive", async () => {
    const both = await databases(
      `${cats}; INSERT INTO cat VALUES (1, NULL, 'a'), (2, 1, 'b'), (3, 2, 'c'), (4, 3, 'd'), (5, 4, NULL)`,
      there,
    );
    await both.copy();
    await both.sqlite(
      "UPDATE cat SET slug = NULL; UPDATE cat SET slug = substr('badeec', id, 1) WHERE id <> 5; UPDATE cat SET slug = 'c' WHERE id = 5",
    );
    expect(counts(await both.copy())).toEqual([["cat", 5, 5, 0, 0, 0]]);
    await both.expectEqual();
    expect(counts(await both.copy())).toEqual([["cat", 5, 0, 5, 0, 0]]);
  });

  test("values in columns that take no NULL are swapped, too: texts, numbers, uuids, and those of two columns", async () => {
    const both = await databases(
      `CREATE TABLE cat (id INTEGER PRIMARY KEY, up INTEGER REFERENCES cat, slug TEXT NOT NULL UNIQUE, place INTEGER NOT NULL UNIQUE, tag UUID NOT NULL UNIQUE, a INTEGER NOT NULL, b TEXT NOT NULL, UNIQUE (a, b));
       ${numbers(40)} INSERT INTO cat SELECT i, NULLIF(i - 1, 0), 's' || i, i, '00000000-0000-0000-0000-0000000000' || (10 + i), i % 2, 'b' || (i / 2) FROM n`,
      `CREATE TABLE cat (id int PRIMARY KEY, up int REFERENCES cat, slug varchar(8) NOT NULL UNIQUE, place smallint NOT NULL UNIQUE CHECK (place > 0), tag uuid NOT NULL UNIQUE, a int NOT NULL, b text NOT NULL, UNIQUE (a, b))`,
    );
    await both.copy();
    await both.sqlite(
      `UPDATE cat SET slug = 'x' || slug, place = -place, tag = 'x' || tag, b = 'x' || b;
       UPDATE cat SET slug = 's' || (41 - id), place = 41 - id, tag = '00000000-0000-0000-0000-0000000000' || (51 - id), a = (41 - id) % 2, b = 'b' || ((41 - id) / 2)`,
    );
    expect(counts(await both.copy())).toEqual([["cat", 40, 40, 0, 0, 0]]);
    await both.expectEqual();
  });

  test("what a trigger refuses is set aside, with what hangs on it and what waits for its unique value", async () => {
    const both = await databases(
      `${cats}; ${numbers(60)} INSERT INTO cat SELECT i, CASE WHEN i > 3 THEN i / 3 END, 's' || i FROM n`,
      `${there}; INSERT INTO cat SELECT i, NULL, 's' || i FROM generate_series(1, 10) AS i`,
    );
    await runAt(
      both.url,
      `CREATE FUNCTION no_seven() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
         IF NEW.id IN (7, 40) THEN RAISE EXCEPTION 'not this one'; END IF; RETURN NEW; END $$`,
    );
    await runAt(
      both.url,
      "CREATE TRIGGER no_seven AFTER INSERT OR UPDATE ON cat FOR EACH ROW EXECUTE FUNCTION no_seven()",
    );
    // 7 was to let go of its value for 8; 40 has no children; 13, 14 and 15 are new and hang on nobody refused.
    await both.sqlite("UPDATE cat SET slug = 'seven' WHERE id = 7; UPDATE cat SET slug = 's7' WHERE id = 8");
    const report = await both.copy();
    expect(counts(report)).toEqual([["cat", 60, 54, 3, 3, 0]]);
    expect(aside(report)).toEqual([
      ["cat", "7", "", "QUERY_FAILED P0001"],
      ["cat", "40", "", "QUERY_FAILED P0001"],
      ["cat", "8", "slug", `${duplicate} (cat_slug_key)`],
    ]);
    expect(counts(await both.copy())).toEqual([["cat", 60, 0, 57, 3, 0]]);
  });

  test("a new row that is refused takes its descendants along, and no others", async () => {
    const both = await databases(
      `PRAGMA defer_foreign_keys = ON; CREATE TABLE a (id INTEGER PRIMARY KEY, b INTEGER REFERENCES b); CREATE TABLE b (id INTEGER PRIMARY KEY, a INTEGER REFERENCES a);
       ${numbers(30)} INSERT INTO a SELECT i, i FROM n; ${numbers(30)} INSERT INTO b SELECT i, CASE WHEN i % 3 = 0 THEN i ELSE i - 1 END FROM n WHERE i > 1;
       INSERT INTO b VALUES (1, NULL)`,
      `CREATE TABLE a (id int PRIMARY KEY, b int); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a);
       ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b`,
    );
    await runAt(
      both.url,
      `CREATE FUNCTION picky() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
         IF NEW.id = 12 THEN RAISE EXCEPTION 'not this one'; END IF; RETURN NEW; END $$`,
    );
    await runAt(both.url, "CREATE TRIGGER picky BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION picky()");
    // Rows of three stand together: a3 b3 in a ring, a4 b4 behind it, a5 b5 behind that.
    const report = await both.copy();
    expect(counts(report).sort()).toEqual([
      ["a", 30, 27, 0, 3, 0],
      ["b", 30, 27, 0, 3, 0],
    ]);
    expect(
      aside(report)
        .map(([table, key]) => `${table}${key}`)
        .sort(),
    ).toEqual(["a12", "a13", "a14", "b12", "b13", "b14"]);
    expect(counts(await both.copy()).sort()).toEqual([
      ["a", 30, 0, 27, 3, 0],
      ["b", 30, 0, 27, 3, 0],
    ]);
  });

  test("of rows that are alike the one that PostgreSQL has already stays", async () => {
    const both = await databases(
      `CREATE TABLE cat (id INTEGER PRIMARY KEY, up INTEGER REFERENCES cat, slug TEXT); INSERT INTO cat VALUES (7, NULL, 'a'), (8, NULL, 'n')`,
      there,
    );
    await both.copy();
    await both.sqlite("INSERT INTO cat VALUES (1, 7, 'a'), (2, 7, 'n'), (3, 7, 'z'), (4, 7, 'z'), (5, 4, 'y')");
    const report = await both.copy();
    expect(counts(report)).toEqual([["cat", 7, 1, 2, 4, 0]]);
    expect(
      aside(report)
        .map(([, key]) => key)
        .sort(),
    ).toEqual(["1", "2", "4", "5"]);
  });

  test("a value that is too large for an index or a search vector is named by its column", async () => {
    const large = "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 700)";
    const both = await databases(
      `CREATE TABLE notes (id INTEGER PRIMARY KEY, up INTEGER REFERENCES notes, a TEXT, b TEXT, c TEXT, d TEXT);
       INSERT INTO notes VALUES (1, NULL, 'a', 'b', 'c', 'd');
       ${large} INSERT INTO notes SELECT 2, 1, 'a', group_concat(hex(randomblob(8)), ''), 'c', 'd' FROM n;
       ${large} INSERT INTO notes SELECT 3, 1, substr(group_concat(hex(randomblob(8)), ''), 1, 6000), 'b', 'c', 'd' FROM n;
       ${large} INSERT INTO notes SELECT 4, 2, 'a', 'b', 'c', group_concat(hex(randomblob(1000)), ' ') FROM n`,
      `CREATE TABLE notes (id int PRIMARY KEY, up int REFERENCES notes, a text, b text, c text, d text);
       CREATE INDEX ON notes (a); CREATE INDEX ON notes (c, b); CREATE INDEX ON notes USING gin (to_tsvector('english', coalesce(c, '') || ' ' || coalesce(d, '')))`,
    );
    const report = await both.copy();
    const tooLarge = "larger than an index or a search vector can hold";
    const found = aside(report).map(([, key, column, reason]) => [key, column, reason?.replace(/ \(.*/, "")]);
    expect(found.sort()).toEqual([
      ["2", "b", tooLarge],
      ["3", "a", tooLarge],
      ["4", "d", tooLarge],
    ]);
  });

  test("a column that only PostgreSQL has takes its default", async () => {
    const both = await databases(
      `${cats}; INSERT INTO cat VALUES (1, NULL, 'a'), (2, 1, 'b')`,
      `CREATE TABLE cat (id bigint PRIMARY KEY, up bigint REFERENCES cat, slug text UNIQUE, since timestamptz NOT NULL DEFAULT now(), n int NOT NULL GENERATED ALWAYS AS IDENTITY)`,
    );
    expect(counts(await both.copy())).toEqual([["cat", 2, 2, 0, 0, 0]]);
  });

  test("set aside rows that need each other go together when they are fed back", async () => {
    const both = await databases(
      `CREATE TABLE a (id INTEGER PRIMARY KEY, b INTEGER, n TEXT); CREATE TABLE b (id INTEGER PRIMARY KEY, a INTEGER);
       INSERT INTO a VALUES (1, 1, 'bad'); INSERT INTO b VALUES (1, 1)`,
      `CREATE TABLE a (id int PRIMARY KEY, b int, n text CHECK (n <> 'bad')); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a);
       ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b`,
    );
    expect(counts(await both.copy()).map(([, , , , setAside]) => setAside)).toEqual([1, 1]);
    await both.correct("a", "1", { n: "good" });
    expect(counts(await both.copy({ retryRejects: true })).map(([, , written]) => written)).toEqual([1, 1]);
    expect(await runAt(both.url, "SELECT a.n, b.id FROM a JOIN b ON b.id = a.b AND a.id = b.a")).toEqual([
      { n: "good", id: 1 },
    ]);
  });
});

describe("rows of a plain table that take each other's unique values, into PostgreSQL", () => {
  test("swap and move on, whichever batch they are in", async () => {
    const both = await databases(
      `CREATE TABLE seats (id INTEGER PRIMARY KEY, place INTEGER NOT NULL UNIQUE, who TEXT UNIQUE);
       ${numbers(300)} INSERT INTO seats SELECT i, i, 'w' || i FROM n`,
      "CREATE TABLE seats (id int PRIMARY KEY, place int NOT NULL UNIQUE, who text UNIQUE)",
    );
    await both.copy({ batchSize: 50 });
    await both.sqlite(
      `UPDATE seats SET place = -id, who = NULL; UPDATE seats SET place = id % 300 + 1, who = 'w' || (301 - id)`,
    );
    expect(counts(await both.copy({ batchSize: 50 }))).toEqual([["seats", 300, 300, 0, 0, 0]]);
    await both.expectEqual();
    expect(counts(await both.copy({ batchSize: 50 }))).toEqual([["seats", 300, 0, 300, 0, 0]]);
  });

  test("stay as they are where one of them cannot go, or only PostgreSQL's own rows are in the way", async () => {
    const both = await databases(
      `CREATE TABLE seats (id INTEGER PRIMARY KEY, place INTEGER UNIQUE, n INTEGER); INSERT INTO seats VALUES (1, 1, 1), (2, 2, 1), (3, 3, 1), (4, 4, 1)`,
      "CREATE TABLE seats (id int PRIMARY KEY, place int UNIQUE, n int CHECK (n > 0))",
    );
    await both.copy();
    await runAt(both.url, "INSERT INTO seats VALUES (99, 99, 1)");
    await both.sqlite(
      "UPDATE seats SET place = NULL; UPDATE seats SET place = 3 - id, n = id - 1 WHERE id < 3; UPDATE seats SET place = 99 WHERE id = 3; UPDATE seats SET place = 3 WHERE id = 4",
    );
    const report = await both.copy();
    // 1 fails by itself, 2 wants its value, 99 is nobody's to move, and 4 wants what 3 keeps.
    expect(counts(report)).toEqual([["seats", 4, 0, 0, 4, 1]]);
    expect(await runAt(both.url, "SELECT id, place FROM seats ORDER BY id")).toEqual(
      [1, 2, 3, 4, 99].map((id) => ({ id, place: id })),
    );
    expect(counts(await both.copy())).toEqual([["seats", 4, 0, 0, 4, 1]]);
  });
});

describe("a table that points to itself, into SQLite", () => {
  test("orphans and what hangs on them are set aside, and rows swap their unique values", async () => {
    const both = await databases(
      `${cats}; CREATE TABLE later (id INTEGER PRIMARY KEY)`,
      `CREATE TABLE cat (id bigint PRIMARY KEY, up bigint, slug text); CREATE TABLE later (id bigint PRIMARY KEY);
       INSERT INTO cat VALUES (1, NULL, 'a'), (2, 1, 'b'), (3, 99, 'c'), (4, 3, 'd'), (5, 2, 'e'); INSERT INTO later VALUES (1)`,
    );
    const report = await both.copy({ from: "postgres" });
    expect(counts(report)).toEqual([
      ["cat", 5, 3, 0, 2, 0],
      ["later", 1, 1, 0, 0, 0],
    ]);
    expect(aside(report)).toEqual([
      ["cat", "3", "up", orphaned],
      ["cat", "4", "up", orphaned],
    ]);
    expect(linesOf(join(both.rejects, "cat.jsonl")).map(({ row }) => row)).toEqual([
      { id: 3, up: 99, slug: "c" },
      { id: 4, up: 3, slug: "d" },
    ]);
    await runAt(
      both.url,
      "UPDATE cat SET slug = CASE id WHEN 1 THEN 'b' WHEN 2 THEN 'e' WHEN 5 THEN 'a' ELSE slug END",
    );
    await both.sqlite("INSERT INTO cat VALUES (77, NULL, 'mine')");
    await runAt(both.url, "INSERT INTO cat VALUES (6, 1, 'mine'), (7, 6, 'g'), (8, 1, 'a')");
    expect(counts(await both.copy({ from: "postgres" }))[0]).toEqual(["cat", 8, 3, 0, 5, 1]);
    expect(counts(await both.copy({ from: "postgres" }))[0]).toEqual(["cat", 8, 0, 3, 5, 1]);
  });

  test("what a CHECK or a trigger refuses is set aside, with what hangs on it and what waits for its unique value", async () => {
    const both = await databases(
      `CREATE TABLE cat (id INTEGER PRIMARY KEY, up INTEGER REFERENCES cat, slug TEXT NOT NULL UNIQUE CHECK (slug <> 'bad'));
       CREATE TRIGGER picky BEFORE INSERT ON cat WHEN NEW.id = 8 BEGIN SELECT RAISE(ABORT, 'not this one'); END;
       INSERT INTO cat VALUES (1, NULL, 'a'), (2, 1, 'b')`,
      `CREATE TABLE cat (id bigint PRIMARY KEY, up bigint, slug text);
       INSERT INTO cat VALUES (1, NULL, 'bad'), (2, 1, 'a'), (3, 1, 'b'), (4, 3, 'd'), (8, 1, 'h'), (9, 8, 'i'), (10, 1, 'j')`,
    );
    const report = await both.copy({ from: "postgres" });
    // 1 keeps its value, so that 2 keeps its own, and 3 does not get it.
    expect(counts(report)).toEqual([["cat", 7, 1, 0, 6, 0]]);
    expect(counts(await both.copy({ from: "postgres" }))).toEqual([["cat", 7, 0, 1, 6, 0]]);
  });
});

describe("rows of a plain table that take each other's unique values, into SQLite", () => {
  test("swap and move on, whichever batch they are in", async () => {
    const both = await databases(
      "CREATE TABLE seats (id INTEGER PRIMARY KEY, place INTEGER NOT NULL UNIQUE, who TEXT UNIQUE, word TEXT NOT NULL UNIQUE)",
      `CREATE TABLE seats (id int PRIMARY KEY, place int NOT NULL UNIQUE, who text UNIQUE, word text NOT NULL);
       INSERT INTO seats SELECT i, i, 'w' || i, 'x' || i FROM generate_series(1, 300) AS i`,
    );
    const run = () => both.copy({ from: "postgres", batchSize: 50 });
    await run();
    await runAt(both.url, "UPDATE seats SET place = -id, who = NULL");
    await runAt(
      both.url,
      "UPDATE seats SET place = id % 300 + 1, who = 'w' || (301 - id), word = 'x' || (id % 300 + 1)",
    );
    expect(counts(await run())).toEqual([["seats", 300, 300, 0, 0, 0]]);
    await both.expectEqual();
    expect(counts(await run())).toEqual([["seats", 300, 0, 300, 0, 0]]);
  });
});

test.runIf(sqldRuns)(
  "orphans stay behind and unique values are swapped on a libSQL server, too, which makes no temporary tables",
  async () => {
    const sqld = await startSqld();
    onTestFinished(() => sqld.stop());
    const engine = await openAt(serverConfig(sqld.url));
    onTestFinished(() => engine.close());
    await script(engine, cats);
    const url = await freshPostgres();
    await runAt(url, "CREATE TABLE cat (id bigint PRIMARY KEY, up bigint, slug text)");
    await runAt(url, "INSERT INTO cat VALUES (1, NULL, 'a'), (2, 1, 'b'), (3, 99, 'c'), (4, 3, 'd')");
    const rejects = join(freshDirectory(), "rejects");
    const run = () => copy({ env: {}, sqlite: sqld.url, postgres: url, rejects, from: "postgres" });
    expect(counts(await run())).toEqual([["cat", 4, 2, 0, 2, 0]]);
    await runAt(url, "UPDATE cat SET slug = CASE id WHEN 1 THEN 'b' ELSE 'a' END WHERE id < 3");
    expect(counts(await run())).toEqual([["cat", 4, 2, 0, 2, 0]]);
    expect(await engine.read(sqlite("SELECT id, slug FROM cat ORDER BY id"))).toEqual([
      { id: 1, slug: "b" },
      { id: 2, slug: "a" },
    ]);
    expect(await engine.read(sqlite("SELECT name FROM sqlite_schema WHERE name LIKE 'dualdb%'"))).toEqual([]);
  },
);

describe("foreign keys that SQLite checks at COMMIT only", () => {
  const tables =
    "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p DEFERRABLE INITIALLY DEFERRED)";
  const strangers = () =>
    databases(
      tables,
      "CREATE TABLE p (id bigint PRIMARY KEY); CREATE TABLE c (id bigint PRIMARY KEY, p bigint); INSERT INTO p VALUES (1); INSERT INTO c VALUES (1, 1), (2, 99), (3, NULL)",
    );

  test("an orphan is set aside by its key", async () => {
    const both = await strangers();
    const report = await both.copy({ from: "postgres" });
    expect(counts(report)).toEqual([
      ["p", 1, 1, 0, 0, 0],
      ["c", 3, 2, 0, 1, 0],
    ]);
    expect(aside(report)).toEqual([["c", "2", "p", orphaned]]);
    await both.correct("c", "2", { p: 1 });
    expect(counts(await both.copy({ from: "postgres", retryRejects: true }))).toEqual([["c", 1, 1, 0, 0, null]]);
  });

  test("an orphan ends a copy that is all or nothing, by its key", async () => {
    const both = await strangers();
    const failing = both.copy({ from: "postgres", strict: true });
    await expect(failing).rejects.toMatchObject({
      code: "CONSTRAINT_VIOLATED",
      table: "c",
      column: "p",
      details: { key: "2" },
    });
  });
});
