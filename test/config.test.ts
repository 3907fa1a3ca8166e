import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { type PostgresConfig, readConfig, targetName } from "../src/config.js";
import { DualDbError } from "../src/errors.js";

const directory = mkdtempSync(join(tmpdir(), "dualdb-config-"));
afterAll(() => rmSync(directory, { recursive: true }));

const pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----";

function refusal(env: NodeJS.ProcessEnv): DualDbError {
  try {
    readConfig(env);
  } catch (error) {
    if (error instanceof DualDbError) return error;
    throw error;
  }
  throw new Error("the configuration was accepted");
}

describe("without any variable", () => {
  test("SQLite in ./omega.db, no PostgreSQL, every default", () => {
    const file = resolve("omega.db");
    expect(readConfig({})).toEqual({
      flags: { primary: false, read: false, shadow: false },
      sqlite: { url: pathToFileURL(file).href, authToken: undefined, file },
      postgres: null,
      readFenceMs: 100,
      flipTimeoutMs: 60_000,
      analysisTimeoutMs: 30_000,
      migrationTimeoutMs: 30_000,
      migrationBatchSize: null,
      logLevel: null,
    });
  });
});

describe("flags", () => {
  const url = "postgres://localhost/bot";

  test.each(["true", "1", "on", "yes", "TRUE", "On", " yes "])("%j is on", (value) => {
    const { flags } = readConfig({ DATABASE_URL: url, USE_POSTGRES_SHADOW: value });
    expect(flags).toEqual({ primary: false, read: false, shadow: true });
  });

  test.each(["false", "0", "off", "no", "", "  ", "FALSE", "No"])("%j is off", (value) => {
    expect(readConfig({ USE_POSTGRES_PRIMARY: value }).flags.primary).toBe(false);
  });

  test.each(["ture", "2", "y", "enabled", "null"])("%j is refused, by the variable's name", (value) => {
    const error = refusal({ DATABASE_URL: url, USE_POSTGRES_READ: value });
    expect(error.code).toBe("CONFIG_INVALID");
    expect(error.message).toContain("USE_POSTGRES_READ must be true");
  });

  test.each([
    ["USE_POSTGRES_PRIMRY", "USE_POSTGRES_PRIMARY"],
    ["USE_POSTGRES_READS", "USE_POSTGRES_READ"],
    ["USE_POSTGRES_SHADOWS", "USE_POSTGRES_SHADOW"],
    ["use_postgres_shadow", "USE_POSTGRES_SHADOW"],
    ["USE_POSTGRES_", "USE_POSTGRES_READ"],
  ])("%s is refused, with the nearest flag", (name, nearest) => {
    expect(refusal({ [name]: "true" }).message).toContain(`${name} is not a flag; did you mean ${nearest}?`);
  });

  test.each(["USE_POSTGRES_PRIMARY", "USE_POSTGRES_READ", "USE_POSTGRES_SHADOW"])("%s needs a PostgreSQL", (flag) => {
    const { message } = refusal({ [flag]: "1" });
    for (const name of [flag, "DATABASE_URL", "POSTGRES_URL", "DATABASE_PUBLIC_URL", "POSTGRES_HOST"]) {
      expect(message).toContain(name);
    }
  });
});

