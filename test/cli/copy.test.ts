import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { CopyReport } from "../../src/migrate/copy.js";
import { commandLine } from "../support/command-line.js";
import { freshDirectory, freshPostgres, freshSqlite } from "../support/databases.js";
import { openAt, script } from "../support/libsql.js";
import { runAt } from "../support/postgres.js";

const dualdb = (args: readonly string[], signal = new AbortController().signal) =>
  commandLine(["copy", ...args], { signal });

/** A library whose file somebody made without a thought of PostgreSQL. */
async function library(): Promise<{ file: string; url: string; args: string[]; rejects: string }> {
  const file = freshSqlite();
  const engine = await openAt(file);
  await script(
    engine,
    `CREATE TABLE authors (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, born DATE);
     CREATE TABLE books (isbn TEXT PRIMARY KEY, author INTEGER REFERENCES authors(id), title TEXT, price REAL, cover BLOB, UNIQUE (author, title));
     CREATE INDEX books_by_price ON books (price);
     WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 1200)
     INSERT INTO authors SELECT i, 'Author ' || i, '19' || (10 + i % 80) || '-01-02' FROM n;
     INSERT INTO books SELECT 'isbn-' || id, id, 'Title of ' || id, id / 8.0, randomblob(8) FROM authors;`,
  );
  await engine.close();
  const url = await freshPostgres();
  const rejects = join(freshDirectory(), "rejects");
  return { file, url, rejects, args: ["--sqlite", file, "--pg", url, "--rejects", rejects] };
}

async function contentsOf(file: string): Promise<unknown[]> {
  const engine = await openAt(file, { createFile: false });
  const rows = async (text: string) => engine.read({ sql: text, text, values: [] });
  const all = [await rows("SELECT * FROM authors ORDER BY id"), await rows("SELECT * FROM books ORDER BY isbn")];
  await engine.close();
  return all;
}

