import { quotedOn, type Table } from "../../data/table.js";
import type { Transaction } from "../../engines/engine.js";
import { advance, type Counter, countersOf, type GivenNumbers } from "../../shadow/counters.js";

/**
 * What a table of PostgreSQL needs after many rows have come with their keys: its sequences and identities go on behind the highest of
 * them and behind what SQLite has given, and the planner gets to know the table. A commit that waits for the disk follows, and takes those
 * with it that did not. Resolves to the counters that this user may not set.
 */
export async function tidyTable(transaction: Transaction, table: Table, given?: GivenNumbers): Promise<Counter[]> {
  const stuck = await advanceCounters(transaction, table, given);
  await transaction.script(`ANALYZE ${quotedOn("postgres", table)}; ${somethingWritten}`);
  return stuck;
}

/** The first part of that, which a table may need into which no row has come. */
export async function advanceCounters(
  transaction: Transaction,
  table: Table,
  given?: GivenNumbers,
): Promise<Counter[]> {
  return advance(transaction, await countersOf(transaction, [table]), given);
}

/** Only a transaction that has written waits for the disk, and ANALYZE is passed over where the table is somebody else's. */
const somethingWritten = "SELECT pg_logical_emit_message(true, 'dualdb', '')";
