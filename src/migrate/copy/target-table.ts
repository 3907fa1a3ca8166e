import { sameSet } from "../../data/catalogue/common-key.js";
import type { DiscoveredTable, TablePair } from "../../data/catalogue/discover.js";
import { type Column, type ForeignKey, nameOn, type Table } from "../../data/table.js";
import type { Side } from "../../engines/engine.js";

/** A table that rows are brought into, with what its own side asks of them, by the names of that side. */
export interface TargetTable {
  readonly side: Side;
  readonly table: Table;
  readonly foreignKeys: readonly ForeignKey[];
  /** Unique keys beside the one that tells the rows apart; not those of an expression, or of some of the rows only. */
  readonly uniques: readonly UniqueKey[];
}

export interface UniqueKey {
  readonly name: string;
  readonly columns: readonly string[];
}

/** What the catalogue of that side says of a table of both. */
export function targetTable(pair: TablePair, side: Side): TargetTable {
  const { table } = pair;
  const isCarried = (names: readonly string[]) =>
    names.every((name) => columnNamed({ side, table }, name) !== undefined);
  const key = table.columns.filter(({ name }) => table.key.includes(name)).map((column) => nameOn(side, column));
  return {
    side,
    table,
    foreignKeys: pair[side].foreignKeys.filter(({ columns }) => isCarried(columns)),
    uniques: uniquesOf(pair[side]).filter(({ columns }) => isCarried(columns) && !sameSet(columns, key)),
  };
}

/** The column that its side calls so. */
export function columnNamed({ side, table }: Pick<TargetTable, "side" | "table">, name: string): Column | undefined {
  return table.columns.find((column) => nameOn(side, column) === name);
}

/** The alias of SQLite's rowid has no index. */
function uniquesOf({ indexes, primaryKey }: DiscoveredTable): UniqueKey[] {
  const whole = indexes.filter(({ unique, partial }) => unique && !partial);
  const plain = whole
    .map(({ name, columns }) => ({ name, columns: columns.flatMap(({ column }) => column ?? []), all: columns.length }))
    .filter(({ columns, all }) => columns.length === all);
  const isIndexed = plain.some(({ columns }) => sameSet(columns, primaryKey));
  return [...plain, ...(primaryKey.length === 0 || isIndexed ? [] : [{ name: "", columns: primaryKey }])];
}
