import type { Side } from "../../engines/engine.js";
import type { ForeignKey } from "../table.js";
import type { DiscoveredTable } from "./catalogue.js";
import type { TablePair } from "./couple.js";

/** A foreign key of a table that nobody mirrors, whose rows change or go when the mirrored row goes that they point to. */
export interface Dependent {
  /** The table and its columns, by the names of its side. */
  readonly table: string;
  readonly columns: readonly string[];
  /** Columns of the mirrored table, by SQLite's names. */
  readonly parentColumns: readonly string[];
}

/** By side, and by the mirrored table's name. */
export type Dependents = Readonly<Record<Side, ReadonlyMap<string, readonly Dependent[]>>>;

/** What hangs on mirrored tables of both sides without being mirrored itself. */
export function dependentsOf(
  sides: Readonly<Record<Side, readonly DiscoveredTable[]>>,
  pairs: readonly TablePair[],
): Dependents {
  return { sqlite: ofSide("sqlite", sides.sqlite, pairs), postgres: ofSide("postgres", sides.postgres, pairs) };
}

function ofSide(
  side: Side,
  tables: readonly DiscoveredTable[],
  pairs: readonly TablePair[],
): ReadonlyMap<string, readonly Dependent[]> {
  const mirrored = new Map(pairs.filter(({ keyless }) => keyless === null).map((pair) => [pair[side].name, pair]));
  const found = new Map<string, Dependent[]>();
  for (const table of tables) {
    if (mirrored.has(table.name)) continue;
    for (const foreignKey of table.foreignKeys) {
      const parent = mirrored.get(foreignKey.parent);
      if (parent === undefined || !isTakenAlong(foreignKey)) continue;
      const { name } = parent.table;
      found.set(name, [...(found.get(name) ?? []), dependentOf(side, table, foreignKey, parent)]);
    }
  }
  return found;
}

function isTakenAlong({ onDelete }: ForeignKey): boolean {
  return onDelete === "CASCADE" || onDelete === "SET NULL" || onDelete === "SET DEFAULT";
}

function dependentOf(
  side: Side,
  { name }: DiscoveredTable,
  { columns, parentColumns }: ForeignKey,
  { table }: TablePair,
): Dependent {
  const names = new Map(
    table.columns.map((column) => [
      side === "postgres" ? (column.postgresName ?? column.name) : column.name,
      column.name,
    ]),
  );
  return { table: name, columns, parentColumns: parentColumns.map((column) => names.get(column) ?? column) };
}
