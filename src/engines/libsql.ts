import type { Client, ResultSet } from "@libsql/client";
import type {
  EngineStatistics,
  ReadOptions,
  Row,
  SqliteEngine,
  Statement,
  TransactionOptions,
  WriteOptions,
  WriteResult,
} from "./engine.js";
import { Connection, type ConnectionOptions } from "./libsql-connection.js";
import { type Doing, isBusy, libsqlError, notPrimaryError } from "./libsql-errors.js";
import { readRows, refuseUnlessPrimary } from "./libsql-read.js";
import { attemptTransaction, type Work } from "./libsql-transaction.js";
import { type BoundStatement, bind, plainRows } from "./libsql-values.js";
import { Queue } from "./queue.js";

/**
 * SQLite through libSQL: a file, or a server. Work runs one piece at a time, in the order in which it was asked for; a locked file is
 * waited for, up to 15 s, without holding up the event loop.
 *
 * Two limits of the driver that a statement must mind: TEXT that is not UTF-8 ends the process unless the read gives `columns` or casts
 * to BLOB, and TEXT with a NUL is cut there.
 *
 * Throws DATABASE_UNAVAILABLE, DATABASE_UNUSABLE, DATABASE_BUSY or ACCESS_DENIED, naming the file or the server; INTERRUPTED.
 */
export async function openLibsql(options: ConnectionOptions): Promise<SqliteEngine> {
  return new LibsqlEngine(await Connection.open(options));
}

/** Fails where SQLite is not primary, which ends the batch before anything is changed: json() takes NULL but not 'postgres'. */
const GUARD = `SELECT json(nullif(coalesce((SELECT "primary" FROM dualdb_state WHERE id = 1), 'none'), 'sqlite'))`;

class LibsqlEngine implements SqliteEngine {
  readonly side = "sqlite";
  readonly #queue = new Queue("sqlite");
  readonly #connection: Connection;
  #closing: Promise<void> | undefined;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  async read(statement: Statement, options: ReadOptions = {}): Promise<Row[]> {
    const bound = bind(statement);
    const kept = options.kept === true && this.#closing === undefined ? this.#connection.kept(bound) : undefined;
    if (kept !== undefined) return [kept];
    const began = performance.now();
    return this.#slot("read", (client) => {
      const rows = readRows(client, bound, options);
      if (options.timeoutMs === undefined) return this.#connection.limited(rows, "read");
      return this.#connection.limited(rows, "read", options.timeoutMs - (performance.now() - began));
    });
  }

  async write(statements: readonly Statement[], options: WriteOptions = {}): Promise<WriteResult[]> {
    const bound = statements.map(bind);
    const [only] = bound;
    if (only === undefined) return [];
    const asPrimary = options.asPrimary ?? false;
    return this.#slot("write", (client) => {
      const results = bound.length === 1 ? writeOne(client, only, asPrimary) : writeBatch(client, bound, asPrimary);
      return this.#connection.limited(results, "write");
    });
  }

  async transaction<T>(options: TransactionOptions, work: Work<T>): Promise<T> {
    const { mode } = options;
    const attempt = (client: Client) => attemptTransaction(client, this.#connection, this.#queue, options, work);
    return this.#queue.run(async () => {
      try {
        const result = await this.#connection.run(attempt);
        if (mode === "write") this.#connection.assertSameFile();
        return result;
      } catch (error) {
        throw isBusy(error) ? libsqlError(error, this.#connection.place, "read") : error;
      }
    });
  }

  statistics(): EngineStatistics {
    return { connections: 1, idle: this.#queue.idle ? 1 : 0, waiting: this.#queue.waiting };
  }

  close(): Promise<void> {
    this.#closing ??= this.#queue.close().then(() => this.#connection.end());
    return this.#closing;
  }

  #slot<T>(doing: Doing, work: (client: Client) => Promise<T>): Promise<T> {
    return this.#queue.run(async () => {
      try {
        const result = await this.#connection.run(work);
        if (doing === "write") this.#connection.assertSameFile();
        return result;
      } catch (error) {
        throw libsqlError(error, this.#connection.place, doing);
      }
    });
  }
}

/** The triggers refuse on a side that is not primary, but they fire for rows only: a statement that met none needs a look. */
async function writeOne(client: Client, bound: BoundStatement, asPrimary: boolean): Promise<WriteResult[]> {
  const result = resultOf(await client.execute(bound));
  if (asPrimary && result.changes === 0) await refuseUnlessPrimary(client);
  return [result];
}

async function writeBatch(client: Client, bound: BoundStatement[], asPrimary: boolean): Promise<WriteResult[]> {
  if (!asPrimary) return (await client.batch(bound, "write")).map(resultOf);
  try {
    const guarded = await client.batch([GUARD, ...bound], "write");
    return guarded.slice(1).map(resultOf);
  } catch (error) {
    throw isGuard(error) ? notPrimaryError(error) : error;
  }
}

function isGuard(error: unknown): boolean {
  const first = error instanceof Error && "statementIndex" in error && error.statementIndex === 0;
  return first && error.message.endsWith("malformed JSON");
}

function resultOf(result: ResultSet): WriteResult {
  if (result.rows.length === 0) return { rows: [], changes: result.rowsAffected };
  return { rows: plainRows(result), changes: result.rows.length };
}
