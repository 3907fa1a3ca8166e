import { literal, nameOn, quotedOn, type Table } from "../../data/table.js";
import { statement, type Transaction } from "../../engines/engine.js";
import { advance, type Counter, countersOf, type GivenNumbers, givenBySqlite } from "../../shadow/counters.js";
import type { Databases } from "../databases.js";
import { timeoutMs } from "./run.js";

export interface TidyOptions {
  /** Whether rows have come into the table just now. */
  readonly isChanged: boolean;
  readonly given?: GivenNumbers | undefined;
}

/**
 * What a table of PostgreSQL needs after many rows have come with their keys: its sequences and identities go on behind the highest of
 * them and behind what SQLite has given, and the planner gets to know the table. A run that was broken off may have left either undone,
 * which the next one makes up for, whatever it writes itself. Resolves to the counters that this user may not set.
 */
export async function tidyTable(
  transaction: Transaction,
  table: Table,
  { isChanged, given }: TidyOptions,
): Promise<Counter[]> {
  const stuck = await advance(transaction, await countersOf(transaction, [table]), given);
  if (isChanged || (await isUnknown(transaction, table)))
    await transaction.script(`ANALYZE ${quotedOn("postgres", table)}; ${somethingWritten}`);
  return stuck;
}

/** The same in a transaction of its own. */
export function tidyInPostgres(sides: Sides, table: Table, isChanged: boolean): Promise<Counter[]> {
  return knowingWhatWasGiven(sides, (target, given) => tidyTable(target, table, { isChanged, given }));
}

/** The counters alone, of several tables, in a transaction of its own. */
export function advanceCounters(sides: Sides, tables: readonly Table[]): Promise<Counter[]> {
  return knowingWhatWasGiven(sides, async (target, given) => advance(target, await countersOf(target, tables), given));
}

type Sides = Pick<Databases, "sqlite" | "postgres">;

async function knowingWhatWasGiven<T>(
  { sqlite, postgres }: Sides,
  work: (target: Transaction, given: GivenNumbers) => Promise<T>,
): Promise<T> {
  const given = await sqlite.transaction({ mode: "read" }, givenBySqlite);
  return postgres.transaction({ mode: "write", timeoutMs }, (target) => work(target, given));
}

/** Whether the planner knows nothing of a table. */
async function isUnknown(transaction: Transaction, table: Table): Promise<boolean> {
  const text = `SELECT NOT EXISTS (SELECT 1 FROM pg_stats WHERE schemaname = current_schema()
    AND tablename = ${literal(nameOn("postgres", table))}) AS unknown`;
  return (await transaction.query(statement(text)))[0]?.unknown === true;
}

/**
 * A commit that waits for the disk takes those with it that did not. Only a transaction that has written waits, and ANALYZE is passed over
 * where the table is somebody else's.
 */
const somethingWritten = "SELECT pg_logical_emit_message(true, 'dualdb', '')";
