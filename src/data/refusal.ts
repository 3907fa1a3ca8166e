import { type DualDbError, hasCode } from "../errors.js";

/** Whether an error is about the rows that were to be written, as opposed to what a database says about itself. */
export function isRefusal(error: unknown): error is DualDbError {
  return hasCode(error, "VALUE_REFUSED", "CONSTRAINT_VIOLATED", "QUERY_FAILED");
}

/** Why a database refuses a row, in words that hold names and codes, and never a value. */
export function reasonOf(error: DualDbError): string {
  const { sqlState, constraint, driverCode } = error.details;
  const meaning = meanings[String(sqlState ?? constraint)];
  if (meaning !== undefined) return sqlState === undefined ? meaning : `${meaning} (${constraint ?? sqlState})`;
  const where = [error.table, error.column].filter((name) => name !== undefined).join(".");
  return [error.code, where, String(sqlState ?? constraint ?? driverCode ?? "")]
    .filter((part) => part !== "")
    .join(" ");
}

/** Why a row without its parent cannot go. */
export const orphaned = "the row that its foreign key points to is not there";

const nullRefused = "NULL in a column that is NOT NULL";
const duplicate = "another row has the same unique value";
const checkFailed = "a CHECK does not hold";
const noSuchValue = "no value of the column's type";

/**
 * PostgreSQL's SQLSTATEs, https://www.postgresql.org/docs/current/errcodes-appendix.html, and the kinds of constraint that SQLite names.
 */
const meanings: Readonly<Record<string, string>> = {
  "22001": "longer than the column's type allows",
  "22003": "out of the range of the column's type",
  "22007": noSuchValue,
  "22008": noSuchValue,
  "22P02": noSuchValue,
  "22P03": noSuchValue,
  "23502": nullRefused,
  "23503": orphaned,
  "23505": duplicate,
  "23514": checkFailed,
  "54000": "larger than an index or a search vector can hold",
  "NOT NULL": nullRefused,
  "FOREIGN KEY": orphaned,
  UNIQUE: duplicate,
  CHECK: checkFailed,
};
