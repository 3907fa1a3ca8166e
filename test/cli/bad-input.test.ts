import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { createClient } from "@libsql/client";
import sql from "sql-template-tag";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Engine } from "../../src/engines/engine.js";
import { openPostgres } from "../../src/engines/postgres.js";
import { silentLogger } from "../../src/logger.js";
import { commandLine, type Outcome, type Surroundings, unprivilegedly } from "../support/command-line.js";
import { freshDirectory, freshSqlite } from "../support/databases.js";
import { openAt, script } from "../support/libsql.js";
import { until } from "../support/pair.js";
import { type PostgresServer, runAt, startPostgres } from "../support/postgres.js";
import { configOf } from "../support/postgres-config.js";
import { travelledPair } from "../support/travel.js";

const password = "hunter2-very-secret";
const otherPassword = "other-very-secret";

let server: PostgresServer;
/** A library that nobody described; PostgreSQL lacks one of its books, and the export has one more. */
let file: string;
let url: string;
let exported: string;
let looker: Engine;

beforeAll(async () => {
  server = await startPostgres({ auth: "scram-sha-256", password });
  file = freshSqlite();
  url = await server.createDatabase();
  looker = openPostgres({ config: configOf(url), logger: silentLogger });
  exported = join(freshDirectory(), "exported");
  const engine = await openAt(file);
  await script(
    engine,
    `CREATE TABLE authors (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
     CREATE TABLE books (isbn TEXT PRIMARY KEY, author INTEGER REFERENCES authors(id), title TEXT);
     WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 300) INSERT INTO authors SELECT i, 'A ' || i FROM n;
     INSERT INTO books SELECT 'isbn-' || id, id, 'Title of ' || id FROM authors;`,
  );
  const env = { SQLITE_DB_PATH: file, DATABASE_URL: url };
  expect(await commandLine(["copy", "--create-tables", "--quiet"], { env })).toMatchObject({ status: 0, err: "" });
  expect(await commandLine(["export", "--dir", exported, "--quiet"], { env })).toMatchObject({ status: 0, err: "" });
  await script(engine, "DELETE FROM books WHERE isbn = 'isbn-7'");
  await engine.close();
  await runAt(url, "DELETE FROM books WHERE isbn IN ('isbn-7', 'isbn-9')");
});

afterAll(async () => {
  await looker.close();
  await server.stop();
});

interface Command {
  /** Whatever it writes goes below this folder, which is empty. */
  readonly args: (scratch: string, database: string) => readonly string[];
  /** How it is made to need PostgreSQL, and nothing before it. */
  readonly needsPostgres?: readonly string[];
  /** A database that cannot be looked at is part of its report, on standard output. */
  readonly reports?: readonly ("sqlite" | "postgres")[];
  /** The wrong side, in the option that names one. */
  readonly wrongSide: string;
}

const commands: Readonly<Record<string, Command>> = {
  doctor: { args: () => [], reports: ["sqlite", "postgres"], wrongSide: "--from" },
  copy: { args: (scratch) => ["--rejects", join(scratch, "rejects")], wrongSide: "--from" },
  export: {
    args: (scratch) => ["--dir", join(scratch, "below", "export")],
    needsPostgres: ["--from", "postgres"],
    wrongSide: "--from",
  },
  import: {
    args: (scratch) => ["--to", "sqlite", "--dir", exported, "--rejects", join(scratch, "rejects")],
    needsPostgres: ["--to", "postgres"],
    wrongSide: "--to",
  },
  verify: { args: () => [], wrongSide: "--from" },
  repair: { args: (scratch) => ["--apply", "--dir", join(scratch, "former")], wrongSide: "--from" },
  status: { args: () => [], reports: ["postgres"], wrongSide: "--gate" },
  finalize: {
    args: (scratch, database) => ["--confirm", database, "--dir", join(scratch, "last")],
    wrongSide: "--from",
  },
};

const migrate: Command = { args: () => [], needsPostgres: ["--only", "postgres"], wrongSide: "--only" };
const withMigrate = { ...commands, migrate };

