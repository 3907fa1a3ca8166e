import type { PostgresEngine, PostgresTransaction } from "../../engines/engine.js";

/** What a transaction of PostgreSQL finds that leaves nothing behind, whatever it does there. `timeoutMs`: how long a statement may take. */
export async function rolledBack<T>(
  postgres: PostgresEngine,
  timeoutMs: number,
  work: (transaction: PostgresTransaction) => Promise<T>,
): Promise<T> {
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
