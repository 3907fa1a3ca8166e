import { setTimeout as delay } from "node:timers/promises";
import sql from "sql-template-tag";
import type { Engine, Transaction } from "../engines/engine.js";
import { DualDbError } from "../errors.js";

/**
 * Runs `work` while no other migration run does, waiting up to `timeoutMs` for them.
 *
 * The lock is a transaction's, since a session's leaks behind PgBouncer, and sits on a connection of its own. Those who wait ask again
 * and again in short transactions: one that waited inside its transaction would deadlock with CREATE INDEX CONCURRENTLY, which waits
 * for every older transaction.
 * @throws MIGRATION_LOCKED
 */
export async function withMigrationLock<T>(
  engine: Engine,
  timeoutMs: number,
  work: (assertHeld: () => Promise<void>) => Promise<T>,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const done = await tryWithLock(engine, work);
    if (done !== null) return done.value;
    if (performance.now() >= deadline) throw locked(timeoutMs);
    await delay(25 + Math.random() * 50);
  }
}

/** Long enough for the largest index; the lock must outlast the work. */
export const migrationLimitMs = 24 * 60 * 60 * 1000;

async function tryWithLock<T>(engine: Engine, work: (assertHeld: () => Promise<void>) => Promise<T>) {
  let done: { readonly value: T } | null = null;
  const hold = async (transaction: Transaction) => {
    if (!(await tryLock(transaction))) return;
    done = { value: await work(() => transaction.script("SELECT 1")) };
  };
  try {
    await engine.transaction({ mode: "write", timeoutMs: migrationLimitMs }, hold);
  } catch (error) {
    // The work commits by itself: a lock that is lost after it has cost nothing.
    if (done === null) throw error;
  }
  return done as { readonly value: T } | null;
}

/** The two halves spell "dual" and "migr". */
async function tryLock(transaction: Transaction): Promise<boolean> {
  const [row] = await transaction.query(
    sql`SELECT pg_try_advisory_xact_lock(1685414252, 1835624306)::integer AS locked`,
  );
  return Number(row?.locked) === 1;
}

function locked(timeoutMs: number): DualDbError {
  return new DualDbError(
    "MIGRATION_LOCKED",
    `Another migration run has held the lock for ${timeoutMs} ms. Wait for it to end, or raise MIGRATION_TIMEOUT.`,
    { side: "postgres" },
  );
}