interface Case {
  readonly sqlite?: string;
  readonly postgres?: string;
  readonly more?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal;
  /** What the command is run in. */
  readonly as?: <T>(work: () => Promise<T>) => Promise<T>;
}

interface Failure {
  readonly status: number;
  readonly code: string;
  /** What the message names. */
  readonly names: readonly string[];
  /** Which database it is about. */
  readonly about?: "sqlite" | "postgres";
}

/** Runs the command with and without `--json`, and expects of both the same failure, no password, and nothing written. */
async function expectFailure(name: string, command: Command, given: Case, failure: Failure): Promise<void> {
  const scratches = [freshDirectory(), freshDirectory()] as const;
  for (const scratch of scratches) chmodSync(scratch, 0o777);
  const { sqlite = file, postgres = url, more = [], as = (work) => work() } = given;
  const argsIn = (scratch: string) => [name, ...command.args(scratch, new URL(postgres).pathname.slice(1)), ...more];
  const surroundings: Surroundings = {
    env: { SQLITE_DB_PATH: sqlite, DATABASE_URL: postgres, MIGRATION_TIMEOUT: "50", ...given.env },
    ...(given.signal === undefined ? {} : { signal: given.signal }),
  };
  const before = await everything(sqlite);
  const [plain, json] = await as(() =>
    Promise.all([
      commandLine(argsIn(scratches[0]), surroundings),
      commandLine([...argsIn(scratches[1]), "--json"], surroundings),
    ]),
  );
  const isReported = failure.about !== undefined && command.reports?.includes(failure.about) === true;
  expectPlain(plain, failure, isReported);
  expectDocument(json, failure, isReported);
  for (const text of [plain.out, plain.err, json.out, json.err]) expect(text).not.toMatch(/very-secret/);
  expect(scratches.flatMap((scratch) => readdirSync(scratch))).toEqual([]);
  expect(await everything(sqlite)).toEqual(before);
}

/** One or a few lines on standard error, unless it is what the command reports; never a stack. */
function expectPlain({ status, out, err }: Outcome, failure: Failure, isReported: boolean): void {
  expect({ status, out, err }).toMatchObject({ status: failure.status, ...(isReported ? { err: "" } : { out: "" }) });
  const said = isReported ? out : err;
  for (const word of [failure.code, ...failure.names]) expect(said).toContain(word);
  expect(said).not.toMatch(/^ +at /m);
}

function expectDocument({ status, out, err }: Outcome, failure: Failure, isReported: boolean): void {
  expect({ status, out, err }).toMatchObject({ status: failure.status });
  expect(out.trimEnd().split("\n")).toHaveLength(1);
  const document: unknown = JSON.parse(out);
  if (isReported) expect(document).toMatchObject({ ok: true });
  else expect(document).toMatchObject({ ok: false, error: { code: failure.code || "CONFIG_INVALID" } });
  for (const word of [failure.code, ...failure.names]) expect(out).toContain(JSON.stringify(word).slice(1, -1));
}

/** What a command could have changed: both databases, and what lies beside the SQLite file. */
async function everything(sqlite: string): Promise<unknown> {
  const folder = dirname(sqlite);
  const files = existsSync(folder) ? readdirSync(folder).filter((name) => !/-(wal|shm)$/.test(name)) : [];
  const rows = await looker.read(
    sql`SELECT (SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace) AS relations,
       (SELECT md5(string_agg(a::text, ';' ORDER BY id)) FROM authors AS a) AS authors,
       (SELECT md5(string_agg(b::text, ';' ORDER BY isbn)) FROM books AS b) AS books`,
  );
  return { files, sqlite: digest(sqlite), library: digest(file), rows };
}

function digest(path: string): string {
  try {
    return createHash("sha256").update(readFileSync(path)).digest("hex");
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : "unknown";
  }
}

const withPassword = (other: string) => url.replace(encodeURIComponent(password), other);

