import sql, { raw } from "sql-template-tag";
import { discoverPostgres, discoverSqlite, pairTables } from "../data/catalogue/discover.js";
import { quotedOn } from "../data/table.js";
import type { Engine, Side, Transaction } from "../engines/engine.js";
import { type Armed, arm } from "./arm.js";
import { finalized } from "./disarm.js";
import { lockPostgresState } from "./state.js";

const timeoutMs = 60_000;

/**
 * Makes a pair of two databases that have lost sight of each other: one has been restored from a backup, or is a new one. `primary` is
 * primary on both from then on, and its rows count: the other side is owed every one of them, and loses what it alone has. A crash leaves
 * two strangers, and the same call finishes it.
 * @throws FINALIZED. DATABASE_BUSY where a table cannot be locked within seconds.
 */
export async function rearm(sqlite: Engine, postgres: Engine, primary: Side, clock: () => number): Promise<Armed> {
  await postgres.transaction({ mode: "write", timeoutMs }, async (transaction) => {
    await transaction.script("SET LOCAL lock_timeout = '5s'");
    if ((await lockPostgresState(transaction)).finalized) throw finalized();
    await lockTables(sqlite, transaction);
    await transaction.execute(
      sql`UPDATE dualdb_state SET "primary" = ${primary}, wanted = ${primary}, pair_id = NULL, changed_at = ${clock()} WHERE id = 1`,
    );
    await transaction.execute(sql`DELETE FROM dualdb_journal`);
    await sqlite.transaction({ mode: "write" }, (own) => part(own, primary, clock()));
  });
  return arm(sqlite, postgres, clock);
}

/** Nobody who has passed PostgreSQL's triggers may commit after its state has moved. */
async function lockTables(sqlite: Engine, postgres: Transaction): Promise<void> {
  const here = await sqlite.transaction({ mode: "read" }, discoverSqlite);
  const { pairs } = pairTables(here, await discoverPostgres(postgres));
  const tables = pairs.map(({ table }) => quotedOn("postgres", table)).join(", ");
  if (tables !== "") await postgres.execute(sql`${raw(`LOCK TABLE ${tables} IN SHARE ROW EXCLUSIVE MODE`)}`);
}

async function part(sqlite: Transaction, primary: Side, now: number): Promise<void> {
  await sqlite.execute(
    sql`UPDATE dualdb_state SET "primary" = ${primary}, forced = 0, cas = cas + 1, pair_id = NULL, changed_at = ${now} WHERE id = 1`,
  );
  await sqlite.execute(sql`DELETE FROM dualdb_journal`);
  await sqlite.execute(sql`DELETE FROM dualdb_conflicts`);
}
