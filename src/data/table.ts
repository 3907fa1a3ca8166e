/**
 * The kinds of column that are carried between the sides.
 * `integer` is 32 bits and `bigint` 64 bits in PostgreSQL, both INTEGER in SQLite; `boolean` is 0/1 in SQLite; `json` is TEXT in
 * SQLite and JSONB in PostgreSQL; `real` is 8 bytes on both.
 */
export type Kind = "text" | "integer" | "bigint" | "real" | "boolean" | "json" | "blob" | "numeric" | "other";

export interface Column {
  readonly name: string;
  readonly kind: Kind;
  readonly notNull: boolean;
  /** PostgreSQL's name of the type, for casts; absent where the table was written down and not discovered. */
  readonly type?: string;
}

export interface ForeignKey {
  readonly columns: readonly string[];
  readonly parent: string;
  readonly parentColumns: readonly string[];
}

/** A table as both sides have it: what the journal, the mirror and the comparison need to know of it. */
export interface Table {
  readonly name: string;
  readonly columns: readonly Column[];
  /** Names of the key's columns, in order. */
  readonly key: readonly string[];
  /** Column sets of the further unique keys. */
  readonly uniques: readonly (readonly string[])[];
  readonly foreignKeys: readonly ForeignKey[];
}

/** The column of that name; throws where the table has none, since every caller took the name from the table. */
export function columnOf(table: Table, name: string): Column {
  const column = table.columns.find((candidate) => candidate.name === name);
  if (column === undefined) throw new Error(`table ${table.name} has no column ${name}`);
  return column;
}

/** An SQL identifier in double quotes, which both sides understand. */
export function quote(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`;
}
