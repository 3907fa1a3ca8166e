import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { createDatabase, sql } from "../../src/index.js";
import type { Status } from "../../src/status.js";
import { freshDirectory, freshSqlite } from "../support/databases.js";
import { speaker, TestPair, until } from "../support/pair.js";
import { type PostgresServer, runAt, startPostgres } from "../support/postgres.js";
import { Recorder } from "../support/recorder.js";
import { RemoteBot } from "../support/remote.js";

const say = (messageContent: string) => ({ ...speaker, messageContent });
const password = "hunter2-very-secret";

interface Failure {
  readonly code: string;
  readonly message: string;
}

/** What opening fails with; nothing that was said or logged holds the secret. */
async function failureOf(env: NodeJS.ProcessEnv): Promise<Failure> {
  const logger = new Recorder();
  const database = createDatabase({ env, logger });
  const failure: unknown = await database.open().then(
    () => null,
    (error: unknown) => error,
  );
  await database.close();
  expect(failure).toBeInstanceOf(Error);
  const said = `${String(failure)} ${JSON.stringify(failure)} ${logger.text}`;
  expect(said).not.toContain(password);
  return failure as Failure & Error;
}

describe("variables", () => {
  const sqlite = () => ({ SQLITE_DB_PATH: freshSqlite() });

  test.each([
    [{ USE_POSTGRES_SHADOW: password }, ["USE_POSTGRES_SHADOW must be true"]],
    [{ USE_POSTGRES_SHADW: "1" }, ["USE_POSTGRES_SHADW is not a flag; did you mean USE_POSTGRES_SHADOW?"]],
    [{ USE_POSTGRES_PRIMARY: "1" }, ["USE_POSTGRES_PRIMARY is on", "set DATABASE_URL"]],
    [
      { DATABASE_URL: `postgres://u:${password}@[`, USE_POSTGRES_READ: "1" },
      ["DATABASE_URL is not a valid URL; percent-encode"],
    ],
    [{ READ_FENCE_MS: "soon" }, ["READ_FENCE_MS must be a whole number"]],
    [
      { USE_POSTGRES_READ: "maybe", USE_POSTGRES_EXTRA: "1", LOG_LEVEL: "loud" },
      ["USE_POSTGRES_READ must be true", "USE_POSTGRES_EXTRA is not a flag", "LOG_LEVEL must be one of trace"],
    ],
  ])("%j is a configuration error that names it, and what it takes", async (env, said) => {
    const { code, message } = await failureOf({ ...sqlite(), ...env });
    expect(code).toBe("CONFIG_INVALID");
    for (const words of said) expect(message).toContain(words);
  });

  test("corrected, the same database opens", async () => {
    const env: NodeJS.ProcessEnv = { ...sqlite(), USE_POSTGRES_SHADOW: "yess" };
    const database = createDatabase({ env });
    await expect(database.open()).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    env.USE_POSTGRES_SHADOW = "no";
    expect(await database.messageService.getMessageCount()).toBe(0);
    await database.close();
  });
});

