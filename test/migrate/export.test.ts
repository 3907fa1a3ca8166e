import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Engine } from "../../src/engines/engine.js";
import { openPostgres } from "../../src/engines/postgres.js";
import { silentLogger } from "../../src/logger.js";
import { exportData } from "../../src/migrate/export.js";
import { freshDirectory, freshPostgres, freshSqlite } from "../support/databases.js";
import { openAt, script } from "../support/libsql.js";
import { configOf } from "../support/postgres-config.js";

async function fileWith(text: string): Promise<{ file: string; engine: Engine }> {
  const file = freshSqlite();
  const engine = await openAt(file);
  onTestFinished(() => engine.close());
  await script(engine, text);
  return { file, engine };
}

async function postgresWith(text: string): Promise<{ url: string; engine: Engine }> {
  const url = await freshPostgres();
  const engine = openPostgres({ config: configOf(url), logger: silentLogger });
  onTestFinished(() => engine.close());
  await script(engine, text);
  return { url, engine };
}

function linesOf(directory: string, file: string): unknown[] {
  const text = readFileSync(join(directory, file), "utf8");
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line));
}

describe("what stands in an export", () => {
  test("of SQLite: every value to the bit, one row a line", async () => {
    const { file } = await fileWith(`
      CREATE TABLE odd (id TEXT PRIMARY KEY, value);
      INSERT INTO odd VALUES ('blob', x'00ff'), ('float', 5.0), ('fraction', 0.1), ('huge', 9223372036854775807),
        ('infinity', -9e999), ('integer', 5), ('large', 1e308), ('minus zero', -0.0), ('none', NULL), ('NUL', 'a' || char(0) || 'b'),
        ('no UTF-8', CAST(x'61ff62' AS TEXT)), ('text', 'ä😀"');`);
    const directory = join(freshDirectory(), "out");
    const report = await exportData({ env: {}, sqlite: file, directory });
    expect(report.tables).toEqual([expect.objectContaining({ table: "odd", file: "odd.jsonl", rows: 12 })]);
    const values = linesOf(directory, "odd.jsonl").map((row) => Object.values(row as object));
    expect(Object.fromEntries(values)).toEqual({
      blob: { $bytes: "AP8=" },
      float: { $real: "5" },
      fraction: 0.1,
      huge: { $integer: "9223372036854775807" },
      infinity: { $real: "-Infinity" },
      integer: 5,
      large: { $real: "1e+308" },
      "minus zero": { $real: "-0" },
      none: null,
      NUL: "a\0b",
      "no UTF-8": { $text: "Yf9i" },
      text: 'ä😀"',
    });
  });

  test("of PostgreSQL: texts that mean the same whatever the reader's settings are", async () => {
    const { url } = await postgresWith(`
      CREATE TABLE odd (id bigint PRIMARY KEY, flag boolean, at timestamptz, day date, price numeric, raw bytea, doc jsonb, list int[], part real);
      INSERT INTO odd VALUES (9007199254740993, true, '2024-05-06 07:08:09.123456+02', '2024-02-29', 0.12345678901234567890, '\\x00ff',
        '{"b": 12345678901234567890}', '{1,2}', 0.1);`);
    const directory = join(freshDirectory(), "out");
    await exportData({ env: { DATABASE_URL: url, PGTZ: "Asia/Tokyo" }, from: "postgres", directory });
    expect(linesOf(directory, "odd.jsonl")).toEqual([
      {
        id: { $integer: "9007199254740993" },
        flag: true,
        at: "2024-05-06 05:08:09.123456+00",
        day: "2024-02-29",
        price: "0.12345678901234567890",
        raw: { $bytes: "AP8=" },
        doc: '{"b": 12345678901234567890}',
        list: "{1,2}",
        part: 0.1,
      },
    ]);
  });

  test("any table: without a key, without a rowid, of many columns, with names that need quotes", async () => {
    const wide = Array.from({ length: 300 }, (_, index) => `c${index}`);
    const { file } = await fileWith(`
      CREATE TABLE "Order ""Details/" ("group" TEXT, "from" INTEGER);
      INSERT INTO "Order ""Details/" VALUES ('a', 1), ('a', 1);
      CREATE TABLE pairs (a TEXT, b INTEGER, PRIMARY KEY (a, b)) WITHOUT ROWID;
      WITH RECURSIVE n(i) AS (VALUES(0) UNION ALL SELECT i + 1 FROM n WHERE i < 4999) INSERT INTO pairs SELECT i % 7, i FROM n;
      CREATE TABLE wide (id INTEGER PRIMARY KEY, ${wide.join(", ")});
      INSERT INTO wide (c0, c150, c299) VALUES (1, 'x', 2.5);
      CREATE TABLE taken (_rowid_ TEXT, rowid TEXT, total AS (rowid || '!'));
      INSERT INTO taken VALUES ('z', 'y'), ('a', 'b');`);
    const directory = join(freshDirectory(), "out");
    const { tables } = await exportData({ env: {}, sqlite: file, directory });
    expect(tables.map(({ table, rows }) => [table, rows])).toEqual([
      ['Order "Details/', 2],
      ["pairs", 5_000],
      ["taken", 2],
      ["wide", 1],
    ]);
    expect(linesOf(directory, "Order%20%22Details%2F.jsonl")).toEqual([
      { group: "a", from: 1 },
      { group: "a", from: 1 },
    ]);
    expect(new Set(linesOf(directory, "pairs.jsonl").map((row) => JSON.stringify(row))).size).toBe(5_000);
    expect(linesOf(directory, "wide.jsonl")[0]).toMatchObject({ id: 1, c0: 1, c149: null, c150: "x", c299: 2.5 });
    expect(linesOf(directory, "taken.jsonl")).toEqual([
      { _rowid_: "z", rowid: "y" },
      { _rowid_: "a", rowid: "b" },
    ]);
  });

  test("its description, whose checksums are those of the files; nobody else may read them", async () => {
    const { file } = await fileWith(
      "CREATE TABLE notes (id TEXT PRIMARY KEY, n INTEGER); INSERT INTO notes VALUES ('a', 1)",
    );
    const directory = join(freshDirectory(), "out");
    await exportData({ env: {}, sqlite: file, directory, clock: () => 1_700_000_000_000 });
    const { createHash } = await import("node:crypto");
    const sha256 = createHash("sha256")
      .update(readFileSync(join(directory, "notes.jsonl")))
      .digest("hex");
    expect(JSON.parse(readFileSync(join(directory, "_metadata.json"), "utf8"))).toEqual({
      version: 1,
      exportedAt: "2023-11-14T22:13:20.000Z",
      source: {
        side: "sqlite",
        name: file,
        versions: { dualdb: expect.any(String), database: expect.stringMatching(/^3\./) },
      },
      tables: [
        {
          name: "notes",
          file: "notes.jsonl",
          rows: 1,
          columns: [expect.objectContaining({ name: "id", kind: "text" }), expect.objectContaining({ name: "n" })],
          key: ["id"],
          sha256,
        },
      ],
    });
    expect(readdirSync(directory).sort()).toEqual(["_metadata.json", "notes.jsonl"]);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(directory)) expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600);
  });
});