describe.each(Object.entries(withMigrate))("dualdb %s", (name, command) => {
  const fails = (given: Case, failure: Failure) => expectFailure(name, command, given, failure);
  const more = command.needsPostgres ?? [];

  test("a SQLite file that is not a database", async () => {
    const sqlite = freshSqlite();
    writeFileSync(sqlite, `${password} is in here, and no table `.repeat(200));
    await fails({ sqlite }, { status: 1, code: "DATABASE_UNUSABLE", names: [sqlite], about: "sqlite" });
  });

  test("a directory", async () => {
    const sqlite = join(freshDirectory(), "folder");
    mkdirSync(sqlite);
    await fails({ sqlite }, { status: 1, code: "DATABASE_UNUSABLE", names: [sqlite, "a directory"], about: "sqlite" });
    expect(readdirSync(sqlite)).toEqual([]);
  });

  test("a folder that is not there", async () => {
    const sqlite = join(freshDirectory(), "none", "bot.db");
    await fails({ sqlite }, { status: 1, code: "DATABASE_UNAVAILABLE", names: [sqlite], about: "sqlite" });
    expect(existsSync(dirname(sqlite))).toBe(false);
  });

  test("a SQLite file that another process has locked", async () => {
    const sqlite = freshSqlite();
    const holder = createClient({ url: `file:${sqlite}` });
    await holder.execute("PRAGMA locking_mode=EXCLUSIVE");
    await holder.execute("CREATE TABLE books (isbn TEXT PRIMARY KEY, title TEXT)");
    await fails({ sqlite }, { status: 1, code: "DATABASE_BUSY", names: [sqlite, "locked"], about: "sqlite" });
    holder.close();
  });

  test("a SQLite file that this user may not read", async () => {
    const sqlite = freshSqlite();
    copyFileSync(file, sqlite);
    const open = [dirname(sqlite), dirname(dirname(sqlite)), dirname(exported), exported];
    for (const path of open) chmodSync(path, 0o755);
    for (const name of readdirSync(exported)) chmodSync(join(exported, name), 0o644);
    chmodSync(sqlite, 0o000);
    const failure: Failure = { status: 1, code: "DATABASE_UNAVAILABLE", names: [sqlite], about: "sqlite" };
    await fails({ sqlite, as: unprivilegedly }, failure);
  });

  test("a wrong password", async () => {
    const postgres = withPassword(otherPassword);
    await fails(
      { postgres, more },
      { status: 1, code: "ACCESS_DENIED", names: [`127.0.0.1:${server.port}`, "password"], about: "postgres" },
    );
  });

  test("a PostgreSQL that nobody answers for", async () => {
    const postgres = url.replace(String(server.port), "1");
    await fails(
      { postgres, more },
      { status: 1, code: "DATABASE_UNAVAILABLE", names: ["127.0.0.1:1", "check that it runs"], about: "postgres" },
    );
  });

  test("a PostgreSQL that has no such database", async () => {
    const postgres = url.replace(/[^/]+$/, "nowhere");
    await fails({ postgres, more }, { status: 1, code: "DATABASE_UNUSABLE", names: ["nowhere"], about: "postgres" });
  });

  test.each([
    ["an option that there is not", ["--wrong"], "unknown option '--wrong'"],
    ["the URL in an option that there is not", [`--gp=postgres://me:${password}@h/d`], "unknown option"],
    ["an argument too many", [`postgres://me:${password}@h/d`], "too many arguments"],
    ["a side that there is not", [command.wrongSide, "mysql"], command.wrongSide],
  ])("wrong usage: %s", async (_what, wrong, message) => {
    await fails({ more: wrong }, { status: 2, code: "", names: [message] });
  });

  test("variables that make no sense", async () => {
    const env = { USE_POSTGRES_SHADW: "1", DATABASE_URL: `postgres://me:${password}@[` };
    await fails({ env }, { status: 2, code: "CONFIG_INVALID", names: ["USE_POSTGRES_SHADW", "DATABASE_URL"] });
  });
});

