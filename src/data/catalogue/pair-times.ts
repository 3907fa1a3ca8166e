import type { Transaction } from "../../engines/engine.js";
import { DualDbError } from "../../errors.js";
import { type EpochChoices, isUndecided, surveyTimes, timeColumns, withTimes } from "../conversion/epoch.js";
import type { Table } from "../table.js";
import { discoverPostgres } from "./discover-postgres.js";
import { discoverSqlite } from "./discover-sqlite.js";
import { type Pairing, pairTables } from "./pair.js";
import { uncarriedTables } from "./uncarried.js";

/**
 * Discovers both sides, pairs their tables, and finds out how SQLite writes its times.
 * @throws CONFIG_INVALID where a choice names no column that is a time in PostgreSQL.
 */
export async function pairDatabases(
  sqlite: Transaction,
  postgres: Transaction,
  choices?: EpochChoices,
): Promise<Pairing> {
  const tables = await discoverSqlite(sqlite);
  const uncarried = await uncarriedTables(sqlite);
  const pairing = pairTables(tables, await discoverPostgres(postgres), uncarried);
  assertEpochs(choices, pairing);
  return surveyPairing(sqlite, pairing, choices);
}

/** The pairing with the times of every table surveyed: a look at the whole of each column that is a time in PostgreSQL, and at no other. */
export async function surveyPairing(sqlite: Transaction, pairing: Pairing, choices?: EpochChoices): Promise<Pairing> {
  const surveyed = new Map<string, Table>();
  for (const { table } of pairing.pairs) {
    if (timeColumns(table).length === 0) continue;
    surveyed.set(table.name, withTimes(table, await surveyTimes(sqlite, table), choices));
  }
  return withTables(pairing, surveyed);
}

/** The same where rows have come since, for the columns of these tables that were undecided; null where they still are. */
export async function surveyAgain(
  sqlite: Transaction,
  pairing: Pairing,
  tables: ReadonlySet<string>,
): Promise<Pairing | null> {
  const surveyed = new Map<string, Table>();
  for (const { table } of pairing.pairs.filter(({ table: { name } }) => tables.has(name))) {
    const times = await surveyTimes(sqlite, table, timeColumns(table).filter(isUndecided));
    const isDecided = [...times.values()].some(({ epoch }) => epoch !== "undecided");
    if (isDecided) surveyed.set(table.name, withTimes(table, times));
  }
  return surveyed.size === 0 ? null : withTables(pairing, surveyed);
}

function withTables(pairing: Pairing, surveyed: ReadonlyMap<string, Table>): Pairing {
  const known = (table: Table) => surveyed.get(table.name) ?? table;
  return {
    ...pairing,
    tables: pairing.tables.map(known),
    keyless: pairing.keyless.map(known),
    pairs: pairing.pairs.map((pair) => ({ ...pair, table: known(pair.table) })),
  };
}

/** @throws CONFIG_INVALID where a choice names no column that is a time in PostgreSQL. */
export function assertEpochs(choices: EpochChoices | undefined, { pairs }: Pairing): void {
  if (choices === undefined) return;
  const known = pairs.flatMap(({ table }) => timeColumns(table).map(({ name }) => `${table.name}.${name}`));
  const unknown = [...choices.keys()].filter((name) => name !== "*" && !known.includes(name));
  if (unknown.length === 0) return;
  const whole = `A unit of times is given for ${unknown.join(", ")}: no column that is a time in PostgreSQL. Those are ${known.join(", ") || "none"}.`;
  throw new DualDbError("CONFIG_INVALID", whole, { side: "postgres", details: { epochs: unknown } });
}
