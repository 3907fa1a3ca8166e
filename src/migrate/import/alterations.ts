import { ownAlterations } from "../../data/conversion/own-input.js";
import type { PostgresTransaction } from "../../engines/engine.js";
import type { IntakeRow } from "./intake.js";
import type { Tally } from "./tally.js";

/** Notes what PostgreSQL's own input has made of rows that it has taken. To be called while they are at hand. */
export async function noteAlterations(
  transaction: PostgresTransaction,
  tally: Tally,
  rows: readonly IntakeRow[],
): Promise<void> {
  for (const finding of await ownAlterations(transaction, tally.intake.table, rows)) tally.note(finding);
}
