import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { exportData } from "../../src/migrate/export.js";
import { commandLine } from "../support/command-line.js";
import { freshDirectory, freshPostgres, freshSqlite } from "../support/databases.js";
import { oneValue, openAt, script } from "../support/libsql.js";
import { runAt } from "../support/postgres.js";

const dualdb = (args: readonly string[], env: NodeJS.ProcessEnv = {}, signal = new AbortController().signal) =>
  commandLine(["import", ...args], { env, signal });

const schema =
  "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL); CREATE TABLE none (id INTEGER PRIMARY KEY);";

async function file(text: string): Promise<string> {
  const path = freshSqlite();
  const engine = await openAt(path);
  await script(engine, text);
  await engine.close();
  return path;
}

async function exported(rows: number): Promise<string> {
  const source =
    await file(`${schema} WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
    INSERT INTO notes SELECT i, printf('%.200c', 'x') FROM n`);
  const directory = join(freshDirectory(), "out");
  await exportData({ env: {}, sqlite: source, directory });
  return directory;
}

describe("dualdb import", () => {
  test("says what became of the rows", async () => {
    const [directory, target] = [await exported(1_234), await file(schema)];
    const first = await dualdb(["--sqlite", target, "--to", "sqlite", "--dir", directory]);
    expect(first.out).toBe(`sqlite  ${target}\n  none             0 rows\n  notes        1,234 rows: 1,234 inserted\n`);
    expect(first).toMatchObject({ status: 0, err: "" });
    const again = await dualdb(["--sqlite", target, "--dir", directory]);
    expect(again.out).toContain("  notes        1,234 rows: 1,234 there\n");
    expect(again.status).toBe(0);
    const json = await dualdb(["--sqlite", target, "--dir", directory, "--json", "--tables", "notes"]);
    expect(JSON.parse(json.out)).toMatchObject({
      ok: true,
      target: { side: "sqlite", name: target },
      tables: [{ table: "notes", rows: 1_234, equal: 1_234, inserted: 0, setAside: 0 }],
      leftOut: [],
      rejects: null,
    });
  });

  test("says what is amiss, and ends with 3", async () => {
    const target = await file(`${schema} INSERT INTO notes VALUES (1, 'here')`);
    const folder = freshDirectory();
    const rejects = join(folder, "rejects");
    const document = join(folder, "dump.json");
    writeFileSync(document, '{"notes":[{"id":1,"text":"file"},{"id":2,"text":null},{"id":3,"text":"new"}],"gone":[]}');
    const { status, out } = await dualdb(["--sqlite", target, "--file", document, "--rejects", rejects, "--quiet"]);
    expect(out).toBe(`  notes            3 rows: 1 inserted, 1 kept, 1 set aside
    1 refused: notes.text, NULL in a column that is NOT NULL: 2
  gone was left out: sqlite has no such table
Rows kept differ from the file's, and nothing tells which are newer: --overwrite takes the file's.
Rows set aside are in ${rejects}, each with the reason.
`);
    expect(status).toBe(3);
    const strict = await dualdb(["--sqlite", target, "--file", document, "--strict"]);
    expect(strict.status).toBe(1);
    expect(strict.err).toContain("line 2 is refused");
  });

  test("ends with the status that fits", async () => {
    const directory = await exported(3);
    const target = await file(schema);
    const at = (...args: string[]) => dualdb(["--sqlite", target, ...args]);
    expect((await at("--dir", `${directory}.no`)).status).toBe(1);
    expect((await at("--file", directory)).status).toBe(1);
    expect((await at("--dir", directory, "--file", target)).status).toBe(2);
    expect((await at("--dir", directory, "--to", "mysql")).status).toBe(2);
    expect((await at("--dir", directory, "--to", "postgres")).status).toBe(2);
    expect((await at("--dir", directory, "--tables", "nots")).status).toBe(2);
    expect((await dualdb(["--sqlite", `${target}.no`, "--dir", directory])).status).toBe(1);
    const down = await at("--dir", directory, "--pg", "postgres://me:secret@127.0.0.1:1/none", "--to", "postgres");
    expect(down.status).toBe(1);
    expect(down.err).not.toContain("secret");
    expect((await dualdb(["--sqlite", target, "--dir", directory], {}, AbortSignal.abort())).status).toBe(130);
    const engine = await openAt(target);
    expect(await oneValue(engine, "SELECT count(*) FROM notes")).toBe(0);
    await engine.close();
  });

  test("killed in the middle it has changed nothing, and the next one does it all", async () => {
    const directory = await exported(8_000);
    const url = await freshPostgres();
    await runAt(url, schema);
    const env = { SQLITE_DB_PATH: await file(schema), DATABASE_URL: url };
    const counts = async () => {
      const engine = await openAt(env.SQLITE_DB_PATH);
      const sqlite = await oneValue(engine, "SELECT count(*) FROM notes");
      await engine.close();
      const [postgres] = await runAt(url, "SELECT count(*)::int AS n FROM notes");
      return { sqlite, postgres: postgres?.n };
    };
    for (const side of ["sqlite", "postgres"]) {
      const main = new URL("../support/import-process.ts", import.meta.url).pathname;
      const child = promisify(execFile)(process.execPath, ["--import", "tsx", main, side, directory], {
        env: { ...env, PATH: process.env.PATH ?? "" },
      });
      expect(await child.catch((error: unknown) => error)).toMatchObject({ stderr: "", stdout: "", signal: "SIGKILL" });
    }
    expect(await counts()).toEqual({ sqlite: 0, postgres: 0 });
    for (const side of ["sqlite", "postgres"])
      expect((await dualdb(["--to", side, "--dir", directory], env)).status).toBe(0);
    expect(await counts()).toEqual({ sqlite: 8_000, postgres: 8_000 });
  });
});