describe("the SQLite file", () => {
  const unreadable = /^DATABASE_UNAVAILABLE .*bot\.db cannot be opened: check that this process may read it/;
  const unwritable = /^DATABASE_UNUSABLE .*bot\.db is read-only: give this process the right to write the file/;

  test("is no database", async () => {
    const file = freshSqlite();
    writeFileSync(file, `${password} `.repeat(1_000));
    expect(await failureOf({ SQLITE_DB_PATH: file })).toMatchObject({
      code: "DATABASE_UNUSABLE",
      message: `${file} is not an SQLite database: check the path`,
    });
  });

  test("is a directory", async () => {
    const directory = freshDirectory();
    expect(await failureOf({ SQLITE_DB_PATH: directory })).toMatchObject({
      code: "DATABASE_UNUSABLE",
      message: `${directory} is a directory: name a file in it`,
    });
  });

  test("is in a directory that is not there", async () => {
    const file = path.join(freshDirectory(), "missing", "bot.db");
    expect(await failureOf({ SQLITE_DB_PATH: file })).toMatchObject({
      code: "DATABASE_UNAVAILABLE",
      message: `${file} cannot be made: ${path.dirname(file)} is no directory; make it, or correct the path`,
    });
  });

  test("may not be read", async () => {
    const pair = await TestPair.create();
    await (await pair.open("---")).close();
    chmodSync(pair.file, 0o000);
    await expect(withoutRights(pair, "getMessageCount")).rejects.toThrow(unreadable);
  });

  test("may be read and not written: reads work, a write says why it does not", async () => {
    const pair = await TestPair.create();
    const database = await pair.open("---");
    await database.messageService.saveHumanMessage(say("one"));
    await database.close();
    chmodSync(pair.file, 0o444);
    expect(await withoutRights(pair, "getMessageCount")).toBe(1);
    await expect(withoutRights(pair, "saveHumanMessage", {}, say("two"))).rejects.toThrow(unwritable);
  });

  test("is in a directory that may not be entered", async () => {
    const pair = await TestPair.create();
    const env = { SQLITE_DB_PATH: path.join(pair.file, "..", "closed", "bot.db") };
    mkdirSync(path.dirname(env.SQLITE_DB_PATH));
    chmodSync(path.dirname(env.SQLITE_DB_PATH), 0o000);
    await expect(withoutRights(pair, "getMessageCount", env)).rejects.toThrow(
      /^DATABASE_UNUSABLE .*closed\/bot\.db cannot be looked at .*: give this process the right to enter its directory/,
    );
  });

  /** Calls a bot without root's rights, with these flags. */
  async function withoutRights(pair: TestPair, name: string, env = {}, ...input: readonly unknown[]): Promise<unknown> {
    return (await powerless(pair, "---", env)).call("messageService", name, ...input);
  }

  /** A bot in a process without root's rights, which may not write to the file's directory. */
  async function powerless(pair: TestPair, letters: string, env = {}): Promise<RemoteBot> {
    chmodSync(path.dirname(pair.file), 0o555);
    onTestFinished(() => chmodSync(path.dirname(pair.file), 0o755));
    return RemoteBot.startPowerless(pair.env(letters, env));
  }

  /** A pair that has worked with these flags, with one message on both sides, and what the file may be used for from now on. */
  async function filePair(letters: string, mode: number): Promise<TestPair> {
    const pair = await TestPair.create();
    const database = await pair.open(letters);
    await database.messageService.saveHumanMessage(say("one"));
    await database.drain();
    await database.close();
    chmodSync(pair.file, mode);
    return pair;
  }

  test.each(["--S", "-RS", "P-S"])("may not be read, with SQLite primary and %s: it is said", async (letters) => {
    const pair = await filePair("--S", 0o000);
    const bot = await powerless(pair, letters);
    await expect(bot.call("messageService", "getMessageCount")).rejects.toThrow(unreadable);
    await expect(bot.call("messageService", "saveHumanMessage", say("two"))).rejects.toThrow(unreadable);
    expect(await pair.count("postgres", "messages")).toBe(1);
  });

  test("may not be read, with PostgreSQL primary and P-S: the bot goes on, and what it wrote comes in later", async () => {
    const pair = await filePair("P-S", 0o000);
    const bot = await powerless(pair, "P-S");
    await bot.call("messageService", "saveHumanMessage", say("two"));
    expect(await bot.call("messageService", "getMessageCount")).toBe(2);
    expect(await bot.call("database", "status")).toMatchObject({ primary: "postgres", sqlite: null });
    await bot.kill();
    chmodSync(pair.file, 0o644);
    await pair.expectConverged(await pair.open("P-S"));
    expect(await pair.count("sqlite", "messages")).toBe(2);
  });

  test.each(["---", "--S", "-RS"])(
    "may not be read, with PostgreSQL primary and %s: a roll-back says why it cannot be",
    async (letters) => {
      const pair = await filePair("P-S", 0o000);
      const bot = await powerless(pair, letters);
      await expect(bot.call("messageService", "getMessageCount")).rejects.toThrow(unreadable);
      expect((await pair.rows("postgres", 'SELECT "primary" FROM dualdb_state'))[0]?.primary).toBe("postgres");
    },
  );

  test.each(["--S", "-RS"])(
    "may be read and not written, with %s: reads work, a write says why not",
    async (letters) => {
      const pair = await filePair("--S", 0o444);
      const bot = await powerless(pair, letters);
      expect(await bot.call("messageService", "getMessageCount")).toBe(1);
      await expect(bot.call("messageService", "saveHumanMessage", say("two"))).rejects.toThrow(unwritable);
      expect(await bot.call("messageService", "getMessageCount")).toBe(1);
      expect(await pair.count("postgres", "messages")).toBe(1);
    },
  );

  test("may be read and not written, with SQLite primary and P-S: the primary does not move, and it is said", async () => {
    const pair = await filePair("--S", 0o444);
    const bot = await powerless(pair, "P-S");
    await expect(bot.call("messageService", "getMessageCount")).rejects.toThrow(unwritable);
    expect((await pair.rows("postgres", 'SELECT "primary" FROM dualdb_state'))[0]?.primary).toBe("sqlite");
  });

  test("may be read and not written, with PostgreSQL primary and P-S: the bot goes on, and status says what is wrong", async () => {
    const pair = await filePair("P-S", 0o444);
    const bot = await powerless(pair, "P-S");
    await bot.call("messageService", "saveHumanMessage", say("two"));
    expect(await bot.call("messageService", "getMessageCount")).toBe(2);
    const isTold = async () => {
      const { relay, problem } = (await bot.call("database", "status")) as Pick<Status, "relay" | "problem">;
      const { code, message } = relay?.lastError ?? problem ?? {};
      return unwritable.test(`${code} ${message}`);
    };
    await until("status tells of it", isTold);
    await bot.kill();
    chmodSync(pair.file, 0o644);
    chmodSync(path.dirname(pair.file), 0o755);
    await pair.expectConverged(await pair.open("P-S"));
    expect(await pair.count("sqlite", "messages")).toBe(2);
  });

  test("is damaged in the middle", async () => {
    const pair = await TestPair.create();
    const database = await pair.open("---");
    await database.messageService.saveHumanMessage(say("one"));
    await database.close();
    const bytes = readFileSync(pair.file);
    bytes.fill(0x5a, 4_096);
    writeFileSync(pair.file, bytes);
    expect(await failureOf(pair.env("---"))).toMatchObject({
      code: "DATABASE_UNUSABLE",
      message: `${pair.file} is damaged: restore it from a backup`,
    });
  });
});

