import type { Engine, Transaction } from "../../engines/engine.js";

const timeoutMs = 60_000;

/** What a transaction of PostgreSQL finds that leaves nothing behind, whatever it does there. */
export async function rolledBack<T>(postgres: Engine, work: (transaction: Transaction) => Promise<T>): Promise<T> {
  try {
    return await postgres.transaction({ mode: "write", timeoutMs }, async (transaction) => {
      throw new Found(await work(transaction));
    });
  } catch (error) {
    if (error instanceof Found) return error.result as T;
    throw error;
  }
}

/** Ends a transaction that is not to be committed. */
class Found extends Error {
  readonly result: unknown;

  constructor(result: unknown) {
    super();
    this.result = result;
  }
}
