import type { Statement } from "./engine.js";
import { withoutEnd } from "./sql-text.js";

/**
 * A condition for the WHERE clause of a SELECT: true where PostgreSQL's own state, in the snapshot of the statement, says that it is
 * primary, else the error NOT_PRIMARY. It names no column, so the server settles it once, before the first row and also where there is
 * none, and no second round trip is needed.
 */
export const primaryCondition = "dualdb_require_primary()";

/** The same rows in the same order, or NOT_PRIMARY. */
export function onlyAsPrimary(statement: Statement): Statement {
  return { ...statement, text: statement.textAsPrimary ?? wrapped(statement.text) };
}

function wrapped(text: string): string {
  return `SELECT * FROM (${withoutEnd(text)}\n) AS dualdb_read WHERE ${primaryCondition}`;
}