describe("dualdb copy", () => {
  test("makes the tables that are missing, there and in a new file back here, with all that was in them", async () => {
    const { file, url, args } = await library();
    const there = await dualdb([...args, "--create-tables"]);
    expect(there.err).toBe("");
    expect(there.status).toBe(0);
    expect(there.out).toContain('CREATE TABLE "authors"');
    expect(there.out).toMatch(/CREATE INDEX .*"price".*;/);
    expect(there.out).toMatch(
      /^sqlite → postgres {3}read {2}written {2}there {2}set aside {2}rows\/s\n {2}authors {10}1,200 {4}1,200 {6}0 {10}0 +[\d,]+$/m,
    );
    const keys =
      "SELECT count(*)::int AS n FROM pg_constraint WHERE contype IN ('f', 'u', 'p') AND connamespace = 'public'::regnamespace";
    expect(await runAt(url, keys)).toEqual([{ n: 4 }]);
    expect(
      await runAt(url, "SELECT count(*)::int AS n FROM pg_class WHERE obj_description(oid, 'pg_class') LIKE 'dualdb%'"),
    ).toEqual([{ n: 0 }]);
    expect(await runAt(url, "INSERT INTO authors (name) VALUES ('new') RETURNING id")).toEqual([
      { id: expect.anything() },
    ]);
    await runAt(url, "DELETE FROM authors WHERE name = 'new'");
    const back = freshSqlite();
    const here = await dualdb(["--sqlite", back, "--pg", url, "--from", "postgres", "--create-tables", "--quiet"]);
    expect(here.err).toBe("");
    expect(here.status).toBe(0);
    expect(statSync(back).mode & 0o777).toBe(0o600);
    expect(await contentsOf(back)).toEqual(await contentsOf(file));
    const again = await dualdb([...args, "--create-tables", "--json"]);
    expect(JSON.parse(again.out)).toMatchObject({
      ok: true,
      from: "sqlite",
      paired: false,
      created: [],
      leftOut: [],
      rejects: null,
    });
  });

  test("tells what it has made when it is interrupted, and goes on with tables that are called like columns", async () => {
    const { file, url, args } = await library();
    const interrupted = new AbortController();
    const onScreen = (text: string) => {
      if (text.includes("copy authors")) interrupted.abort();
    };
    const first = await commandLine(["copy", ...args, "--create-tables"], { signal: interrupted.signal, onScreen });
    expect(first.status).toBe(130);
    expect(first.out).toMatch(
      /^CREATE TABLE "authors" [^;]*;\nCREATE TABLE "books" [^;]*;\nALTER TABLE "books" [^;]*;\n$/,
    );
    const engine = await openAt(file);
    await script(engine, "CREATE TABLE price (id INTEGER PRIMARY KEY); CREATE TABLE author (id INTEGER PRIMARY KEY)");
    await engine.close();
    const again = await dualdb([...args, "--create-tables", "--json"]);
    expect(again).toMatchObject({ status: 0, err: "" });
    expect((JSON.parse(again.out) as CopyReport).created.map((sql) => sql.replace(/ \([\s\S]*$/, ""))).toEqual([
      'CREATE TABLE "author"',
      'CREATE TABLE "price"',
      'CREATE INDEX "books_by_price" ON "books"',
    ]);
    expect(await runAt(url, "SELECT count(*)::int AS n FROM books")).toEqual([{ n: 1_200 }]);
  });

  test("tells what it has made in the document, too, when it fails", async () => {
    const { file, args, rejects } = await library();
    const engine = await openAt(file);
    await script(engine, "INSERT INTO books (isbn) VALUES ('a' || char(0) || 'b')");
    await engine.close();
    writeFileSync(rejects, "");
    const failed = await dualdb([...args, "--create-tables", "--json"]);
    expect(JSON.parse(failed.out)).toMatchObject({
      ok: false,
      created: [expect.stringContaining("authors"), expect.stringContaining("books"), expect.stringContaining("ALTER")],
      error: { code: "FILE_UNUSABLE" },
    });
  });

  test("leaves no table or trigger of its own in a database that is not armed", async () => {
    const { file, url, args } = await library();
    await dualdb([...args, "--create-tables"]);
    const engine = await openAt(file, { createFile: false });
    const text = "SELECT count(*) AS n FROM sqlite_master WHERE name LIKE 'dualdb%'";
    expect(await engine.read({ sql: text, text, values: [] })).toEqual([{ n: 0 }]);
    await engine.close();
    expect(await runAt(url, "SELECT count(*)::int AS n FROM pg_class WHERE relname LIKE 'dualdb%'")).toEqual([
      { n: 0 },
    ]);
  });

  test("says what it set aside and what it left out, and ends with 3", async () => {
    const { url, args, rejects } = await library();
    await runAt(url, "CREATE TABLE authors (id int PRIMARY KEY CHECK (id <> 7), name text, born date)");
    const { status, out } = await dualdb(args);
    expect(status).toBe(3);
    expect(out).toContain("1 refused: authors.id, a CHECK does not hold (authors_id_check): 7");
    expect(out).toContain("books was left out: PostgreSQL has no such table");
    expect(out).toContain(`Rows set aside are in ${rejects}: correct them, then run `);
    expect(out).toContain(`npx dualdb copy --retry-rejects --rejects ${rejects}.`);
    expect(out).not.toContain("Author 7");
    const file = join(rejects, "authors.jsonl");
    const line = JSON.parse(readFileSync(file, "utf8"));
    writeFileSync(file, JSON.stringify({ ...line, row: { ...line.row, id: 7_000 } }));
    const retried = await dualdb([...args, "--retry-rejects"]);
    expect(retried.out).toMatch(/authors +1 +1 +0 +0 /);
    expect(retried.status).toBe(0);
    expect(existsSync(file)).toBe(false);
    writeFileSync(file, "{ no JSON\n{}\n");
    const broken = await dualdb([...args, "--retry-rejects"]);
    expect(broken.status).toBe(2);
    expect(broken.err).toContain("authors.jsonl, line 1, is no rejected row");
  });

  test("ends with 3 and says so where only the side that was filled has a row, though nothing was set aside", async () => {
    const { file, url, args } = await library();
    await dualdb([...args, "--create-tables"]);
    const engine = await openAt(file);
    await script(engine, "DELETE FROM books WHERE isbn IN ('isbn-1', 'isbn-2'); DELETE FROM authors WHERE id = 1");
    await engine.close();
    const there = await dualdb([...args, "--quiet"]);
    expect(there).toMatchObject({ status: 3, err: "" });
    expect(there.out).toMatch(/authors +1,199 +0 +1,199 +0 +1 /);
    expect(there.out).toContain(
      "3 rows are only in PostgreSQL, and left alone: npx dualdb verify tells which, npx dualdb repair shows what makes both equal.",
    );
    const back = await dualdb([...args, "--from", "postgres", "--tables", "books"]);
    // The author of one of them is gone.
    expect(back.status).toBe(3);
    expect(back.out).toContain("1 refused: books.author, the row that its foreign key points to is not there: isbn-1");
    await runAt(url, "DELETE FROM books WHERE isbn IN ('isbn-1', 'isbn-2', 'isbn-3')");
    const short = await dualdb([...args, "--from", "postgres", "--tables", "books"]);
    expect(short.status).toBe(3);
    expect(short.out).toContain(
      "2 rows are only in SQLite, and left alone: npx dualdb verify --from postgres tells which, npx dualdb repair --from postgres shows what makes both equal.",
    );
  });

  test("names a table that is nobody's, but not where nothing is new and only news is wanted", async () => {
    const { file, args } = await library();
    const engine = await openAt(file);
    await script(engine, "CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER)");
    await engine.close();
    const note = "_litestream_seq: kept by Litestream for itself: left out";
    const first = await dualdb([...args, "--create-tables", "--quiet"]);
    expect(first).toMatchObject({ status: 0, err: "", out: expect.stringContaining(note) });
    expect(await dualdb(args)).toMatchObject({ status: 0, err: "", out: expect.stringContaining(note) });
    expect(await dualdb([...args, "--quiet"])).toMatchObject({ status: 0, err: "", out: "" });
  });

  test("ends with the status that fits, and nothing half-done", async () => {
    const { file, url, args, rejects } = await library();
    const directory = freshDirectory();
    const text = join(directory, "text.db");
    writeFileSync(text, "not a database, but long enough to be looked at as one ".repeat(20));
    const at = (path: string, ...more: string[]) => dualdb(["--sqlite", path, "--pg", url, ...more]);
    expect((await at(join(directory, "none.db"))).status).toBe(1);
    expect(existsSync(join(directory, "none.db"))).toBe(false);
    expect((await at(text)).status).toBe(1);
    expect((await at(directory)).status).toBe(1);
    expect((await at(file, "--tables", "nobody")).status).toBe(2);
    expect((await at(file, "--from", "mysql")).status).toBe(2);
    expect((await dualdb(["--sqlite", file])).status).toBe(2);
    const down = await dualdb(["--sqlite", file, "--pg", "postgres://me:secret@127.0.0.1:1/none"]);
    expect(down.status).toBe(1);
    expect(down.err).not.toContain("secret");
    await runAt(url, "CREATE TABLE authors (id int PRIMARY KEY, name text, born date)");
    expect((await dualdb(args, AbortSignal.abort())).status).toBe(130);
    // A file where the folder of rejects should be.
    await runAt(url, "ALTER TABLE authors ADD CHECK (id <> 7)");
    writeFileSync(rejects, "");
    const blocked = await dualdb([...args, "--json"]);
    expect(JSON.parse(blocked.out)).toMatchObject({ ok: false, error: { code: "FILE_UNUSABLE" } });
    expect(blocked.status).toBe(1);
  });

  test("counts times as --epoch says where the rows do not tell, and refuses a column that is none", async () => {
    const file = freshSqlite();
    const engine = await openAt(file);
    await script(
      engine,
      "CREATE TABLE runs (id INTEGER PRIMARY KEY, began INTEGER, n INTEGER); INSERT INTO runs VALUES (1, 5, 1)",
    );
    await engine.close();
    const url = await freshPostgres();
    await runAt(url, "CREATE TABLE runs (id bigint PRIMARY KEY, began timestamptz, n bigint)");
    const args = ["--sqlite", file, "--pg", url, "--rejects", join(freshDirectory(), "rejects")];
    const unsure = await dualdb(args);
    expect(unsure.status).toBe(3);
    expect(unsure.out).toContain("--epoch");
    for (const wrong of ["runs.n=seconds", "weeks"]) {
      const refused = await dualdb([...args, "--epoch", wrong]);
      expect({ wrong, status: refused.status, code: refused.err.includes("--epoch") }).toEqual({
        wrong,
        status: 2,
        code: true,
      });
    }
    expect((await dualdb([...args, "--epoch", "seconds", "--epoch", "runs.began=milliseconds"])).status).toBe(0);
    expect(await runAt(url, "SELECT extract(epoch FROM began)::float AS began FROM runs")).toEqual([{ began: 0.005 }]);
  });
});