describe("a SQLite file that is gone", () => {
  async function gone(letters: string): Promise<TestPair> {
    const pair = await TestPair.create();
    const database = await pair.open(letters);
    await database.messageService.saveHumanMessage(say("one"));
    await database.drain();
    await database.close();
    renameSync(pair.file, `${pair.file}.away`);
    // Whoever copies or moves the file of a process that has ended has all of it.
    expect(existsSync(`${pair.file}-wal`) ? statSync(`${pair.file}-wal`).size : 0).toBe(0);
    return pair;
  }

  async function expectRefused(pair: TestPair, letters: string): Promise<void> {
    const { code, message } = await failureOf(pair.env(letters));
    expect(code).toBe("PAIR_MISMATCH");
    for (const words of [pair.file, "Check SQLITE_DB_PATH", "dualdb rearm --primary postgres"])
      expect(message).toContain(words);
  }

  test.each(["---", "--S", "-RS"])("with %s it is refused, and none is made", async (letters) => {
    const pair = await gone("--S");
    await expectRefused(pair, letters);
    expect(existsSync(pair.file)).toBe(false);
  });

  test("with flags unset while PostgreSQL is primary it is refused", async () => {
    const pair = await gone("P-S");
    await expectRefused(pair, "---");
  });

  test.each(["P--", "P-S"])(
    "with PostgreSQL primary and %s the bot goes on, with an error in the log",
    async (letters) => {
      const pair = await gone("P-S");
      const logger = new Recorder();
      const database = await pair.open(letters, { logger });
      await database.messageService.saveHumanMessage(say("two"));
      expect(await database.messageService.getMessageCount()).toBe(2);
      expect(logger.of("sqlite-missing").map(({ level }) => level)).toEqual(["error"]);
      const { problem, ...status } = await database.status();
      expect(status).toMatchObject({ primary: "postgres", effective: "postgres", sqlite: null });
      expect(problem?.message).toContain(`There is no SQLite database at ${pair.file}`);
      expect(problem?.message).toContain("Put the file back");
      await database.close();
      expect(existsSync(pair.file)).toBe(false);
      renameSync(`${pair.file}.away`, pair.file);
      await pair.expectConverged(await pair.open("P-S"));
      expect(await pair.count("sqlite", "messages")).toBe(2);
    },
  );

  test("and is a directory now, with PostgreSQL primary: the bot goes on", async () => {
    const pair = await gone("P-S");
    mkdirSync(pair.file);
    const logger = new Recorder();
    const database = await pair.open("P--", { logger });
    expect(await database.messageService.getMessageCount()).toBe(1);
    const said = { code: "DATABASE_UNUSABLE", message: `${pair.file} is a directory: name a file in it` };
    expect(logger.of("sqlite-unavailable")).toMatchObject([{ level: "error", fields: said }]);
  });
});