describe("PostgreSQL", () => {
  const limits = { poolSize: 20, queryTimeoutMs: 30_000 };
  const user = userInfo().username;
  const base = {
    host: "h",
    port: 5432,
    database: "d",
    user: "u",
    password: "p",
    sslMode: "prefer",
    ca: undefined,
    ...limits,
  };

  const accepted: [string, NodeJS.ProcessEnv, Partial<PostgresConfig>][] = [
    ["a whole URL", { DATABASE_URL: "postgres://u:p@h:6543/d" }, { port: 6543 }],
    ["the other scheme", { DATABASE_URL: "postgresql://u:p@h/d" }, {}],
    ["spaces around", { DATABASE_URL: " postgres://u:p@h/d\n" }, {}],
    [
      "the first variable wins",
      { DATABASE_URL: "postgres://u:p@h/d", POSTGRES_URL: "postgres://x/y", POSTGRES_HOST: "z" },
      {},
    ],
    ["another scheme is passed over", { DATABASE_URL: "mysql://x/y", POSTGRES_URL: "postgres://u:p@h/d" }, {}],
    [
      "the third variable",
      { DATABASE_URL: "file:x.db", POSTGRES_URL: "", DATABASE_PUBLIC_URL: "postgres://u:p@h/d" },
      {},
    ],
    [
      "percent-encoding",
      { DATABASE_URL: "postgres://u%40x:p%2F%23%25@h/d%20e" },
      { user: "u@x", password: "p/#%", database: "d e" },
    ],
    ["IPv6", { DATABASE_URL: "postgres://u:p@[::1]:5433/d" }, { host: "::1", port: 5433 }],
    ["a socket directory", { DATABASE_URL: "postgres://u:p@%2Ftmp/d" }, { host: "/tmp" }],
    [
      "a socket directory, libpq's other way",
      { DATABASE_URL: "postgres:///d?host=/tmp&user=u&password=p" },
      { host: "/tmp" },
    ],
    ["no database: the user's name", { DATABASE_URL: "postgres://u:p@h" }, { database: "u" }],
    ["no user: the system's", { DATABASE_URL: "postgres://h/d" }, { user, password: undefined }],
    ["no host", { DATABASE_URL: "postgres:///d" }, { host: "localhost", user, password: undefined }],
    ["an empty password", { DATABASE_URL: "postgres://u:@h/d" }, { password: undefined }],
    [
      "parts",
      { POSTGRES_HOST: "h", POSTGRES_PORT: "6543", POSTGRES_DB: "d", POSTGRES_USER: "u", POSTGRES_PASSWORD: "p" },
      { port: 6543 },
    ],
    ["a host alone", { POSTGRES_HOST: "[::1]" }, { host: "::1", user, database: user, password: undefined }],
    ["sslmode", { DATABASE_URL: "postgres://u:p@h/d?sslmode=require" }, { sslMode: "require" }],
    [
      "sslmode and other parameters",
      { DATABASE_URL: "postgres://u:p@h/d?channel_binding=require&sslmode=verify-full" },
      { sslMode: "verify-full" },
    ],
    [
      "an authority",
      { DATABASE_URL: "postgres://u:p@h/d?sslmode=verify-ca", POSTGRES_CA: pem },
      { sslMode: "verify-ca", ca: pem },
    ],
    [
      "an authority on one line",
      { DATABASE_URL: "postgres://u:p@h/d", POSTGRES_CA: pem.replaceAll("\n", "\\n") },
      { sslMode: "verify-full", ca: pem },
    ],
    [
      "require with an authority verifies it",
      { DATABASE_URL: "postgres://u:p@h/d?sslmode=require", POSTGRES_CA: pem },
      { sslMode: "verify-ca", ca: pem },
    ],
    [
      "limits",
      { DATABASE_URL: "postgres://u:p@h/d", POSTGRES_POOL_SIZE: "5", POSTGRES_QUERY_TIMEOUT_MS: "1000" },
      { poolSize: 5, queryTimeoutMs: 1000 },
    ],
  ];
  test.each(accepted)("%s", (_title, env, expected) => {
    expect(readConfig(env).postgres).toEqual({ ...base, ...expected });
  });

  test("an authority in a file", () => {
    const path = join(directory, "ca.pem");
    writeFileSync(path, pem);
    expect(readConfig({ POSTGRES_HOST: "h", POSTGRES_CA: path }).postgres).toMatchObject({
      ca: pem,
      sslMode: "verify-full",
    });
    const url = `postgres://h/d?sslmode=verify-full&sslrootcert=${path}`;
    expect(readConfig({ DATABASE_URL: url }).postgres).toMatchObject({ ca: pem });
  });

  const refused: [string, NodeJS.ProcessEnv, string][] = [
    ["a password that is not encoded", { DATABASE_URL: "postgres://u:se#cret@h/d" }, "DATABASE_URL is not a valid URL"],
    ["a broken percent sign", { POSTGRES_URL: "postgres://u:se%cret@h/d" }, "POSTGRES_URL is not a valid URL"],
    ["several hosts", { DATABASE_URL: "postgres://u:secret@a,b/d" }, "DATABASE_URL names several hosts"],
    ["an unknown sslmode", { DATABASE_URL: "postgres://u:secret@h/d?sslmode=on" }, "DATABASE_URL has an sslmode"],
    ["a port that is none", { POSTGRES_HOST: "h", POSTGRES_PORT: "secret" }, "POSTGRES_PORT has a port"],
    ["a file that is missing", { POSTGRES_HOST: "h", POSTGRES_CA: "/secret/ca.pem" }, "POSTGRES_CA is neither"],
    ["a pool of one", { POSTGRES_HOST: "h", POSTGRES_POOL_SIZE: "1" }, "POSTGRES_POOL_SIZE must be"],
  ];
  test.each(refused)("%s is refused without its value", (_title, env, expected) => {
    const { code, message, cause } = refusal(env);
    expect({ code, cause }).toEqual({ code: "CONFIG_INVALID", cause: undefined });
    expect(message).toContain(expected);
    expect(message).not.toMatch(/secret|cret@/);
  });
});

