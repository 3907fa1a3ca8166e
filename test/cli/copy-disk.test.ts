import { chmodSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { verify } from "../../src/migrate/verify.js";
import { commandLine, unprivilegedly } from "../support/command-line.js";
import { freshDirectory, freshPostgres } from "../support/databases.js";
import { openAt, script } from "../support/libsql.js";
import { runAt } from "../support/postgres.js";
import { canMount, smallDisk } from "../support/small-disk.js";
import { databases, linesOf } from "../support/strangers.js";

if (!canMount) process.stderr.write("left out, since this user cannot mount a disk: a copy whose disk fills up\n");

const dualdb = (...args: readonly string[]) => commandLine(["copy", "--json", ...args]);

/** Rows of half a kilobyte, of which PostgreSQL refuses one in four. */
const refusing = {
  sqlite: `CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT);
    WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO notes SELECT i, printf('%.*c', 500, 'x') FROM n`,
  postgres: "CREATE TABLE notes (id bigint PRIMARY KEY, text text, CHECK (id % 4 <> 0))",
};

describe.runIf(canMount)("a disk that fills up", () => {
  test.each([
    ["a new file", true],
    ["a file that is there", false],
  ])(
    "below %s of SQLite: an error that says so, and the same again finishes it when there is room",
    async (_what, isNew) => {
      const disk = smallDisk(1_024);
      const file = join(disk.folder, "bot.db");
      const url = await freshPostgres();
      await runAt(url, "CREATE TABLE notes (id bigint PRIMARY KEY, up bigint REFERENCES notes, text text)");
      await runAt(url, "CREATE TABLE plain (id bigint PRIMARY KEY, text text)");
      await runAt(url, "INSERT INTO plain SELECT i, repeat('x', 500) FROM generate_series(1, 3000) AS i");
      await runAt(
        url,
        "INSERT INTO notes SELECT i, nullif(i - 1, 0), repeat('x', 500) FROM generate_series(1, 3000) AS i",
      );
      if (!isNew) {
        const engine = await openAt(file);
        const tables = "CREATE TABLE notes (id INTEGER PRIMARY KEY, up INTEGER REFERENCES notes, text TEXT)";
        await script(
          engine,
          `${tables}; CREATE TABLE plain (id INTEGER PRIMARY KEY, text TEXT); INSERT INTO notes VALUES (1, NULL, 'mine')`,
        );
        await engine.close();
      }
      const args = [
        "--sqlite",
        file,
        "--pg",
        url,
        "--from",
        "postgres",
        "--rejects",
        join(freshDirectory(), "rejects"),
      ];
      const more = isNew ? ["--create-tables"] : [];
      const full = await dualdb(...args, ...more);
      expect(full).toMatchObject({ status: 1, err: "" });
      const said: unknown = JSON.parse(full.out);
      expect(said).toMatchObject({ ok: false, error: { code: "DATABASE_UNAVAILABLE", side: "sqlite" } });
      expect(full.out).toContain("cannot grow: free space on its disk");
      disk.grow(65_536);
      expect(await dualdb(...args, ...more)).toMatchObject({ status: 0, err: "" });
      expect(await verify({ env: {}, sqlite: file, postgres: url })).toMatchObject({ equal: true });
    },
  );

  test("below the folder of rejects: an error that says so, no half line, and the same again sets every row aside once", async () => {
    const disk = smallDisk(100);
    const { file, url } = await databases(refusing.sqlite, refusing.postgres);
    const rejects = join(disk.folder, "rejects");
    const args = ["--sqlite", file, "--pg", url, "--rejects", rejects];
    const full = await dualdb(...args);
    expect(full).toMatchObject({ status: 1, err: "" });
    expect(JSON.parse(full.out)).toMatchObject({ ok: false, error: { code: "FILE_UNUSABLE" } });
    expect(full.out).toContain("ENOSPC");
    const path = join(rejects, "notes.jsonl");
    expect(existsSync(path) ? readFileSync(path, "utf8") : "").toMatch(/(^|\n)$/);
    disk.grow(4_096);
    expect((await dualdb(...args)).status).toBe(3);
    const refused = Array.from({ length: 500 }, (_, index) => String(4 * (index + 1)));
    expect(linesOf(path).map(({ key }) => key)).toEqual(refused);
    expect(linesOf(path).every(({ row }) => String(row.text).length === 500)).toBe(true);
    expect(await runAt(url, "SELECT count(*)::int AS n FROM notes")).toEqual([{ n: 1_500 }]);
  });
});

test("a folder of rejects that this user may not make: an error that names it, and nothing is lost", async () => {
  const { file, url } = await databases(refusing.sqlite, refusing.postgres);
  for (const path of [dirname(file), dirname(dirname(file))]) chmodSync(path, 0o777);
  for (const path of [file]) chmodSync(path, 0o666);
  const closed = join(freshDirectory(), "closed");
  mkdirSync(closed, { mode: 0o755 });
  chmodSync(dirname(closed), 0o755);
  const rejects = join(closed, "rejects");
  const args = ["--sqlite", file, "--pg", url, "--rejects", rejects];
  const denied = await unprivilegedly(() => dualdb(...args));
  expect(denied).toMatchObject({ status: 1, err: "" });
  expect(JSON.parse(denied.out)).toMatchObject({ ok: false, error: { code: "FILE_UNUSABLE" } });
  expect(denied.out).toContain(rejects);
  expect(existsSync(rejects)).toBe(false);
  expect((await dualdb(...args)).status).toBe(3);
  expect(linesOf(join(rejects, "notes.jsonl"))).toHaveLength(500);
  expect(readFileSync(join(rejects, "notes.jsonl"), "utf8")).toContain("a CHECK does not hold");
  expect(await runAt(url, "SELECT count(*)::int AS n FROM notes")).toEqual([{ n: 1_500 }]);
});