describe.each(Object.entries(commands))("dualdb %s", (name, command) => {
  const fails = (given: Case, failure: Failure) => expectFailure(name, command, given, failure);

  test("a SQLite file that is not there is not made", async () => {
    const sqlite = freshSqlite();
    await fails({ sqlite }, { status: 1, code: "DATABASE_UNAVAILABLE", names: [sqlite], about: "sqlite" });
    expect(existsSync(sqlite)).toBe(false);
  });

  test("Ctrl-C while a locked SQLite file is waited for", async () => {
    const sqlite = freshSqlite();
    const holder = createClient({ url: `file:${sqlite}` });
    await holder.execute("PRAGMA locking_mode=EXCLUSIVE");
    await holder.execute("CREATE TABLE books (isbn TEXT PRIMARY KEY, title TEXT)");
    const given = { sqlite, env: { MIGRATION_TIMEOUT: "60000" }, signal: AbortSignal.timeout(50) };
    await fails(given, { status: 130, code: "INTERRUPTED", names: ["Interrupted"] });
    holder.close();
  });

  test("a table that there is not", async () => {
    const names = [name === "finalize" ? "--tables" : "nobody"];
    await fails({ more: ["--tables", "books,nobody"] }, { status: 2, code: "CONFIG_INVALID", names });
  });

  test("a --pg that is no PostgreSQL", async () => {
    const more = ["--pg", `mysql://me:${password}@h/d`];
    await fails({ more }, { status: 2, code: "CONFIG_INVALID", names: ["postgres://"] });
  });

  test("Ctrl-C before anything has begun", async () => {
    await fails({ signal: AbortSignal.abort() }, { status: 130, code: "INTERRUPTED", names: ["Interrupted"] });
  });
});

describe("Ctrl-C while a lock is waited for in mid-run", () => {
  const writing: Readonly<Record<string, readonly string[]>> = {
    copy: ["--from", "postgres"],
    import: [],
    repair: ["--from", "postgres"],
  };

  test.each(Object.entries(writing))("ends dualdb %s", async (name, more) => {
    const sqlite = freshSqlite();
    copyFileSync(file, sqlite);
    const holder = createClient({ url: `file:${sqlite}` });
    const lock = await holder.transaction("write");
    const env = { SQLITE_DB_PATH: sqlite, DATABASE_URL: url, MIGRATION_TIMEOUT: "60000" };
    const args = [name, ...(commands[name]?.args(freshDirectory(), "") ?? []), ...more, "--json"];
    const { status, out } = await commandLine(args, { env, signal: AbortSignal.timeout(1_500) });
    expect(status).toBe(130);
    expect(JSON.parse(out)).toMatchObject({ ok: false, error: { code: "INTERRUPTED" } });
    lock.close();
    holder.close();
  });
});

describe("Ctrl-C while a lock in PostgreSQL is waited for", () => {
  const looking: Readonly<Record<string, readonly string[]>> = {
    copy: [],
    export: ["--from", "postgres"],
    import: ["--to", "postgres"],
    verify: [],
    repair: [],
  };
  const waiting = `SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND backend_type = 'client backend'`;

  test.each(Object.entries(looking))("ends dualdb %s at once, and PostgreSQL has forgotten it", async (name, more) => {
    const interrupted = new AbortController();
    const env = { SQLITE_DB_PATH: file, DATABASE_URL: url };
    const args = [name, ...(commands[name]?.args(freshDirectory(), "") ?? []), ...more, "--json"];
    const before = await everything(file);
    const { outcome, took } = await whileLocked("books", async () => {
      const running = commandLine(args, { env, signal: interrupted.signal });
      await until("it waits for the lock", async () => (await runAt(url, waiting)).length > 0);
      const began = performance.now();
      interrupted.abort();
      const ended = await running;
      await until("PostgreSQL has ended it", async () => (await runAt(url, waiting)).length === 0);
      return { outcome: ended, took: performance.now() - began };
    });
    expect(JSON.parse(outcome.out)).toMatchObject({ ok: false, error: { code: "INTERRUPTED" } });
    expect(outcome).toMatchObject({ status: 130, err: "" });
    expect(took).toBeLessThan(3_000);
    expect(await everything(file)).toEqual(before);
  });

  /** Works while nobody else may look at a table. */
  async function whileLocked<T>(table: string, work: () => Promise<T>): Promise<T> {
    const holder = openPostgres({ config: configOf(url), logger: silentLogger });
    try {
      return await holder.transaction({ mode: "write" }, async (transaction) => {
        await transaction.script(`LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`);
        return work();
      });
    } finally {
      await holder.close();
    }
  }
});