describe("one snapshot", () => {
  test.each(["sqlite", "postgres"] as const)(
    "of %s while eight writers move money between two tables",
    async (side) => {
      const setUp = `CREATE TABLE a (id INTEGER PRIMARY KEY, n INTEGER NOT NULL); CREATE TABLE z (id INTEGER PRIMARY KEY, n INTEGER NOT NULL);`;
      const rows =
        side === "sqlite"
          ? "WITH RECURSIVE s(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM s WHERE i < 2000) SELECT i, 100 FROM s"
          : "SELECT i, 100 FROM generate_series(1, 2000) AS s(i)";
      const text = `${setUp} INSERT INTO a ${rows}; INSERT INTO z ${rows};`;
      const where = side === "sqlite" ? await fileWith(text) : await postgresWith(text);
      let isOver = false;
      const move = async (writer: number) => {
        for (let turn = 0; !isOver; turn++) {
          const id = ((turn * 8 + writer) % 2_000) + 1;
          const change = (table: string, by: number) => `UPDATE ${table} SET n = n + ${by} WHERE id = ${id}`;
          const texts = [change("a", -1), change("z", 1)];
          await where.engine.write(texts.map((sql) => ({ sql, text: sql, values: [] })));
        }
      };
      const writers = Array.from({ length: 8 }, (_, writer) => move(writer));
      const env: NodeJS.ProcessEnv = "url" in where ? { DATABASE_URL: where.url } : { SQLITE_DB_PATH: where.file };
      const sums: number[] = [];
      for (let round = 0; round < 3; round++) {
        const directory = join(freshDirectory(), "out");
        await exportData({ env, from: side, directory });
        const all = ["a.jsonl", "z.jsonl"].flatMap((file) => linesOf(directory, file) as { n: number }[]);
        sums.push(all.reduce((sum, { n }) => sum + n, 0));
      }
      isOver = true;
      await Promise.all(writers);
      const moved = await where.engine.read({
        sql: "SELECT sum(n) AS n FROM a",
        text: "SELECT sum(n)::int AS n FROM a",
        values: [],
      });
      expect(Number(moved[0]?.n)).toBeLessThan(200_000);
      expect(sums).toEqual([400_000, 400_000, 400_000]);
    },
  );
});

