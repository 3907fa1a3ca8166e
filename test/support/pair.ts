import { randomBytes } from "node:crypto";
import { expect, onTestFinished } from "vitest";
import { type DatabaseOptions, DualDatabase } from "../../src/database.js";
import type { Engine, PostgresEngine, Row, Side } from "../../src/engines/engine.js";
import { openPostgres } from "../../src/engines/postgres.js";
import { silentLogger } from "../../src/logger.js";
import { compareDatabases } from "../../src/migrate/compare.js";
import type { Internals } from "../../src/open.js";
import { migrate } from "../../src/schema/migrations.js";
import { freshPostgres, freshSqlite, postgresServers } from "./databases.js";
import { openAt } from "./libsql.js";
import { runAt } from "./postgres.js";
import { configOf } from "./postgres-config.js";

export interface PairOptions {
  /** The server; without it the run's first. */
  readonly server?: string;
  /** Whether PostgreSQL has our tables; default true. */
  readonly migrated?: boolean;
}

export interface OpenOptions extends DatabaseOptions, Partial<Internals> {}

/** A SQLite file and a PostgreSQL database that are new, and looked at from outside. Everything is closed when the test ends. */
export class TestPair {
  readonly file = freshSqlite();
  /** Straight to PostgreSQL. */
  readonly url: string;
  /** A connection of the test's own, beside those of the databases under test. */
  readonly postgres: PostgresEngine;
  #sqlite: Promise<Engine> | null = null;

  static async create({ server = firstServer(), migrated = true }: PairOptions = {}): Promise<TestPair> {
    const pair = new TestPair(await (migrated ? migratedPostgres(server) : freshPostgres(server)));
    onTestFinished(() => pair.#close());
    return pair;
  }

  private constructor(url: string) {
    this.url = url;
    this.postgres = openPostgres({ config: configOf(url), logger: silentLogger });
  }

  /** As `postgres`, on the file. */
  get sqlite(): Promise<Engine> {
    this.#sqlite ??= openAt(this.file, { createFile: false });
    return this.#sqlite;
  }

  /** The environment of a process with these flags: letters of `PRS`, anything else is off. */
  env(letters: string, more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
    return { DATABASE_URL: this.url, SQLITE_DB_PATH: this.file, ...flagVariables(letters), ...more };
  }

  /** A database with these flags, not opened yet; closed when the test ends. */
  database(letters: string, { env, clock = Date.now, reached = () => {}, ...options }: OpenOptions = {}): DualDatabase {
    const database = new DualDatabase({ ...options, env: this.env(letters, env) }, { clock, reached });
    onTestFinished(() => database.close().catch(() => undefined));
    return database;
  }

  async open(letters: string, options: OpenOptions = {}): Promise<DualDatabase> {
    const database = this.database(letters, options);
    await database.open();
    return database;
  }

  async rows(side: Side, text: string, ...values: readonly unknown[]): Promise<Row[]> {
    const engine = side === "sqlite" ? await this.sqlite : this.postgres;
    return engine.read({ sql: text, text, values });
  }

  async count(side: Side, table: string): Promise<number> {
    const [row] = await this.rows(side, `SELECT COUNT(*) AS n FROM ${table}`);
    return Number(row?.n);
  }

  /** How many rows this side owes the other. */
  owed(side: Side): Promise<number> {
    return this.count(side, "dualdb_journal");
  }

  async primaries(): Promise<Record<Side, unknown>> {
    const of = async (side: Side) => (await this.rows(side, `SELECT "primary" FROM dualdb_state`))[0]?.primary;
    return { sqlite: await of("sqlite"), postgres: await of("postgres") };
  }

  /** Both databases whole, row by row. */
  async expectEqual(): Promise<void> {
    const { equal, tables } = await compareDatabases(await this.sqlite, this.postgres);
    const apart = tables.filter((t) => t.onlySqlite.length + t.onlyPostgres.length + t.different.length > 0);
    expect(apart).toEqual([]);
    expect(equal).toBe(true);
    expect(tables.length).toBeGreaterThanOrEqual(6);
  }

  /** Drains, and compares. */
  async expectConverged(database: DualDatabase): Promise<void> {
    expect(await database.drain({ timeoutMs: 15_000 })).toEqual({ pending: 0, quarantined: 0 });
    await this.expectEqual();
  }

  async #close(): Promise<void> {
    await this.postgres.close();
    await (await this.#sqlite?.catch(() => null))?.close();
  }
}

function firstServer(): string {
  const [first] = postgresServers;
  if (first === undefined) throw new Error("the run has no PostgreSQL");
  return first.url;
}

const templates = new Map<string, Promise<string>>();

/** A copy of a database that has been migrated once: copying is faster than migrating. */
async function migratedPostgres(server: string): Promise<string> {
  const template = templates.get(server) ?? makeTemplate(server);
  templates.set(server, template);
  const url = new URL(await template);
  const name = `${url.pathname.slice(1)}_${randomBytes(6).toString("hex")}`;
  await runAt(server, `CREATE DATABASE "${name}" TEMPLATE "${url.pathname.slice(1)}"`);
  url.pathname = `/${name}`;
  return url.href;
}

async function makeTemplate(server: string): Promise<string> {
  const url = await freshPostgres(server);
  const engine = openPostgres({ config: configOf(url), logger: silentLogger });
  await migrate({ engine, timeoutMs: 30_000, logger: silentLogger });
  await engine.close();
  return url;
}

export function flagVariables(letters: string): NodeJS.ProcessEnv {
  return {
    USE_POSTGRES_PRIMARY: letters.includes("P") ? "1" : "",
    USE_POSTGRES_READ: letters.includes("R") ? "true" : "",
    USE_POSTGRES_SHADOW: letters.includes("S") ? "on" : "",
  };
}

/** Waits for a condition, looking every few milliseconds. */
export async function until(
  what: string,
  condition: () => Promise<boolean> | boolean,
  withinMs = 60_000,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited ${withinMs} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Who says the tests' messages, and where. */
export const speaker = {
  userId: "123456789012345678",
  username: "ada",
  channelId: "223456789012345678",
  channelName: "general",
} as const;