test.each(["migrate --list", "migrate --dry-run"])("dualdb %s makes no SQLite file", async (args) => {
  const sqlite = freshSqlite();
  expect((await commandLine(args.split(" "), { env: { SQLITE_DB_PATH: sqlite } })).status).toBe(0);
  expect(existsSync(sqlite)).toBe(false);
});

describe("a user without rights in PostgreSQL", () => {
  beforeAll(async () => {
    await runAt(url, "CREATE ROLE guest LOGIN PASSWORD 'guest-very-secret'");
  });

  const touching = Object.entries(commands).filter(([name]) => !["doctor", "status", "finalize"].includes(name));
  test.each(touching)("is told so by dualdb %s", async (name, { needsPostgres: more = [], ...command }) => {
    const postgres = url.replace(/\/\/[^@]+@/, "//guest:guest-very-secret@");
    const failure: Failure = { status: 1, code: "ACCESS_DENIED", names: ["check user, password and grants"] };
    await expectFailure(name, command, { postgres, more }, failure);
  });
});

describe("a pair whose primary is PostgreSQL, and whose SQLite file is gone", () => {
  test("is told so by every command, and none makes another file", async () => {
    const pair = await travelledPair("P-S");
    const env = pair.env("P-S");
    const name = new URL(pair.url).pathname.slice(1);
    rmSync(pair.file);
    const told: Record<string, unknown> = {};
    for (const [command, { args }] of Object.entries(commands)) {
      const { status, out, err } = await commandLine([command, ...args(freshDirectory(), name), "--json"], { env });
      told[command] = [status, err, out.includes(pair.file), /"code":"(\w+)"/.exec(out)?.[1]];
      expect(existsSync(pair.file)).toBe(false);
    }
    const unavailable = [1, "", true, "DATABASE_UNAVAILABLE"];
    const all = Object.fromEntries(Object.keys(commands).map((command) => [command, unavailable]));
    expect(told).toEqual({ ...all, finalize: [1, "", true, "GATE_UNTOLD"] });
    const gate = await commandLine(["status", "--gate", "finalize"], { env });
    expect(gate).toMatchObject({ status: 1, err: "", out: expect.stringContaining(`there is no file ${pair.file}`) });
  });
});

test("dualdb verify begins its report when it is certain that there is something to compare", async () => {
  const report = join(freshDirectory(), "differences.jsonl");
  writeFileSync(report, "from before");
  const args = ["verify", "--output", report];
  for (const [sqlite, postgres, ...more] of [
    [freshSqlite(), url],
    [file, withPassword(otherPassword)],
    [file, url, "--tables", "nobody"],
  ] as const) {
    const env = { SQLITE_DB_PATH: sqlite, DATABASE_URL: postgres };
    expect((await commandLine([...args, ...more], { env })).status).toBe(more.length === 0 ? 1 : 2);
    expect(readFileSync(report, "utf8")).toBe("from before");
  }
});

