import type { Client, Transaction as DriverTransaction } from "@libsql/client";
import type { ExactRow, Statement, Transaction, TransactionOptions } from "./engine.js";
import type { Connection } from "./libsql-connection.js";
import { isBusy, libsqlError } from "./libsql-errors.js";
import { bind, exactRows } from "./libsql-values.js";
import type { Queue } from "./queue.js";

export type Work<T> = (transaction: Transaction, rows: readonly ExactRow[]) => Promise<T>;

/**
 * One attempt at a transaction. When the database was locked it throws the
 * driver's own error: then the whole can be repeated. Errors of `work` pass unchanged.
 */
export async function attemptTransaction<T>(
  client: Client,
  connection: Connection,
  queue: Queue,
  { mode, first }: TransactionOptions,
  work: Work<T>,
): Promise<T> {
  const inner = await begin(client, connection, mode);
  const transaction = new LibsqlTransaction(inner, connection, queue);
  try {
    const result = await work(transaction, first === undefined ? [] : await transaction.query(first));
    await transaction.commit(mode);
    return result;
  } catch (error) {
    throw transaction.locked ?? error;
  } finally {
    rollBack(inner);
  }
}

async function begin(
  client: Client,
  connection: Connection,
  mode: TransactionOptions["mode"],
): Promise<DriverTransaction> {
  try {
    return await connection.limited(client.transaction(mode), "read");
  } catch (error) {
    throw isBusy(error) ? error : libsqlError(error, connection.place, "read");
  }
}

/** Does nothing after a COMMIT. One that fails leaves it to the driver, which drops the connection. */
function rollBack(inner: DriverTransaction): void {
  try {
    inner.close();
  } catch {
    // What made the transaction fail is what the caller is told.
  }
}

class LibsqlTransaction implements Transaction {
  readonly #inner: DriverTransaction;
  readonly #connection: Connection;
  readonly #queue: Queue;
  /** The driver's error when the database was locked; from then on nothing here counts, whatever `work` makes of it. */
  #locked: unknown;

  constructor(inner: DriverTransaction, connection: Connection, queue: Queue) {
    this.#inner = inner;
    this.#connection = connection;
    this.#queue = queue;
  }

  get locked(): unknown {
    return this.#locked;
  }

  async query(statement: Statement): Promise<ExactRow[]> {
    const bound = bind(statement);
    return exactRows(await this.#step(() => this.#inner.execute(bound)));
  }

  async execute(statement: Statement): Promise<number> {
    const bound = bind(statement);
    const { rows, rowsAffected } = await this.#step(() => this.#inner.execute(bound));
    return rows.length > 0 ? rows.length : rowsAffected;
  }

  async script(text: string): Promise<void> {
    await this.#step(() => this.#inner.executeMultiple(text));
  }

  async commit(mode: TransactionOptions["mode"]): Promise<void> {
    if (this.#locked !== undefined) throw this.#locked;
    try {
      await this.#connection.limited(this.#inner.commit(), mode);
    } catch (error) {
      if (isBusy(error)) this.#locked = error;
      throw libsqlError(error, this.#connection.place, mode);
    }
  }

  /** Until COMMIT a lost connection means that nothing has happened, so every step counts as reading. */
  async #step<T>(run: () => Promise<T>): Promise<T> {
    await this.#queue.breathe();
    try {
      if (this.#locked !== undefined) throw this.#locked;
      return await this.#connection.limited(run(), "read");
    } catch (error) {
      if (isBusy(error)) this.#locked = error;
      throw libsqlError(error, this.#connection.place, "read");
    }
  }
}
