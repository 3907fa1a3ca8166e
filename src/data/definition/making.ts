import type { Transaction } from "../../engines/engine.js";
import { type DualDbError, hasCode } from "../../errors.js";
import { isRefusal, reasonOf } from "../refusal.js";
import { type DefinitionNote, refusalNote, type TableStatement } from "./definition.js";

/** What became of statements that were to make something. */
export interface Made<Statement extends TableStatement = TableStatement> {
  /** Those that have run, in their order. */
  readonly made: readonly Statement[];
  /** What was refused, and why. */
  readonly notes: readonly DefinitionNote[];
}

/**
 * Runs statements in a transaction of PostgreSQL, which goes on behind one that is refused; what was to be added to a table that was refused
 * is left out without a further word.
 */
export async function makeAll<Statement extends TableStatement>(
  transaction: Transaction,
  statements: readonly Statement[],
): Promise<Made<Statement>> {
  const made: Statement[] = [];
  const notes: DefinitionNote[] = [];
  const lost = new Set<string>();
  for (const statement of statements) {
    if (lost.has(statement.table)) continue;
    const reason = await make(transaction, statement);
    if (reason === null) made.push(statement);
    else notes.push(refusalNote(statement, reason));
    if (reason !== null && !("kind" in statement)) lost.add(statement.table);
  }
  return { made, notes };
}

/** Whether PostgreSQL has something against what is to be made: a name that is taken or missing, a type, what it does not offer. */
function isAboutDefinition(error: unknown): error is DualDbError {
  if (hasCode(error, "SCHEMA_MISSING")) return true;
  return hasCode(error, "QUERY_FAILED") && /^(0A|42)/.test(String(error.details.sqlState ?? ""));
}

/** null where it has run. */
async function make(transaction: Transaction, { sql }: TableStatement): Promise<string | null> {
  await transaction.script("SAVEPOINT dualdb_making");
  try {
    await transaction.script(`${sql}; RELEASE SAVEPOINT dualdb_making`);
    return null;
  } catch (error) {
    if (!isRefusal(error) && !isAboutDefinition(error)) throw error;
    await transaction.script("ROLLBACK TO SAVEPOINT dualdb_making; RELEASE SAVEPOINT dualdb_making");
    return reasonOf(error);
  }
}