describe("a copy that makes tables leaves none, and no file, when it fails", () => {
  const back = (sqlite: string, postgres: string, ...more: readonly string[]) =>
    commandLine(["copy", "--create-tables", "--from", "postgres", ...more], {
      env: { SQLITE_DB_PATH: sqlite, DATABASE_URL: postgres },
    });

  test.each([
    ["PostgreSQL is away", () => url.replace(String(server.port), "1"), [], 1],
    ["the password is wrong", () => withPassword(otherPassword), [], 1],
    ["one of the tables is none", () => url, ["--tables", "books,nobody"], 2],
  ])("because %s", async (_why, postgres, more, status) => {
    const sqlite = freshSqlite();
    expect(await back(sqlite, postgres(), ...more)).toMatchObject({ status, out: "" });
    expect(readdirSync(dirname(sqlite))).toEqual([]);
  });

  test("in PostgreSQL because one of the tables is none", async () => {
    const postgres = await server.createDatabase();
    const args = ["copy", "--create-tables", "--tables", "books,nobody"];
    const failed = await commandLine(args, { env: { SQLITE_DB_PATH: file, DATABASE_URL: postgres } });
    expect(failed).toMatchObject({ status: 2, out: "" });
    expect(failed.err).toContain("sqlite has no table nobody. It has authors, books.");
    const tables = "SELECT count(*)::int AS n FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    expect(await runAt(postgres, tables)).toEqual([{ n: 0 }]);
  });
});

describe("Ctrl-C in the middle", () => {
  /** Once as soon as the bar is on the screen, and once in peace. */
  async function twice(args: readonly string[], env: NodeJS.ProcessEnv): Promise<[Outcome, Outcome]> {
    const interrupted = new AbortController();
    const onScreen = (text: string) => {
      if (text.includes(" rows ")) interrupted.abort();
    };
    const first = await commandLine(args, { env, signal: interrupted.signal, onScreen });
    return [first, await commandLine(args, { env })];
  }

  test("ends every command that takes its time with 130, and the same again finishes it", async () => {
    const sqlite = freshSqlite();
    copyFileSync(file, sqlite);
    const postgres = await server.createDatabase();
    const env = { SQLITE_DB_PATH: sqlite, DATABASE_URL: postgres };
    const folder = freshDirectory();
    const statuses: Record<string, readonly number[]> = {};
    for (const [name, ...more] of [
      ["copy", "--create-tables", "--rejects", join(folder, "rejects")],
      ["verify", "--output", join(folder, "differences.jsonl")],
      ["repair", "--apply", "--dir", folder],
      ["export", "--dir", join(folder, "export")],
      ["import", "--to", "postgres", "--dir", exported, "--rejects", join(folder, "rejects")],
      ["doctor"],
    ] as const) {
      const [first, second] = await twice([name, ...more], env);
      expect(first.err).toContain("INTERRUPTED: Interrupted. What is done stays done");
      statuses[name] = [first.status, second.status];
    }
    expect(statuses).toEqual({
      copy: [130, 0],
      verify: [130, 0],
      repair: [130, 0],
      export: [130, 0],
      import: [130, 0],
      doctor: [130, expect.any(Number)],
    });
    // The export held one more book, which is all that has come by it.
    const differs = await commandLine(["verify", "--json"], { env });
    expect(differs.status).toBe(3);
    const books = { table: "books", extra: 1, missing: 0, different: 0, differences: [{ key: "isbn-7" }] };
    expect(JSON.parse(differs.out)).toMatchObject({ tables: [{ table: "authors", equal: 300 }, books] });
    expect(readdirSync(folder).sort()).toEqual(["differences.jsonl", "export"]);
  });
});

describe("help", () => {
  test.each(["", ...Object.keys(withMigrate)])("of dualdb %s fits 80 columns, and 60", async (name) => {
    for (const columns of [undefined, 60]) {
      const { status, out } = await commandLine([...(name === "" ? [] : [name]), "--help"], { columns });
      expect(status).toBe(0);
      expect(out.split("\n").filter((line) => line.length > (columns ?? 80))).toEqual([]);
    }
  });

  test("begins with what only this command has, and leaves out what it does not take", async () => {
    const { out } = await commandLine(["finalize", "--help"]);
    expect(out).toMatch(/^Options:\n {2}--confirm <name>/m);
    expect(out).not.toMatch(/--tables|--epoch/);
  });
});
