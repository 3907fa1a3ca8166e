import type { Side } from "../engines/engine.js";
import type { Times } from "./conversion/epoch.js";

/**
 * The kinds of column that are carried between the sides.
 * `integer` is at most 32 bits and `bigint` 64 bits in PostgreSQL, both INTEGER in SQLite; `boolean` is 0/1 in SQLite; `json` is TEXT
 * in SQLite and JSONB or JSON in PostgreSQL; `real` is 8 bytes in SQLite. Of `other` kind are times, uuids and all that PostgreSQL's
 * own input has to understand: there the type decides.
 */
export type Kind = "text" | "integer" | "bigint" | "real" | "boolean" | "json" | "blob" | "numeric" | "other";

/** What may be called differently on PostgreSQL; `name` is SQLite's, and that of journals and findings. */
export interface Named {
  readonly name: string;
  /** PostgreSQL's name; absent where it is the same. */
  readonly postgresName?: string;
}

export interface Column extends Named {
  readonly kind: Kind;
  /** Whether PostgreSQL gives the value itself, and lets nobody change it: GENERATED ALWAYS AS IDENTITY. */
  readonly isFixed?: boolean;
  /** Whether PostgreSQL refuses NULL; on a table of one side, whether that side does. */
  readonly notNull: boolean;
  /** PostgreSQL's type with its limits, such as `character varying(20)`; absent where the table was written down and not discovered. */
  readonly type?: string;
  /** The type without its limits, for casts: an explicit cast to `character varying(20)` cuts, and one to `numeric(9,2)` rounds. */
  readonly cast?: string;
  /** The type that a domain stands on, with its limits; absent where `type` is no domain. */
  readonly base?: string;
  /** The type that SQLite's table declares, as it is written there; '' where it declares none. */
  readonly sqliteType?: string;
  /** Whether SQLite refuses NULL, where both sides are known. */
  readonly sqliteNotNull?: boolean;
  /** How SQLite's column writes times, where PostgreSQL's has a type of time and somebody has looked. */
  readonly times?: Times;
}

/** What happens to a child when its parent changes: SQL's words. */
export type ForeignKeyAction = "NO ACTION" | "RESTRICT" | "CASCADE" | "SET NULL" | "SET DEFAULT";

export interface ForeignKey {
  readonly columns: readonly string[];
  readonly parent: string;
  readonly parentColumns: readonly string[];
  /** Absent means NO ACTION, or that nobody has looked. */
  readonly onDelete?: ForeignKeyAction;
  readonly onUpdate?: ForeignKeyAction;
  /** Checked at COMMIT. */
  readonly deferred?: boolean;
}

/** A table as both sides have it: what the journal, the mirror and the comparison need to know of it. */
export interface Table extends Named {
  readonly columns: readonly Column[];
  /** Names of the key's columns, in order; none where the table has no key that both sides keep. */
  readonly key: readonly string[];
  /** Column sets of the further unique keys. */
  readonly uniques: readonly (readonly string[])[];
  readonly foreignKeys: readonly ForeignKey[];
  /** PostgreSQL's CHECK constraints, of the table and of its columns' domains, with the columns that they are about, by its names. */
  readonly checkColumns?: readonly { readonly name: string; readonly columns: readonly string[] }[];
  /** What limits the size of PostgreSQL's values. */
  readonly sizeLimits?: readonly SizeLimit[];
}

/** An index, or a column that PostgreSQL computes, with the columns that it is made of, by PostgreSQL's names. */
export interface SizeLimit {
  /** The index's; '' for a column. */
  readonly name: string;
  /** `index` holds a few thousand bytes of a row, `search` a vector of about a megabyte. */
  readonly kind: "index" | "search";
  readonly columns: readonly string[];
}

/** What a table or a column is called on that side. */
export function nameOn(side: Side, thing: Named): string {
  return side === "postgres" ? (thing.postgresName ?? thing.name) : thing.name;
}

/** The same as an SQL identifier. */
export function quotedOn(side: Side, thing: Named): string {
  return quote(nameOn(side, thing));
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

/** Text as an SQL literal, which both sides understand. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
