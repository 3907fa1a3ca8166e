import { isRefusal } from "../../data/refusal.js";
import type { Transaction } from "../../engines/engine.js";
import type { DualDbError } from "../../errors.js";

/** What came of work that the database may refuse; nothing of it is left then. */
export type Attempt<T> = { readonly done: T } | { readonly refusal: DualDbError };

/** Runs work in a transaction, and takes it back where the database refuses rows. Any other error comes out. */
export async function attempt<T>(transaction: Transaction, work: () => Promise<T>): Promise<Attempt<T>> {
  const savepoint = new Savepoint(transaction);
  const result = await savepoint.attempt(work);
  await savepoint.release();
  return result;
}

/** The same for one piece of work after the other. */
export class Savepoint {
  readonly #transaction: Transaction;
  #isSet = false;

  constructor(transaction: Transaction) {
    this.#transaction = transaction;
  }

  async attempt<T>(work: () => Promise<T>): Promise<Attempt<T>> {
    if (!this.#isSet) await this.#transaction.script("SAVEPOINT dualdb_attempt");
    this.#isSet = true;
    try {
      const done = await work();
      await this.release();
      return { done };
    } catch (error) {
      if (!isRefusal(error)) throw error;
      await this.#transaction.script("ROLLBACK TO SAVEPOINT dualdb_attempt");
      return { refusal: error };
    }
  }

  /** To be called when there is nothing more to attempt. */
  async release(): Promise<void> {
    if (this.#isSet) await this.#transaction.script("RELEASE SAVEPOINT dualdb_attempt");
    this.#isSet = false;
  }
}
