import { readFile } from "node:fs/promises";
import sql, { join, raw } from "sql-template-tag";
import { discoverSqlite } from "../data/catalogue/discover.js";
import { ownSchema } from "../data/catalogue/own-schema.js";
import { keyExpression } from "../data/key.js";
import { partsByKey } from "../data/rows/key-parts.js";
import { quote, type Table } from "../data/table.js";
import { type Engine, type Side, statement, type Transaction } from "../engines/engine.js";
import { DualDbError } from "../errors.js";
import { triggerName } from "./triggers.js";

const belongings: Record<Side, readonly string[]> = {
  sqlite: ["dualdb_journal", "dualdb_never", "dualdb_guard", "dualdb_conflicts"],
  postgres: [
    "dualdb_journal",
    "dualdb_version",
    "dualdb_require_primary",
    "dualdb_steps",
    "dualdb_counters",
    "dualdb_runs",
  ],
};

const catalogues: Record<Side, string> = {
  sqlite: "SELECT name FROM sqlite_schema WHERE type = 'table'",
  postgres: `SELECT relname::text AS name FROM pg_class WHERE relnamespace = ${ownSchema}
    UNION SELECT proname::text FROM pg_proc WHERE pronamespace = ${ownSchema}`,
};

/**
 * What somebody has dropped of our tables.
 * @throws SCHEMA_MISSING where the state is among them: only a backup knows which side was primary.
 */
export async function lostTables(transaction: Transaction, side: Side): Promise<string[]> {
  const names = [...belongings[side], "dualdb_state"];
  const rows = await transaction.query(
    sql`SELECT name FROM (${raw(catalogues[side])}) AS c WHERE name IN (${join(names)})`,
  );
  const there = new Set(rows.map(({ name }) => String(name)));
  if (!there.has("dualdb_state")) throw stateLost(side);
  return belongings[side].filter((name) => !there.has(name));
}

/** Creates what is missing. Versions begin where none has ever been: a version is never used again. */
export async function restoreTables(transaction: Transaction, side: Side, lost: readonly string[]): Promise<void> {
  if (lost.length === 0) return;
  const folder = side === "sqlite" ? "libsql" : "postgres";
  await transaction.script(await readFile(new URL(`../../sql/${folder}/0002_journal.sql`, import.meta.url), "utf8"));
  if (lost.includes("dualdb_version"))
    await transaction.query(
      sql`SELECT setval('dualdb_version', (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) AS version`,
    );
}

/**
 * The same where SQLite is primary and PostgreSQL is not asked: every row is owed again, and a trigger less for each table makes the
 * next process that reaches PostgreSQL arm them again. Returns what had been lost.
 */
export async function restoreAlone(sqlite: Engine, clock: () => number): Promise<readonly string[]> {
  const lost = await sqlite.transaction({ mode: "read" }, (transaction) => lostTables(transaction, "sqlite"));
  if (lost.length === 0) return lost;
  await sqlite.transaction({ mode: "write" }, async (transaction) => {
    await restoreTables(transaction, "sqlite", lost);
    for (const table of await discoverSqlite(transaction)) {
      if (table.key.length > 0 && (await disarm(transaction, table))) await enterRows(transaction, table, clock());
    }
  });
  return lost;
}

/** Enters the key of every row of SQLite. Other writers wait until its transaction ends, so it follows the journal's own order. */
export async function enterRows(transaction: Transaction, table: Table, now: number): Promise<void> {
  await transaction.execute(sql`UPDATE dualdb_state SET version = version + 1 WHERE id = 1`);
  const key = keyExpression("sqlite", table, "t");
  for await (const { text, values, order } of partsByKey(transaction, table)) {
    const entering = `INSERT INTO dualdb_journal (table_name, row_key, version, touched_at)
      SELECT ?, ${key}, (SELECT version FROM dualdb_state WHERE id = 1), ? FROM ${quote(table.name)} AS t WHERE ${text} ${order}
      ON CONFLICT (table_name, row_key) DO UPDATE SET version = excluded.version, attempts = 0, last_error = NULL`;
    await transaction.execute(statement(entering, [table.name, now, ...values]));
  }
}

function stateLost(side: Side): DualDbError {
  const name = side === "sqlite" ? "SQLite" : "PostgreSQL";
  const message = `The table dualdb_state of ${name} is gone, and with it the word which side is primary: restore the database from a backup.`;
  return new DualDbError("SCHEMA_MISSING", message, { side, table: "dualdb_state" });
}

/** Tells whether the table was armed. */
async function disarm(transaction: Transaction, table: Table): Promise<boolean> {
  const names = ["insert", "update", "delete"].map((event) => triggerName(table.name, event));
  const found = await transaction.query(
    sql`SELECT name FROM sqlite_schema WHERE type = 'trigger' AND name IN (${join(names)})`,
  );
  const [first] = found;
  if (first === undefined) return false;
  await transaction.script(`DROP TRIGGER ${quote(String(first.name))}`);
  return true;
}