describe("SQLite", () => {
  const fileOf = (path: string) => ({
    url: pathToFileURL(resolve(path)).href,
    authToken: undefined,
    file: resolve(path),
  });

  test.each([
    [{ SQLITE_DB_PATH: "data/bot.db" }, "data/bot.db"],
    [{ SQLITE_DB_PATH: "/srv/a b#c?d%.db" }, "/srv/a b#c?d%.db"],
    [{ SQLITE_DB_PATH: "file:data/bot.db" }, "data/bot.db"],
    [{ SQLITE_DB_PATH: "file:./data/a%20b.db" }, "data/a b.db"],
    [{ SQLITE_DB_PATH: "file:/srv/bot.db" }, "/srv/bot.db"],
    [{ SQLITE_DB_PATH: "file:///srv/bot.db" }, "/srv/bot.db"],
    [{ SQLITE_DB_PATH: "file://localhost/srv/bot.db" }, "/srv/bot.db"],
    [{ TURSO_DATABASE_URL: "file:turso.db", SQLITE_DB_PATH: "other.db" }, "turso.db"],
  ])("%j is the file %s", (env, path) => {
    expect(readConfig(env).sqlite).toEqual(fileOf(path));
  });

  test("a server with its token", () => {
    const env = { TURSO_DATABASE_URL: "libsql://bot.turso.io", TURSO_AUTH_TOKEN: " token ", SQLITE_DB_PATH: "x.db" };
    expect(readConfig(env).sqlite).toEqual({ url: "libsql://bot.turso.io", authToken: "token", file: null });
    expect(readConfig({ TURSO_DATABASE_URL: "http://127.0.0.1:8080" }).sqlite.authToken).toBeUndefined();
  });

  test.each([
    { TURSO_DATABASE_URL: "secret.turso.io" },
    { TURSO_DATABASE_URL: "libsql:secret" },
    { TURSO_DATABASE_URL: "postgres://secret/x" },
    { SQLITE_DB_PATH: ":memory:" },
    { SQLITE_DB_PATH: "file::memory:" },
    { SQLITE_DB_PATH: "file:secret.db?mode=ro" },
    { SQLITE_DB_PATH: "file://secret/x.db" },
  ])("%j is refused without its value", (env) => {
    const { message } = refusal(env);
    expect(message).toContain(Object.keys(env)[0]);
    expect(message).not.toContain("secret");
  });
});

describe("the rest", () => {
  test("numbers and the log level", () => {
    const env = {
      READ_FENCE_MS: "0",
      FLIP_TIMEOUT_MS: "1",
      ANALYSIS_TIMEOUT_MS: " 5 ",
      MIGRATION_TIMEOUT: "7",
      MIGRATION_EPOCHS: "ev.at=s, other.t = ms,seconds",
      LOG_LEVEL: "Debug",
    };
    expect(readConfig(env)).toMatchObject({
      readFenceMs: 0,
      flipTimeoutMs: 1,
      analysisTimeoutMs: 5,
      migrationTimeoutMs: 7,
      epochs: new Map([
        ["ev.at", "seconds"],
        ["other.t", "milliseconds"],
        ["*", "seconds"],
      ]),
      logLevel: "debug",
    });
  });

  test.each([
    ["READ_FENCE_MS", "-1"],
    ["FLIP_TIMEOUT_MS", "1.5"],
    ["ANALYSIS_TIMEOUT_MS", "soon"],
    ["MIGRATION_TIMEOUT", "99999999999"],
    ["MIGRATION_EPOCHS", "ev.at=hours"],
    ["MIGRATION_EPOCHS", "at=s"],
    ["MIGRATION_EPOCHS", "ev.at=s,"],
    ["LOG_LEVEL", "loud"],
  ])("%s refuses %s", (name, value) => {
    const { message } = refusal({ [name]: value });
    expect(message).toContain(`${name} must be`);
    expect(message).not.toContain(value);
  });

  test("every problem is in one error", () => {
    const error = refusal({
      USE_POSTGRES_PRIMARY: "maybe",
      USE_POSTGRES_READ: "1",
      USE_POSTGRES_REED: "1",
      LOG_LEVEL: "loud",
      SQLITE_DB_PATH: ":memory:",
      DATABASE_URL: "postgres://u:p@h/d?sslmode=x",
    });
    expect(error.details.problems).toHaveLength(5);
  });
});

describe("targetName", () => {
  test.each([
    [{ DATABASE_URL: "postgres://u:secret@h:6543/d" }, "postgres://u@h:6543/d"],
    [{ DATABASE_URL: "postgres://u%40x:secret@[::1]/d" }, "postgres://u%40x@[::1]:5432/d"],
  ])("%#", (env, expected) => {
    const { postgres } = readConfig(env);
    expect(postgres && targetName(postgres)).toBe(expected);
  });

  test.each([
    [{ SQLITE_DB_PATH: "/srv/bot.db" }, "/srv/bot.db"],
    [
      { TURSO_DATABASE_URL: "libsql://bot.turso.io?authToken=secret", TURSO_AUTH_TOKEN: "secret" },
      "libsql://bot.turso.io",
    ],
    [{ TURSO_DATABASE_URL: "https://u:secret@bot.io/x" }, "https://bot.io/x"],
  ])("%j is %s", (env, expected) => {
    expect(targetName(readConfig(env).sqlite)).toBe(expected);
  });
});