describe("an export that does not come to its end", () => {
  const notes = "CREATE TABLE notes (id TEXT PRIMARY KEY); INSERT INTO notes VALUES ('a'), ('b')";

  test("leaves the one from before as it was, and nothing else", async () => {
    const { file, engine } = await fileWith(notes);
    const directory = join(freshDirectory(), "out");
    const first = await exportData({ env: {}, sqlite: file, directory });
    const before = readFileSync(join(directory, "notes.jsonl"), "utf8");
    await script(engine, "INSERT INTO notes VALUES ('c')");
    const signal = AbortSignal.abort();
    await expect(exportData({ env: {}, sqlite: file, directory, signal })).rejects.toMatchObject({
      code: "INTERRUPTED",
    });
    expect(readdirSync(directory).sort()).toEqual(["_metadata.json", "notes.jsonl"]);
    expect(readFileSync(join(directory, "notes.jsonl"), "utf8")).toBe(before);
    expect((await exportData({ env: {}, sqlite: file, directory })).tables[0]?.rows).toBe(
      (first.tables[0]?.rows ?? 0) + 1,
    );
  });

  test("after a kill is no export, and is taken up by the next", async () => {
    const { file } = await fileWith(notes);
    const directory = freshDirectory();
    writeFileSync(join(directory, "_metadata.json.part"), "");
    writeFileSync(join(directory, "gone.jsonl.part"), '{"id":');
    writeFileSync(join(directory, "old.jsonl"), '{"id":"x"}\n');
    await exportData({ env: {}, sqlite: file, directory });
    expect(readdirSync(directory).sort()).toEqual(["_metadata.json", "notes.jsonl"]);
  });

  test.each([
    ["a file of somebody else", "letter.txt", "CONFIG_INVALID"],
    ["rows without a description", "notes.jsonl", "CONFIG_INVALID"],
    ["another tool's description", "_metadata.json", "CONFIG_INVALID"],
  ])("into a folder with %s is refused, and the file is as it was", async (_, name, code) => {
    const { file } = await fileWith(notes);
    const directory = freshDirectory();
    writeFileSync(join(directory, name), '{"mine":1}\n');
    await expect(exportData({ env: {}, sqlite: file, directory })).rejects.toMatchObject({ code });
    expect(readdirSync(directory)).toEqual([name]);
    expect(readFileSync(join(directory, name), "utf8")).toBe('{"mine":1}\n');
  });

  test("for want of a folder, a file or a table says which", async () => {
    const { file } = await fileWith(notes);
    const parent = freshDirectory();
    writeFileSync(join(parent, "file"), "");
    const missing = join(parent, "no.db");
    await expect(exportData({ env: {}, sqlite: file, directory: join(parent, "file") })).rejects.toMatchObject({
      code: "FILE_UNUSABLE",
    });
    await expect(exportData({ env: {}, sqlite: missing, directory: join(parent, "out") })).rejects.toMatchObject({
      code: "DATABASE_UNAVAILABLE",
    });
    expect(existsSync(missing)).toBe(false);
    await expect(
      exportData({ env: {}, sqlite: file, tables: ["nots"], directory: join(parent, "out") }),
    ).rejects.toThrow("no table nots. It has notes");
    expect(existsSync(join(parent, "out"))).toBe(false);
  });
});
