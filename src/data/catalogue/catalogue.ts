import type { Side } from "../../engines/engine.js";
import type { Column, Table } from "../table.js";

/** A column of one side with all that its catalogue says of it. */
export interface DiscoveredColumn extends Column {
  /** The default as SQL of that side; null where there is none. */
  readonly default: string | null;
  /** PostgreSQL: filled by the database; SQLite: the INTEGER PRIMARY KEY, an alias of the rowid. */
  readonly identity: boolean;
  /** How text is compared, where that is not by its bytes alone: `NOCASE`, `RTRIM`, `citext`, a collation that ignores differences. */
  readonly collation: string | null;
  /** PostgreSQL: what stands behind the type's name. */
  readonly category: "base" | "enum" | "domain" | "array" | "composite" | "range";
}

/** A column that the database computes: it is never written, and not among the columns of its table. */
export interface GeneratedColumn {
  readonly name: string;
  readonly type: string;
}

export interface IndexColumn {
  /** null for an expression. */
  readonly column: string | null;
  readonly descending: boolean;
  /** SQLite: what it is compared by, such as `BINARY` or `NOCASE`. */
  readonly collation?: string;
}

export interface Index {
  readonly name: string;
  readonly unique: boolean;
  /** Made by a PRIMARY KEY or UNIQUE in the table's definition. */
  readonly constraint: boolean;
  readonly columns: readonly IndexColumn[];
  /** Only some of the rows. */
  readonly partial: boolean;
  /** PostgreSQL's access method, such as `btree` or `gin`; `btree` on SQLite. */
  readonly method: string;
  /** The statement that makes it; null for SQLite's automatic indexes. */
  readonly sql: string | null;
}

/** A table of one side, as its catalogue describes it. Columns that the database computes itself are left out. */
export interface DiscoveredTable extends Table {
  readonly side: Side;
  readonly columns: readonly DiscoveredColumn[];
  /** The primary key, whether or not it can serve as the key; empty where there is none. */
  readonly primaryKey: readonly string[];
  readonly generated: readonly GeneratedColumn[];
  readonly indexes: readonly Index[];
  /** The expressions of CHECK constraints, as they are written. */
  readonly checks: readonly string[];
  /** Every column set that can tell rows apart: unique, not NULL, and good for ON CONFLICT. The primary key is the first. */
  readonly keys: readonly (readonly string[])[];
  /** SQLite: `STRICT`, `WITHOUT ROWID`, `AUTOINCREMENT`; PostgreSQL: `PARTITIONED`. */
  readonly options: readonly string[];
  /** SQLite's own definition; null for PostgreSQL, which keeps none. */
  readonly sql: string | null;
  /** PostgreSQL: the tables that hold the rows of a partitioned one, at every level, as SQL identifiers with their schemas. */
  readonly partitions: readonly string[];
}

/** Rows of a catalogue query come as JSON text; none is an empty list. */
export function listOf<T>(value: unknown): T[] {
  return value === null || value === undefined ? [] : (JSON.parse(String(value)) as T[]);
}

/** The table in which our schema migrations are remembered, and the columns that tell it from another tool's of that name. */
export const tracking = {
  table: "schema_migrations",
  columns: ["filename", "applied_at", "checksum", "execution_time_ms", "success", "error_message"],
} as const;

/** Whether a table of those columns is the one in which our migrations are remembered. */
export function isTracking(columns: readonly string[]): boolean {
  return tracking.columns.every((name) => columns.includes(name));
}

/** Tables that are ours, not the application's. */
export function isOurs({ name, columns }: Table): boolean {
  return name.startsWith("dualdb_") || (name === tracking.table && isTracking(columns.map((column) => column.name)));
}

/** Items that share a value, in the order in which the values come up. */
export function groupedBy<T>(items: readonly T[], by: (item: T) => string | number): T[][] {
  const groups = new Map<string | number, T[]>();
  for (const item of items) {
    const group = groups.get(by(item));
    if (group === undefined) groups.set(by(item), [item]);
    else group.push(item);
  }
  return [...groups.values()];
}
