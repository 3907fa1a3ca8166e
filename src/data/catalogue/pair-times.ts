import type { Transaction } from "../../engines/engine.js";
import { DualDbError } from "../../errors.js";
import { type EpochChoices, surveyTimes, timeColumns, withTimes } from "../conversion/epoch.js";
import type { Table } from "../table.js";
import { discoverPostgres } from "./discover-postgres.js";
import { discoverSqlite } from "./discover-sqlite.js";
import { type Pairing, pairTables } from "./pair.js";

/**
 * Discovers both sides, pairs their tables, and finds out how SQLite writes its times.
 * @throws CONFIG_INVALID where a choice names no column that is a time in PostgreSQL.
 */
export async function pairDatabases(
  sqlite: Transaction,
  postgres: Transaction,
  choices?: EpochChoices,
): Promise<Pairing> {
  return surveyPairing(sqlite, pairTables(await discoverSqlite(sqlite), await discoverPostgres(postgres)), choices);
}

/** The pairing with the times of every table surveyed: a look at the whole of each column that is a time in PostgreSQL, and at no other. */
export async function surveyPairing(sqlite: Transaction, pairing: Pairing, choices?: EpochChoices): Promise<Pairing> {
  if (choices !== undefined) assertKnown(choices, pairing);
  const surveyed = new Map<string, Table>();
  for (const { table } of pairing.pairs) {
    if (timeColumns(table).length === 0) continue;
    surveyed.set(table.name, withTimes(table, await surveyTimes(sqlite, table), choices));
  }
  const known = (table: Table) => surveyed.get(table.name) ?? table;
  return {
    ...pairing,
    tables: pairing.tables.map(known),
    keyless: pairing.keyless.map(known),
    pairs: pairing.pairs.map((pair) => ({ ...pair, table: known(pair.table) })),
  };
}

function assertKnown(choices: EpochChoices, { pairs }: Pairing): void {
  const known = pairs.flatMap(({ table }) => timeColumns(table).map(({ name }) => `${table.name}.${name}`));
  const unknown = [...choices.keys()].filter((name) => name !== "*" && !known.includes(name));
  if (unknown.length === 0) return;
  const whole = `--epoch names ${unknown.join(", ")}: no column that is a time in PostgreSQL. It can name ${known.join(", ") || "none"}.`;
  throw new DualDbError("CONFIG_INVALID", whole, { side: "postgres", details: { columns: unknown } });
}
