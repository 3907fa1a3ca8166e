import { execFile } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { exportData } from "../../src/migrate/export.js";
import { commandLine, unprivilegedly } from "../support/command-line.js";
import { freshDirectory, freshSqlite } from "../support/databases.js";
import { openAt, script } from "../support/libsql.js";

const dualdb = (args: readonly string[], env: NodeJS.ProcessEnv = {}, signal = new AbortController().signal) =>
  commandLine(["export", ...args], { env, signal });

async function notes(rows = 3): Promise<string> {
  const file = freshSqlite();
  const engine = await openAt(file);
  await script(
    engine,
    `CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT); CREATE TABLE none (id TEXT PRIMARY KEY);
     WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
     INSERT INTO notes SELECT i, printf('%.200c', 'x') FROM n`,
  );
  await engine.close();
  return file;
}

describe("dualdb export", () => {
  test("says what it wrote", async () => {
    const file = await notes(1_234);
    const directory = join(freshDirectory(), "out");
    const { status, out, err } = await dualdb(["--sqlite", file, "--dir", directory]);
    expect(out).toBe(
      `sqlite  ${file}\n  none             0 rows\n  notes        1,234 rows\nexported to ${directory}\n`,
    );
    expect({ status, err }).toEqual({ status: 0, err: "" });
    const one = await dualdb(["--sqlite", await notes(1), "--dir", join(freshDirectory(), "out")]);
    expect(one.out).toMatch(/^ {2}notes {12}1 row$/m);
    const json = await dualdb(["--sqlite", file, "--dir", directory, "--json", "--tables", "notes"]);
    expect(JSON.parse(json.out)).toMatchObject({ ok: true, directory, tables: [{ table: "notes", rows: 1_234 }] });
    expect((await dualdb(["--sqlite", file, "--dir", directory, "--quiet"])).out).toBe("");
  });

  test("names a full-text table whose rows are in no file, and ends with 3", async () => {
    const file = freshSqlite();
    const engine = await openAt(file);
    await script(engine, "CREATE VIRTUAL TABLE docs USING fts5 (body); INSERT INTO docs VALUES ('x')");
    await engine.close();
    const directory = join(freshDirectory(), "out");
    const { status, out } = await dualdb(["--sqlite", file, "--dir", directory, "--quiet"]);
    expect(out).toMatch(/^ {2}docs was left out: a full-text table \(fts5\), .*: its rows stay behind\n$/);
    expect(status).toBe(3);
  });

  test("ends with the status that fits", async () => {
    const file = await notes();
    const directory = join(freshDirectory(), "out");
    const at = (...args: string[]) => dualdb(["--dir", directory, ...args]);
    expect((await at("--sqlite", `${file}.no`)).status).toBe(1);
    expect(existsSync(`${file}.no`)).toBe(false);
    const text = join(freshDirectory(), "text.db");
    writeFileSync(text, "not a database, but long enough to be looked at as one ".repeat(20));
    expect((await at("--sqlite", text)).status).toBe(1);
    expect((await at("--sqlite", freshDirectory())).status).toBe(1);
    expect((await at("--sqlite", file, "--tables", "nots")).status).toBe(2);
    expect((await at("--sqlite", file, "--from", "mysql")).status).toBe(2);
    expect((await at("--sqlite", file, "--from", "postgres")).status).toBe(2);
    const down = await at("--pg", "postgres://me:secret@127.0.0.1:1/none", "--from", "postgres");
    expect(down.status).toBe(1);
    expect(down.err).not.toContain("secret");
    expect((await dualdb(["--sqlite", file, "--dir", directory], {}, AbortSignal.abort())).status).toBe(130);
    expect(existsSync(directory)).toBe(false);
  });

  test("on a disk that fills up leaves nothing behind", async () => {
    const file = await notes(2_000);
    const directory = join(freshDirectory(), "out");
    const failed = await limited(file, directory, "ulimit -f 128");
    expect(failed.err).toContain("FILE_UNUSABLE");
    expect(failed.status).toBe(1);
    expect(existsSync(directory)).toBe(false);
  });

  test("into a folder that is not its own says so", async () => {
    const file = await notes();
    const parent = freshDirectory();
    const directory = join(parent, "locked");
    mkdirSync(directory);
    chmodSync(directory, 0o555);
    // Else that user would not get as far as the folder.
    for (const path of [parent, dirname(parent), dirname(file)]) chmodSync(path, 0o777);
    chmodSync(file, 0o666);
    // Whatever is loaded late is loaded before the rights are gone.
    await exportData({ env: {}, sqlite: file, directory: join(parent, "before") });
    const failed = unprivilegedly(() => exportData({ env: {}, sqlite: file, directory: join(directory, "out") }));
    await expect(failed).rejects.toMatchObject({
      code: "FILE_UNUSABLE",
      message: expect.stringContaining(`${join(directory, "out")} cannot be used (EACCES)`),
    });
  });
});

/** The command in a process of its own, in a shell that has set a limit. */
async function limited(file: string, directory: string, limit: string) {
  const main = new URL("../../src/cli/main.ts", import.meta.url).pathname;
  const command = `${limit}; exec "${process.execPath}" --import tsx "${main}" export --sqlite "${file}" --dir "${directory}"`;
  const child = promisify(execFile)("/bin/sh", ["-c", command], { env: { PATH: process.env.PATH ?? "" } });
  return child.then(
    ({ stderr }) => ({ status: 0, err: stderr }),
    (error: { code: number; stderr: string }) => ({ status: error.code, err: error.stderr }),
  );
}
