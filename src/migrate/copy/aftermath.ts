import { quotedOn, type Table } from "../../data/table.js";
import type { Transaction } from "../../engines/engine.js";
import { advance, countersOf } from "../../shadow/counters.js";

/**
 * What a table of PostgreSQL needs after many rows have come with their keys: its sequences and identities go on behind the highest of
 * them, and the planner gets to know the table. A commit that waits for the disk follows, and takes those with it that did not.
 */
export async function tidyTable(transaction: Transaction, table: Table): Promise<void> {
  await advance(transaction, await countersOf(transaction, [table]));
  await transaction.script(`ANALYZE ${quotedOn("postgres", table)}; ${somethingWritten}`);
}

/** Only a transaction that has written waits for the disk, and ANALYZE is passed over where the table is somebody else's. */
const somethingWritten = "SELECT pg_logical_emit_message(true, 'dualdb', '')";
