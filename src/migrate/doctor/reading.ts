import sql from "sql-template-tag";
import type { Config } from "../../config.js";
import type { Engine, Transaction } from "../../engines/engine.js";

/** SQLite as it is read. */
export interface Reader {
  readonly transaction: Transaction;
  /** Whether all statements see it as of one moment. */
  readonly isSteady: boolean;
}

/**
 * Reads SQLite as of one moment. In a file of any journal mode but WAL a reader keeps writers out, so there each statement has a moment of
 * its own: the application goes on.
 */
export async function reading<T>(sqlite: Engine, config: Config, work: (reader: Reader) => Promise<T>): Promise<T> {
  if (config.sqlite.file !== null && !(await isInWalMode(sqlite)))
    return work({ transaction: apart(sqlite), isSteady: false });
  return sqlite.transaction({ mode: "read" }, (transaction) => work({ transaction, isSteady: true }));
}

async function isInWalMode(sqlite: Engine): Promise<boolean> {
  const [row] = await sqlite.read(sql`PRAGMA journal_mode`);
  return row?.journal_mode === "wal";
}

function apart(engine: Engine): Transaction {
  const alone = <T>(work: (transaction: Transaction) => Promise<T>) => engine.transaction({ mode: "read" }, work);
  return {
    query: (statement) => alone((transaction) => transaction.query(statement)),
    execute: (statement) => alone((transaction) => transaction.execute(statement)),
    script: (text) => alone((transaction) => transaction.script(text)),
  };
}
