import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Database } from "../src/index.js";
import { type PostgresServer, startPostgres } from "../test/support/postgres.js";
import { createDatabase } from "./package.js";

/** Two databases that belong together, SQLite's file and PostgreSQL's URL. */
export interface Pair {
  readonly file: string;
  readonly url: string;
}

export type Flag = "USE_POSTGRES_PRIMARY" | "USE_POSTGRES_READ" | "USE_POSTGRES_SHADOW";

/** A PostgreSQL that really writes to its disk, and a directory for SQLite files. */
export class Scene {
  readonly server: PostgresServer;
  readonly quick: boolean;
  readonly #directory = mkdtempSync(path.join(tmpdir(), "dualdb-bench-"));
  readonly #open = new Set<{ close(): unknown }>();
  #files = 0;

  private constructor(server: PostgresServer, quick: boolean) {
    this.server = server;
    this.quick = quick;
  }

  static async start(quick: boolean): Promise<Scene> {
    return new Scene(await startPostgres({ fsync: true }), quick);
  }

  /** As many as asked for, or a fifth of that in a quick run. */
  count(full: number): number {
    return this.quick ? Math.ceil(full / 5) : full;
  }

  /** The path of a SQLite file that does not exist yet. */
  newFile(): string {
    return path.join(this.#directory, `${++this.#files}.db`);
  }

  /** A file with the package's tables and no journal. */
  async sqliteFile(): Promise<string> {
    const file = this.newFile();
    const database = createDatabase({ env: { SQLITE_DB_PATH: file } });
    await database.open();
    await database.close();
    return file;
  }

  /** A PostgreSQL with the package's tables and no journal at work. */
  async postgresUrl(): Promise<string> {
    const url = await this.server.createDatabase();
    await migrate(["--only", "postgres"], { DATABASE_URL: url });
    return url;
  }

  /** Both, made a pair by the command that the operator runs. */
  async pair(): Promise<Pair> {
    const file = this.newFile();
    const url = await this.server.createDatabase();
    await migrate([], { DATABASE_URL: url, SQLITE_DB_PATH: file });
    return { file, url };
  }

  /** An open database; closed with the scene unless before. */
  async open(where: Partial<Pair>, ...flags: readonly Flag[]): Promise<Database> {
    const database = createDatabase({ env: environmentOf(where, flags) });
    this.keep(database);
    await database.open();
    return database;
  }

  /** Has it closed when the measure is done. */
  keep<T extends { close(): unknown }>(thing: T): T {
    this.#open.add(thing);
    return thing;
  }

  /** Closes what a measure has opened. */
  async clear(): Promise<void> {
    for (const thing of this.#open) await thing.close();
    this.#open.clear();
  }

  async stop(): Promise<void> {
    await this.clear();
    await this.server.stop();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

export function environmentOf({ file, url }: Partial<Pair>, flags: readonly Flag[]): NodeJS.ProcessEnv {
  return {
    ...(file !== undefined && { SQLITE_DB_PATH: file }),
    ...(url !== undefined && { DATABASE_URL: url }),
    ...Object.fromEntries(flags.map((flag) => [flag, "true"])),
  };
}

const program = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));

async function migrate(options: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  await promisify(execFile)(process.execPath, [program, "migrate", ...options], {
    env: { PATH: process.env.PATH, ...env },
  });
}
