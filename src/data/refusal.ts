import type { Side } from "../engines/engine.js";
import { type DualDbError, hasCode } from "../errors.js";
import { type Kind, nameOn, type Table } from "./table.js";

/** Whether an error is about the rows that were to be written, as opposed to what a database says about itself. */
export function isRefusal(error: unknown): error is DualDbError {
  if (hasCode(error, "VALUE_REFUSED", "CONSTRAINT_VIOLATED")) return true;
  return hasCode(error, "QUERY_FAILED") && !isAboutStatement(String(error.details.sqlState ?? ""));
}

/**
 * PostgreSQL's classes that no row can cause: the connection, the transaction, access, the statement and its names, the server. Whatever
 * else comes was raised by somebody's trigger, with a code of his own. https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const aboutStatement = "^(08|0A|25|26|28|34|3[BDF]|40|42|53|55|57|58|72|F0|HV|XX)";
/** GENERATED ALWAYS, which is about a row after all. */
const generatedAlways = "428C9";

function isAboutStatement(sqlState: string): boolean {
  return new RegExp(aboutStatement).test(sqlState) && sqlState !== generatedAlways;
}

/** The same of a SQLSTATE that an expression of PostgreSQL's stands for, or that this side is not the primary. */
export function isAboutStatementSql(sqlState: string): string {
  return `(${sqlState} ~ '${aboutStatement}' AND ${sqlState} <> '${generatedAlways}' OR ${sqlState} = 'DD001')`;
}

/** Whether another row stands in the way of one, by a key or by what else excludes two rows. */
export function isExclusion({ code, details }: DualDbError): boolean {
  if (code !== "CONSTRAINT_VIOLATED") return false;
  return ["23505", "23P01"].includes(String(details.sqlState)) || details.constraint === "UNIQUE";
}

/** What a database says against a row. */
export interface RefusedBecause {
  /** The column, or the columns of the constraint, by the names of `table`; '' where nobody knows. */
  readonly column: string;
  /** Codes and names, never a value. */
  readonly reason: string;
  /** Where one value is too large and the database does not tell which: the columns that it may be, by the names of `table`. */
  readonly candidates?: readonly string[];
}

/** What its error says of a row of this table, with what the table's catalogue adds. */
export function refusedBecause(table: Table, error: DualDbError): RefusedBecause {
  const columns = namedBy(error) ?? table.checkColumns?.find(({ name }) => name === error.details.constraint)?.columns;
  const reason = reasonOf(error);
  if (columns !== undefined) return { column: listed(table, error.side ?? "postgres", columns), reason };
  const [first = "", ...others] = limitedBy(table, error);
  return others.length === 0 ? { column: first, reason } : { column: "", reason, candidates: [first, ...others] };
}

/** The same where the sizes of the row's values are known: of several that may be too large it is the largest. */
export function refusedForSize(because: RefusedBecause, sizeOf: (column: string) => number): RefusedBecause {
  const { candidates = [], reason } = because;
  const [largest] = [...candidates].sort((left, right) => sizeOf(right) - sizeOf(left));
  return largest === undefined ? because : { column: largest, reason };
}

/** The columns of the index that is named, or of all that have such a limit. */
function limitedBy(table: Table, { details }: DualDbError): string[] {
  if (details.limit === undefined) return [];
  const all = (table.sizeLimits ?? []).filter(({ kind }) => kind === details.limit);
  const named = all.filter(({ name }) => name === details.constraint);
  const names = new Set((named.length > 0 ? named : all).flatMap(({ columns }) => columns));
  const limited = table.columns.filter(
    (column) => names.has(nameOn("postgres", column)) && mayBeLarge.has(column.kind),
  );
  return limited.map(({ name }) => name);
}

const mayBeLarge: ReadonlySet<Kind> = new Set(["text", "json", "blob", "numeric", "other"]);

/** A row without its parent, and the columns of the foreign key by the names of that side. */
export function refusedAsOrphan(table: Table, side: Side, columns: readonly string[]): RefusedBecause {
  return { column: listed(table, side, columns), reason: orphaned };
}

/** A row whose unique value another one has, with the name of the key where that side gives it one, and its columns by that side's names. */
export function refusedAsDuplicate(
  table: Table,
  side: Side,
  { name, columns }: { readonly name: string; readonly columns: readonly string[] },
): RefusedBecause {
  return { column: listed(table, side, columns), reason: side === "postgres" ? `${duplicate} (${name})` : duplicate };
}

/** Whether a row is refused for want of the one that its foreign key points to. */
export function isOrphaned({ reason }: RefusedBecause): boolean {
  return reason === orphaned || reason.startsWith(`${orphaned} (`);
}

/** Whether it is the whole row that is too large, and none of its values by itself. */
export function isTooWide({ reason }: RefusedBecause): boolean {
  return reason.startsWith(largerThanAPage);
}

function listed(table: Table, side: Side, columns: readonly string[]): string {
  const names = new Map(table.columns.map((column) => [nameOn(side, column), column.name]));
  return columns.map((name) => names.get(name) ?? name).join(", ");
}

/** A key has all of its columns in the details. */
function namedBy({ column, details }: DualDbError): readonly string[] | undefined {
  if (Array.isArray(details.columns) && details.columns.length > 0) return details.columns.map(String);
  return column === undefined ? undefined : [column];
}

/** Why a database refuses a row, in words that hold names and codes, and never a value. */
export function reasonOf(error: DualDbError): string {
  const { sqlState, constraint, driverCode, limit } = error.details;
  const meaning = limit === "page" ? largerThanAPage : meanings[String(sqlState ?? constraint)];
  if (meaning !== undefined) return sqlState === undefined ? meaning : `${meaning} (${constraint ?? sqlState})`;
  const where = [error.table, error.column].filter((name) => name !== undefined).join(".");
  return [error.code, where, String(sqlState ?? constraint ?? driverCode ?? "")]
    .filter((part) => part !== "")
    .join(" ");
}

/** Why a row without its parent cannot go. */
export const orphaned = "the row that its foreign key points to is not there";

const largerThanAPage = "the row is larger than a page of PostgreSQL";
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
  "23P01": "another row excludes it",
  "42P07": "something of that name is there already",
  "54000": "larger than an index or a search vector can hold",
  "NOT NULL": nullRefused,
  "FOREIGN KEY": orphaned,
  UNIQUE: duplicate,
  CHECK: checkFailed,
};
