import type { Index } from "../catalogue/catalogue.js";
import type { ForeignKey } from "../table.js";
import { quote } from "../table.js";

/** Something of a table that its new definition leaves out or makes otherwise, and why. */
export interface DefinitionNote {
  readonly table: string;
  /** null where it is about the whole table. */
  readonly column: string | null;
  readonly text: string;
  /** Set where the database has refused what was to be made. */
  readonly refused?: true;
}

/** One statement, without a semicolon. */
export interface TableStatement {
  /** The table that it makes, or adds to. */
  readonly table: string;
  /** What it makes of that, for a person: `the table`, `the index by_name`. */
  readonly what: string;
  readonly sql: string;
}

/** What can be made when the rows are there; all but a plain index may refuse some of them then. */
export interface LaterStatement extends TableStatement {
  readonly kind: "index" | "unique index" | "foreign key";
  /** The index's name; absent for a foreign key. */
  readonly index?: string;
}

/** What is said of a statement that the database refuses. */
export function refusalNote({ table, what }: TableStatement, reason: string): DefinitionNote {
  return { table, column: null, text: `${what} cannot be made (${reason}): left out`, refused: true };
}

export function tableStatement(table: string, sql: string): TableStatement {
  return { table, what: "the table", sql };
}

/** SQL that makes tables. */
export interface Definition {
  /** The tables with their keys, before any row. */
  readonly tables: readonly TableStatement[];
  /** What is cheaper after the rows: indexes, then foreign keys. */
  readonly later: readonly LaterStatement[];
  readonly notes: readonly DefinitionNote[];
}

/** A CREATE TABLE, one column or constraint a line. */
export function createTable(name: string, lines: readonly string[], options = ""): string {
  return `CREATE TABLE ${quote(name)} (\n${lines.map((line) => `  ${line}`).join(",\n")}\n)${options}`;
}

/** The statement that makes an index on plain columns, which both sides understand. */
export function indexStatement(table: string, { name, unique, columns }: Index): LaterStatement {
  const parts = columns.map(({ column, descending }) => `${quote(column ?? "")}${descending ? " DESC" : ""}`);
  const sql = `CREATE ${unique ? "UNIQUE " : ""}INDEX ${quote(name)} ON ${quote(table)} (${parts.join(", ")})`;
  return { table, what: `the index ${name}`, kind: unique ? "unique index" : "index", index: name, sql };
}

/** The same for a foreign key, for PostgreSQL. */
export function foreignKeyStatement(table: string, key: ForeignKey): LaterStatement {
  const sql = `ALTER TABLE ${quote(table)} ADD ${foreignKeyClause(key)}`;
  return { table, what: foreignKeyName(key), kind: "foreign key", sql };
}

/** For a person. */
export function foreignKeyName({ columns, parent }: ForeignKey): string {
  return `the foreign key (${columns.join(", ")}) to ${parent}`;
}

/** Names in parentheses. */
export function listed(names: readonly string[]): string {
  return `(${names.map(quote).join(", ")})`;
}

/** The constraint, with its actions where they are not the usual ones. */
export function foreignKeyClause({ columns, parent, parentColumns, ...key }: ForeignKey): string {
  const actions = [
    ...(key.onDelete === undefined || key.onDelete === "NO ACTION" ? [] : [`ON DELETE ${key.onDelete}`]),
    ...(key.onUpdate === undefined || key.onUpdate === "NO ACTION" ? [] : [`ON UPDATE ${key.onUpdate}`]),
    ...(key.deferred === true ? ["DEFERRABLE INITIALLY DEFERRED"] : []),
  ];
  return [`FOREIGN KEY ${listed(columns)} REFERENCES ${quote(parent)} ${listed(parentColumns)}`, ...actions].join(" ");
}
