import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createClient } from "@libsql/client";
import { describe, expect, test } from "vitest";
import { run } from "../../src/cli/program.js";
import { freshDirectory, freshPostgres, freshSqlite } from "../support/databases.js";
import { runAt } from "../support/postgres.js";

const own = ["0001_tables.sql", "0002_journal.sql"];

interface Outcome {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

async function dualdb(args: string, env: NodeJS.ProcessEnv = {}, isTTY = false): Promise<Outcome> {
  const written = { out: "", err: "" };
  const stream = (name: "out" | "err") => ({
    isTTY,
    write(text: string) {
      written[name] += text;
    },
  });
  const interruption = () => new AbortController().signal;
  const status = await run(args.split(" "), { env, stdout: stream("out"), stderr: stream("err"), interruption });
  return { status, ...written };
}

async function bothSides(): Promise<{ SQLITE_DB_PATH: string; DATABASE_URL: string }> {
  return { SQLITE_DB_PATH: freshSqlite(), DATABASE_URL: await freshPostgres() };
}

async function onFile(file: string, text: string): Promise<void> {
  const client = createClient({ url: `file:${file}`, concurrency: 1 });
  await client.executeMultiple(text);
  client.close();
}

/** A user's folder with one file for each side. */
function folderWith(name: string, libsql: string, postgres = libsql): string {
  const folder = freshDirectory();
  for (const [side, text] of Object.entries({ libsql, postgres })) {
    mkdirSync(join(folder, side));
    writeFileSync(join(folder, side, name), text);
  }
  return folder;
}

describe("dualdb", () => {
  test.each([
    ["--help", 0],
    ["--version", 0],
    ["migrate --help", 0],
    ["migrate create --help", 0],
    ["migrat", 2],
    ["migrate --lst", 2],
    ["migrate now", 2],
    ["migrate --only mysql", 2],
    ["migrate create", 2],
  ])("%s ends with status %i", async (args, status) => {
    const outcome = await dualdb(args);
    expect(outcome.status).toBe(status);
    expect(status === 0 ? outcome.out : outcome.err).not.toBe("");
    expect(status === 0 ? outcome.err : outcome.out).toBe("");
  });
});

describe("dualdb migrate", () => {
  test("migrates both sides, and then finds them up to date", async () => {
    const env = await bothSides();
    const first = await dualdb("migrate", env);
    expect(first).toMatchObject({ status: 0, err: "" });
    for (const filename of own) expect(first.out.split(filename)).toHaveLength(3);
    const second = await dualdb("migrate", env);
    expect(second.out).toContain(`sqlite    ${env.SQLITE_DB_PATH}\n  up to date\npostgres  postgres://`);
    expect(await runAt(env.DATABASE_URL, "SELECT id FROM messages")).toEqual([]);
  });

  test("takes the databases from options, before what the environment says", async () => {
    const env = await bothSides();
    const elsewhere = { SQLITE_DB_PATH: freshSqlite(), DATABASE_URL: "postgres://u:s3cret@127.0.0.1:1/x" };
    const { status, out } = await dualdb(`migrate --sqlite ${env.SQLITE_DB_PATH} --pg ${env.DATABASE_URL}`, elsewhere);
    expect(status).toBe(0);
    expect(out).toContain("armed  document_collaborators, documents, ");
    expect(existsSync(elsewhere.SQLITE_DB_PATH)).toBe(false);
  });

  test("without PostgreSQL it migrates SQLite, and says so", async () => {
    const { status, out } = await dualdb("migrate", { SQLITE_DB_PATH: freshSqlite() });
    expect(status).toBe(0);
    expect(out).toContain("PostgreSQL is left out");
    expect(out).toContain("DATABASE_URL");
  });

  test("--only leaves the other side alone", async () => {
    const env = await bothSides();
    expect((await dualdb("migrate --only postgres", env)).status).toBe(0);
    expect(existsSync(env.SQLITE_DB_PATH)).toBe(false);
    const out = JSON.parse((await dualdb("migrate --only sqlite --json", env)).out);
    expect(out.sides.map(({ side }: { side: string }) => side)).toEqual(["sqlite"]);
    const refused = await dualdb("migrate --only postgres", { SQLITE_DB_PATH: env.SQLITE_DB_PATH });
    expect(refused).toMatchObject({ status: 2, out: "", err: expect.stringContaining("DATABASE_URL") });
  });

  test("--list and --dry-run make neither a file nor a table", async () => {
    const env = await bothSides();
    const listed = await dualdb("migrate --list", env);
    expect(listed.status).toBe(0);
    expect(listed.out.match(/pending/g)).toHaveLength(4);
    const planned = await dualdb("migrate --dry-run --json", env);
    expect(JSON.parse(planned.out).sides).toMatchObject([
      { side: "sqlite", applied: [], pending: own },
      { side: "postgres", applied: [], pending: own },
    ]);
    expect(existsSync(env.SQLITE_DB_PATH)).toBe(false);
    expect(await runAt(env.DATABASE_URL, "SELECT to_regclass('schema_migrations') AS t")).toEqual([{ t: null }]);
  });

  test("--json is one document, whose form is promised", async () => {
    const env = await bothSides();
    const { out } = await dualdb("migrate --json", env);
    expect(JSON.parse(out)).toEqual({
      ok: true,
      sides: ["sqlite", "postgres"].map((side) => ({
        side,
        target: expect.any(String),
        applied: own.map((filename) => ({ filename, executionTimeMs: expect.any(Number) })),
        pending: [],
        unknown: [],
        searchRebuilt: false,
      })),
      armed: ["document_collaborators", "documents", "messages", "queries", "user_analysis_history", "user_profiles"],
      finalized: false,
    });
    expect(JSON.parse((await dualdb("migrate --json", env)).out).armed).toEqual([]);
    const listed = JSON.parse((await dualdb("migrate --list --json --only sqlite", env)).out);
    expect(listed.sides[0].migrations[0]).toEqual({
      filename: "0001_tables.sql",
      status: "applied",
      appliedAt: expect.any(Number),
      executionTimeMs: expect.any(Number),
      error: null,
    });
  });

  test("a failure has its code and its place, and the list shows it with status 3", async () => {
    const env = await bothSides();
    const folder = folderWith(
      "1_a.sql",
      "CREATE TABLE a (id INTEGER);",
      "CREATE TABLE a (id INTEGER);\nSELECT 1 FROM nowhere;",
    );
    const failed = await dualdb(`migrate --dir ${folder}`, env);
    expect(failed).toMatchObject({
      status: 1,
      err: expect.stringContaining("MIGRATION_FAILED: 1_a.sql failed on postgres, line 2: there is no table nowhere"),
    });
    expect(failed.out).toContain("applied  1_a.sql");
    const document = JSON.parse((await dualdb(`migrate --dir ${folder} --json`, env)).out);
    expect(document).toMatchObject({
      ok: false,
      sides: [{ side: "sqlite" }],
      error: { code: "MIGRATION_FAILED", side: "postgres", details: { filename: "1_a.sql", line: 2 } },
    });
    const listed = await dualdb(`migrate --list --dir ${folder}`, env);
    expect(listed.status).toBe(3);
    expect(listed.out).toMatch(/failed {3}1_a\.sql {2}line 2: there is no table nowhere/);
  });

  test("unknown migrations need --allow-unknown", async () => {
    const env = { SQLITE_DB_PATH: freshSqlite() };
    await dualdb(`migrate --dir ${folderWith("1_a.sql", "CREATE TABLE a (id INTEGER);")}`, env);
    expect(await dualdb("migrate", env)).toMatchObject({ status: 1, err: expect.stringContaining("--allow-unknown") });
    expect((await dualdb("migrate --allow-unknown", env)).status).toBe(0);
  });

  test.each([
    ["a wrong flag", { USE_POSTGRES_SHADOW: "ture" }, 2, "USE_POSTGRES_SHADOW"],
    ["a server that is not there", { DATABASE_URL: "postgres://u:hunter2@127.0.0.1:1/d" }, 1, "127.0.0.1:1"],
  ])("%s is an error without a password", async (_title, env, status, text) => {
    const outcome = await dualdb("migrate", { SQLITE_DB_PATH: freshSqlite(), ...env });
    expect(outcome).toMatchObject({ status, err: expect.stringContaining(text) });
    expect(`${outcome.out}${outcome.err}`).not.toContain("hunter2");
  });

  test.each([
    ["on a terminal", true, {}, true],
    ["with NO_COLOR", true, { NO_COLOR: "1" }, false],
    ["on a dumb terminal", true, { TERM: "dumb" }, false],
    ["in a pipe", false, {}, false],
  ])("colours %s: %s", async (_title, isTTY, env, coloured) => {
    const { out } = await dualdb("migrate --list", { SQLITE_DB_PATH: freshSqlite(), ...env }, isTTY);
    expect(out.includes("\u001b[")).toBe(coloured);
  });
});

describe("dualdb migrate with a PostgreSQL that has another partner", () => {
  /** A pair, and a folder with a migration that neither has yet. */
  async function paired() {
    const env = await bothSides();
    await dualdb("migrate", env);
    return { env, folder: folderWith("1_a.sql", "CREATE TABLE a (id INTEGER);") };
  }

  /** What a migration would have changed first. */
  async function expectUntouched(url: string): Promise<void> {
    expect(await runAt(url, "SELECT to_regclass('a') AS a")).toEqual([{ a: null }]);
    expect(await runAt(url, "SELECT count(*)::int AS n FROM schema_migrations")).toEqual([{ n: own.length }]);
  }

  test.each(["", " --dry-run", " --only sqlite"])(
    "makes no SQLite file, and changes nothing: migrate%s",
    async (more) => {
      const { env, folder } = await paired();
      const SQLITE_DB_PATH = freshSqlite();
      const outcome = await dualdb(`migrate --dir ${folder}${more}`, { ...env, SQLITE_DB_PATH });
      expect(outcome).toMatchObject({ status: 1, out: "", err: expect.stringContaining("PAIR_MISMATCH") });
      expect(outcome.err).toContain(SQLITE_DB_PATH);
      expect(readdirSync(dirname(SQLITE_DB_PATH))).toEqual([]);
      await expectUntouched(env.DATABASE_URL);
    },
  );

  test.each(["", " --dry-run"])("leaves a database that has a partner, too, as it is: migrate%s", async (more) => {
    const [mine, theirs] = [await paired(), await paired()];
    const before = readFileSync(mine.env.SQLITE_DB_PATH);
    const env = { ...mine.env, DATABASE_URL: theirs.env.DATABASE_URL };
    const outcome = await dualdb(`migrate --dir ${mine.folder}${more}`, env);
    expect(outcome).toMatchObject({ status: 1, out: "", err: expect.stringContaining("PAIR_MISMATCH") });
    expect(readFileSync(mine.env.SQLITE_DB_PATH).equals(before)).toBe(true);
    await expectUntouched(theirs.env.DATABASE_URL);
    expect((await dualdb(`migrate --dir ${mine.folder}`, mine.env)).status).toBe(0);
  });

  test("leaves a file that was never ours as it is, to the byte", async () => {
    const { env, folder } = await paired();
    const SQLITE_DB_PATH = freshSqlite();
    await onFile(SQLITE_DB_PATH, "CREATE TABLE theirs (id INTEGER PRIMARY KEY)");
    const before = readFileSync(SQLITE_DB_PATH);
    const outcome = await dualdb(`migrate --dir ${folder}`, { ...env, SQLITE_DB_PATH });
    expect(outcome).toMatchObject({ status: 1, out: "", err: expect.stringContaining("PAIR_MISMATCH") });
    expect(readFileSync(SQLITE_DB_PATH).equals(before)).toBe(true);
    expect(readdirSync(dirname(SQLITE_DB_PATH))).toEqual([basename(SQLITE_DB_PATH)]);
    await expectUntouched(env.DATABASE_URL);
  });

  test("makes no SQLite file where it cannot be told", async () => {
    const env = { SQLITE_DB_PATH: freshSqlite(), DATABASE_URL: "postgres://u:hunter2@127.0.0.1:1/d" };
    const outcome = await dualdb("migrate", env);
    expect(outcome).toMatchObject({ status: 1, err: expect.stringContaining("cannot be told") });
    expect(existsSync(env.SQLITE_DB_PATH)).toBe(false);
  });

  test("still brings PostgreSQL up to date alone", async () => {
    const { env, folder } = await paired();
    const SQLITE_DB_PATH = freshSqlite();
    const { status } = await dualdb(`migrate --only postgres --dir ${folder}`, { ...env, SQLITE_DB_PATH });
    expect(status).toBe(0);
    expect(existsSync(SQLITE_DB_PATH)).toBe(false);
    expect(await runAt(env.DATABASE_URL, "SELECT id FROM a")).toEqual([]);
  });
});

describe("dualdb migrate create", () => {
  test.each(["migrate create add_mood --dir", "migrate --dir"])("%s makes a pair that then applies", async (before) => {
    const folder = join(freshDirectory(), "mine");
    const args = before.includes("create") ? `${before} ${folder}` : `${before} ${folder} create add_mood`;
    const { status, out } = await dualdb(args);
    expect(status).toBe(0);
    expect(out.trim().split("\n")).toHaveLength(2);
    const [name] = readdirSync(join(folder, "libsql"));
    expect(name).toMatch(/^\d{14}_add_mood\.sql$/);
    expect(readdirSync(join(folder, "postgres"))).toEqual([name]);
    const migrated = await dualdb(`migrate --dir ${folder}`, { SQLITE_DB_PATH: freshSqlite() });
    expect(migrated.out).toContain(`applied  ${name}`);
  });

  test("refuses another name", async () => {
    const outcome = await dualdb(`migrate create Add-Mood --dir ${freshDirectory()}`);
    expect(outcome).toMatchObject({ status: 2, err: expect.stringContaining("MIGRATION_INVALID") });
  });
});

describe("as a process", () => {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const tsx = new URL("../../node_modules/tsx/dist/esm/index.mjs", import.meta.url).href;
  const main = join(root, "src/cli/main.ts");
  const bare = { PATH: process.env.PATH, HOME: process.env.HOME };

  function spawn(args: string[], cwd: string, env: NodeJS.ProcessEnv = {}) {
    return promisify(execFile)(process.execPath, ["--import", tsx, main, ...args], { cwd, env: { ...bare, ...env } });
  }

  test("reads .env and ./migrations where it stands", async () => {
    const directory = freshDirectory();
    writeFileSync(join(directory, ".env"), "SQLITE_DB_PATH=./from-env.db\n");
    mkdirSync(join(directory, "migrations", "libsql"), { recursive: true });
    writeFileSync(join(directory, "migrations", "libsql", "1_a.sql"), "CREATE TABLE a (id INTEGER)");
    const { stdout } = await spawn(["migrate"], directory);
    expect(stdout).toContain("applied  1_a.sql");
    expect(existsSync(join(directory, "from-env.db"))).toBe(true);
  });

  test("a ./migrations of another tool is not ours", async () => {
    const directory = freshDirectory();
    mkdirSync(join(directory, "migrations"));
    writeFileSync(join(directory, "migrations", "001.sql"), "whatever");
    const { stdout } = await spawn(["migrate", "--json"], directory);
    expect(JSON.parse(stdout).sides[0].applied).toHaveLength(2);
  });

  test("the exit status reaches the shell", async () => {
    await expect(spawn(["migrate"], freshDirectory(), { READ_FENCE_MS: "soon" })).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining("READ_FENCE_MS"),
    });
  });

  test("several at once apply each file once", async () => {
    const env = await bothSides();
    const runs = await Promise.all(
      Array.from({ length: 4 }, () => spawn(["migrate", "--json"], freshDirectory(), env)),
    );
    const sides = runs.flatMap(({ stdout }) => JSON.parse(stdout).sides);
    expect(sides.flatMap(({ applied }) => applied)).toHaveLength(4);
  });
});
