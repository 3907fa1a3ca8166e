import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { PostgresEngine, Side } from "../../src/engines/engine.js";
import { openPostgres } from "../../src/engines/postgres.js";
import { silentLogger } from "../../src/logger.js";
import { migrate } from "../../src/schema/migrations.js";
import { type SqliteState, stateOf } from "../../src/shadow/state.js";
import { openAt, script } from "../support/libsql.js";
import { makeOldBotFile } from "../support/old-bot.js";
import type { PostgresServer } from "../support/postgres.js";
import { runAt } from "../support/postgres.js";
import { configOf } from "../support/postgres-config.js";
import type { AddedColumn } from "./added-columns.js";
import { applicationTables } from "./application.js";
import { observePostgres, sqliteObservers } from "./observers.js";

/** The two databases that a number of rounds work on. */
export interface DatabasePair {
  readonly sqliteFile: string;
  readonly postgresUrl: string;
  /** Columns that tables have been given since the databases were made. */
  readonly columns: AddedColumn[];
}

/** Adds a column to a table of one side. */
export async function addColumn(pair: DatabasePair, side: Side, added: AddedColumn): Promise<void> {
  const text = `ALTER TABLE ${added.table} ADD COLUMN ${added.column} TEXT`;
  if (side === "postgres") return addToPostgres(pair.postgresUrl, text);
  const engine = await openAt(pair.sqliteFile);
  try {
    await script(engine, `${text};${sqliteObservers([...pair.columns, added])}`);
  } finally {
    await engine.close();
  }
}

/** Whoever waits for the table makes everybody else wait, so that waiting is short and tried again. */
async function addToPostgres(url: string, text: string): Promise<void> {
  for (;;) {
    try {
      await runAt(url, `SET lock_timeout = 200; ${text}`);
      return;
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === lockNotAvailable)) throw error;
      await sleep(20);
    }
  }
}

const lockNotAvailable = "55P03";

/** An old bot's file, every second time more rows than the mirror carries at once, and a PostgreSQL with our tables in which somebody has left rows. */
export async function makePair(server: PostgresServer, scratch: string, number: number): Promise<DatabasePair> {
  const sqliteFile = path.join(scratch, `bot-${number}.db`);
  await makeOldBotFile(sqliteFile, { rows: number % 2 === 0 ? 1_400 : 40, dirty: false });
  await addTables(sqliteFile);
  const postgresUrl = await server.createDatabase();
  const postgres = openTarget(postgresUrl);
  await migrate({ engine: postgres, timeoutMs: 60_000, logger: silentLogger });
  await postgres.close();
  await runAt(postgresUrl, `${applicationTables.postgres};${leftOver}`);
  await observePostgres(postgresUrl);
  return { sqliteFile, postgresUrl, columns: [] };
}

async function addTables(file: string): Promise<void> {
  const engine = await openAt(file);
  await script(engine, applicationTables.sqlite);
  await engine.close();
}

/** Rows that only PostgreSQL has, one of them with another id for a user whom SQLite knows too. */
const leftOver = `
INSERT INTO messages (id, timestamp, sender_type, message_content) VALUES ('left-over', 1, 'ai', 'left-over');
INSERT INTO user_profiles (id, user_id, username, first_seen_at, last_interaction_at)
  VALUES ('left-over', '100000000000000001', 'left over', 1, 1), ('left-over-2', '999999999999999999', 'left over', 1, 1);
INSERT INTO user_analysis_history (id, user_id, analysis_timestamp) VALUES ('left-over', '100000000000000001', 1)`;

export function openTarget(url: string): PostgresEngine {
  return openPostgres({ config: configOf(url, { queryTimeoutMs: 60_000 }), logger: silentLogger });
}

/** What SQLite says of the pair, in a look that holds nothing open. */
export async function stateOfFile(file: string): Promise<SqliteState> {
  const engine = await openAt(file);
  try {
    return await stateOf(engine);
  } finally {
    await engine.close();
  }
}
