import sql, { raw } from "sql-template-tag";
import { ownSchema } from "../data/catalogue/own-schema.js";
import { quote } from "../data/table.js";
import type { Engine, Transaction } from "../engines/engine.js";
import { DualDbError } from "../errors.js";
import { overtaken } from "./mirror.js";
import { lockPostgresState, type PairState, readSqliteState } from "./state.js";

/** Points at which a test can stop the process. */
export type DisarmPoint = "after-sqlite-mark" | "after-postgres";

const timeoutMs = 60_000;

/**
 * Ends the pair for good: PostgreSQL goes on alone, and nothing is journaled any more. SQLite is told first that there is no way back, so
 * that no crash leaves a SQLite that takes writes beside a PostgreSQL that has forgotten it. What a crash has left, a second run finishes.
 * @throws NOT_PRIMARY where PostgreSQL is not primary on both sides, DATABASE_BUSY where a table cannot be locked within seconds.
 */
export async function disarm(
  sqlite: Engine | null,
  postgres: Engine,
  clock: () => number,
  reached: (point: DisarmPoint) => Promise<void> | void = () => undefined,
): Promise<void> {
  await postgres.transaction({ mode: "write", timeoutMs }, async (transaction) => {
    await transaction.script("SET LOCAL lock_timeout = '5s'");
    const state = await lockPostgresState(transaction);
    if (state.finalized) return;
    if (sqlite === null) throw overtaken();
    // PostgreSQL has agreed to everything before SQLite hears of it.
    await disarmPostgres(transaction, clock());
    await markSqlite(sqlite, state, clock());
    await reached("after-sqlite-mark");
  });
  await reached("after-postgres");
  if (sqlite !== null) await sqlite.transaction({ mode: "write" }, disarmSqlite);
}

export function finalized(): DualDbError {
  return new DualDbError(
    "FINALIZED",
    "This pair was finalized: PostgreSQL goes on alone, and there is no way back to SQLite. Set USE_POSTGRES_PRIMARY=true, and the variables that name PostgreSQL.",
  );
}

async function markSqlite(sqlite: Engine, postgres: PairState["postgres"], now: number): Promise<void> {
  await sqlite.transaction({ mode: "write" }, async (transaction) => {
    const { primary, pairId } = await readSqliteState(transaction);
    if (primary !== "postgres" || postgres.primary !== "postgres" || pairId !== postgres.pairId) throw overtaken();
    await transaction.execute(
      sql`UPDATE dualdb_state SET finalized = 1, cas = cas + 1, changed_at = ${now} WHERE id = 1`,
    );
  });
}

/** The state stays, since reads and writes ask it, and what has been counted and done. */
async function disarmPostgres(transaction: Transaction, now: number): Promise<void> {
  for (const { statement } of await transaction.query(sql`
    SELECT format('DROP TRIGGER %I ON %s', t.tgname, t.tgrelid::regclass) AS statement FROM pg_trigger AS t
      JOIN pg_proc AS p ON p.oid = t.tgfoid
      WHERE p.pronamespace = ${raw(ownSchema)} AND starts_with(p.proname, 'dualdb_journal_') AND NOT t.tgisinternal
    UNION ALL SELECT format('DROP FUNCTION %s', p.oid::regprocedure) FROM pg_proc AS p
      WHERE p.pronamespace = ${raw(ownSchema)} AND starts_with(p.proname, 'dualdb_journal_')`))
    await transaction.execute(sql`${raw(String(statement))}`);
  await transaction.script("DROP TABLE dualdb_journal; DROP SEQUENCE dualdb_version");
  await transaction.execute(sql`UPDATE dualdb_state SET finalized = TRUE, changed_at = ${now}::bigint WHERE id = 1`);
}

async function disarmSqlite(transaction: Transaction): Promise<void> {
  if (!(await readSqliteState(transaction)).finalized) throw overtaken();
  const triggers = await transaction.query(
    sql`SELECT name FROM sqlite_schema WHERE type = 'trigger' AND name LIKE 'dualdb\\_%' ESCAPE '\\'`,
  );
  for (const { name } of triggers) await transaction.script(`DROP TRIGGER ${quote(String(name))}`);
  await transaction.script(`DROP TABLE IF EXISTS dualdb_journal; DROP TABLE IF EXISTS dualdb_guard;
    DROP TABLE IF EXISTS dualdb_never`);
}