describe("a SQLite file that belongs to another PostgreSQL", () => {
  test.each(["--S", "-RS", "P--", "P-S"])("is refused with %s, and neither is changed", async (letters) => {
    const [mine, theirs] = [await TestPair.create(), await TestPair.create()];
    for (const pair of [mine, theirs]) {
      const database = await pair.open("--S");
      await database.messageService.saveHumanMessage(say("one"));
      await database.drain();
      await database.close();
    }
    const failure = await failureOf(mine.env(letters, { DATABASE_URL: theirs.url }));
    expect(failure.code).toBe("PAIR_MISMATCH");
    expect(failure.message).toMatch(/Check SQLITE_DB_PATH .* DATABASE_URL; .* dualdb rearm --primary sqlite/);
    await mine.expectEqual();
    await theirs.expectEqual();
  });

  test("is refused where it was primary there, and PostgreSQL here has never had a partner", async () => {
    const mine = await TestPair.create();
    await (await mine.open("P--")).close();
    const empty = await TestPair.create();
    for (const letters of ["P--", "---", "--S"]) {
      const { code, message } = await failureOf(mine.env(letters, { DATABASE_URL: empty.url }));
      expect(code).toBe("PAIR_MISMATCH");
      expect(message).toContain("Point DATABASE_URL to the right one");
    }
  });
});

