import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sql, { raw } from "sql-template-tag";
import { readConfig } from "../../src/config.js";
import type { Engine, PostgresEngine } from "../../src/engines/engine.js";
import { openLibsql } from "../../src/engines/libsql.js";
import { openPostgres } from "../../src/engines/postgres.js";
import { silentLogger } from "../../src/logger.js";
import { makeOldBotFile } from "../../test/support/old-bot.js";
import { type PostgresServer, startPostgres } from "../../test/support/postgres.js";
import { Ledger } from "./ledger.js";

const tables = ["messages", "queries", "documents", "document_collaborators", "user_profiles", "user_analysis_history"];

/** A PostgreSQL, the file of an old bot and the bots' log, all of them gone afterwards. */
export class Workshop {
  readonly server: PostgresServer;
  /** What a bot finds in its environment, but for the flags. */
  readonly env: NodeJS.ProcessEnv;
  /** The databases as a console would open them, beside the bots. */
  readonly sqlite: Engine;
  readonly postgres: PostgresEngine;
  readonly ledger: Ledger;
  readonly logFile: string;
  readonly #directory: string;

  static async open(oldMessages: number): Promise<Workshop> {
    const directory = mkdtempSync(join(tmpdir(), "dualdb-demo-"));
    try {
      const file = join(directory, "bot.db");
      await makeOldBotFile(file, { rows: oldMessages });
      const server = await startPostgres();
      const env = environment(file, await server.createDatabase());
      return new Workshop(
        directory,
        server,
        env,
        await openLibsql({ config: readConfig(env).sqlite, logger: silentLogger }),
      );
    } catch (error) {
      rmSync(directory, { recursive: true, force: true });
      throw error;
    }
  }

  private constructor(directory: string, server: PostgresServer, env: NodeJS.ProcessEnv, sqlite: Engine) {
    const { postgres } = readConfig(env);
    if (postgres === null) throw new Error("no PostgreSQL in the environment");
    this.#directory = directory;
    this.server = server;
    this.env = env;
    this.sqlite = sqlite;
    this.postgres = openPostgres({ config: postgres, logger: silentLogger });
    this.logFile = join(directory, "calls.log");
    this.ledger = new Ledger(this.logFile);
  }

  /** Rows of the six tables in the old bot's file. */
  async countRows(): Promise<number> {
    const each = tables.map((table) => `(SELECT COUNT(*) FROM ${table})`).join(" + ");
    const [row] = await this.sqlite.read(sql`SELECT ${raw(each)} AS number`);
    return Number(row?.number);
  }

  async close(): Promise<void> {
    this.ledger.close();
    await Promise.all([this.sqlite.close(), this.postgres.close()]);
    await this.server.stop();
    rmSync(this.#directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** The demo's databases and nobody else's: what the environment says of databases and flags is left out. */
function environment(file: string, url: string): NodeJS.ProcessEnv {
  const isForeign = (name: string) => /^(USE_POSTGRES|POSTGRES|DATABASE_|SQLITE_|TURSO_|LOG_LEVEL$)/.test(name);
  const rest = Object.entries(process.env).filter(([name]) => !isForeign(name));
  return { ...Object.fromEntries(rest), SQLITE_DB_PATH: file, DATABASE_URL: url };
}
