import type { ForeignKey } from "../table.js";
import { quote } from "../table.js";

/** Something of a table that its new definition leaves out or makes otherwise, and why. */
export interface DefinitionNote {
  readonly table: string;
  /** null where it is about the whole table. */
  readonly column: string | null;
  readonly text: string;
}

/** SQL that makes tables, one statement in each element, without semicolons. */
export interface Definition {
  /** The tables with their keys, before any row. */
  readonly tables: readonly string[];
  /** What is cheaper after the rows: indexes, then foreign keys. */
  readonly later: readonly string[];
  readonly notes: readonly DefinitionNote[];
}

/** A CREATE TABLE, one column or constraint a line. */
export function createTable(name: string, lines: readonly string[], options = ""): string {
  return `CREATE TABLE ${quote(name)} (\n${lines.map((line) => `  ${line}`).join(",\n")}\n)${options}`;
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