describe("PostgreSQL", () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres({ auth: "scram-sha-256", password });
  });
  afterAll(() => server.stop());

  /** A file that is there already, so that only the flags decide. */
  async function existing(): Promise<NodeJS.ProcessEnv> {
    const SQLITE_DB_PATH = freshSqlite();
    const database = createDatabase({ env: { SQLITE_DB_PATH } });
    await database.open();
    await database.close();
    return { SQLITE_DB_PATH };
  }

  const withPassword = (url: string, other: string) => url.replace(encodeURIComponent(password), other);

  /** In `shadow` and `read` the primary goes on, and log and status say what is wrong. */
  async function problemOf(env: NodeJS.ProcessEnv, code: string, words: readonly string[]): Promise<void> {
    for (const flags of [{ USE_POSTGRES_SHADOW: "1" }, { USE_POSTGRES_SHADOW: "1", USE_POSTGRES_READ: "1" }]) {
      const logger = new Recorder();
      const database = createDatabase({ env: { ...env, ...flags }, logger });
      await database.messageService.saveHumanMessage(say(`${password} as a value`));
      expect(await database.messageService.getMessageCount()).toBeGreaterThan(0);
      const status = await database.status();
      expect(status).toMatchObject({ primary: "sqlite", problem: { code } });
      for (const word of words) expect(status.problem?.message).toContain(word);
      await database.close();
      const { message } = status.problem ?? {};
      const said = { level: "error", fields: expect.objectContaining({ code, message }) };
      expect(logger.lines).toContainEqual(expect.objectContaining(said));
      expect(`${JSON.stringify(status)} ${logger.text}`).not.toContain(password);
    }
    const failure = await failureOf({ ...env, USE_POSTGRES_PRIMARY: "1" });
    expect(failure.code).toBe(code);
    for (const word of words) expect(failure.message).toContain(word);
  }

  test("has no tables", async () => {
    const DATABASE_URL = await server.createDatabase();
    await problemOf({ ...(await existing()), DATABASE_URL }, "SCHEMA_MISSING", ["dualdb migrate"]);
  });

  test("has the tables of an older version", async () => {
    const pair = await TestPair.create({ server: server.url() });
    await (await pair.open("--S")).close();
    const last = "DELETE FROM schema_migrations WHERE filename = (SELECT max(filename) FROM schema_migrations)";
    await runAt(pair.url, last);
    await problemOf(pair.env("---"), "SCHEMA_MISSING", ["0002_journal.sql", "npx dualdb migrate"]);
  });

  test("has no column of ours any more", async () => {
    const pair = await TestPair.create({ server: server.url() });
    await (await pair.open("---")).close();
    await runAt(pair.url, "ALTER TABLE messages DROP COLUMN metadata");
    await problemOf(pair.env("---"), "SCHEMA_MISSING", ["metadata in table messages", "dualdb migrate"]);
  });

  test("has no table of ours any more", async () => {
    const pair = await TestPair.create({ server: server.url() });
    await (await pair.open("--S")).close();
    await runAt(pair.url, "DROP TABLE messages");
    await problemOf(pair.env("---"), "SCHEMA_MISSING", ["The table messages", "Create it there"]);
  });

  test("takes another password", async () => {
    const DATABASE_URL = withPassword(await server.createDatabase(), "other-very-secret");
    await problemOf({ ...(await existing()), DATABASE_URL }, "ACCESS_DENIED", [
      "the password is",
      "check user, password",
    ]);
  });

  test("asks for a password, and none is given", async () => {
    const DATABASE_URL = withPassword(await server.createDatabase(), "");
    await problemOf({ ...(await existing()), DATABASE_URL }, "ACCESS_DENIED", [
      "the password is",
      "check user, password",
    ]);
  });

  test("has no such database", async () => {
    const DATABASE_URL = server.url("nowhere");
    await problemOf({ ...(await existing()), DATABASE_URL }, "DATABASE_UNUSABLE", ["nowhere", "create it"]);
  });

  test("is at another port", async () => {
    const DATABASE_URL = server.url().replace(String(server.port), "1");
    await problemOf({ ...(await existing()), DATABASE_URL }, "DATABASE_UNAVAILABLE", [
      "127.0.0.1:1/",
      "check that it runs",
    ]);
  });

  test("is at a host that does not exist", async () => {
    const DATABASE_URL = server.url().replace("127.0.0.1", "nowhere.invalid");
    await problemOf({ ...(await existing()), DATABASE_URL }, "DATABASE_UNAVAILABLE", [
      "nowhere.invalid",
      "host and port",
    ]);
  });

  test("is primary, and is not named any more", async () => {
    const pair = await TestPair.create({ server: server.url() });
    await (await pair.open("P-S")).close();
    const { code, message } = await failureOf({ SQLITE_DB_PATH: pair.file });
    expect(code).toBe("CONFIG_INVALID");
    expect(message).toContain("set DATABASE_URL");
  });

  test("refuses a value while it is primary: the value is in no message, log or status", async () => {
    const pair = await TestPair.create({ server: server.url() });
    const logger = new Recorder();
    const database = await pair.open("P-S", { logger });
    const id = await database.messageService.saveHumanMessage(say(password));
    const again = sql`INSERT INTO messages (id, timestamp, sender_type, message_content) VALUES (${id}, 1, 'human', ${password})`;
    for (const statement of [
      again,
      sql`INSERT INTO messages (id, timestamp, sender_type, message_content) VALUES ('x', 1, ${password}, 'x')`,
      sql`UPDATE messages SET timestamp = ${password} WHERE id = ${id}`,
      sql`INSERT INTO no_such_table (id) VALUES (${password})`,
      sql`SELECT this is no SQL ${password}`,
    ]) {
      const failure: unknown = await database.write(statement).catch((error: unknown) => error);
      expect(failure).toMatchObject({ name: "DualDbError", code: expect.any(String) });
      expect(`${String(failure)} ${Reflect.get(Object(failure), "message")}`).not.toContain(password);
    }
    expect(`${JSON.stringify(await database.status())} ${logger.text}`).not.toContain(password);
    await pair.expectConverged(database);
  });
});
