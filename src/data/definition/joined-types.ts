import { affinityOf } from "../catalogue/sqlite-type.js";
import type { TypedColumn, TypedTable } from "./postgres-definition.js";

/**
 * The columns that a foreign key joins get types that PostgreSQL compares with each other: where one of them had to be made wider than its
 * declaration says, the others follow it, as far as their values come back.
 */
export function joinTypes(tables: readonly TypedTable[]): TypedTable[] {
  const widths = widestOf(tables);
  return tables.map(({ table, columns }) => ({
    table,
    columns: columns.map((typed) => followed(typed, widths.get(id(table.name, typed.column.name)))),
  }));
}

/** Types that hold whatever those before them hold, and print it alike. */
const widening = ["integer", "numeric", "text"];

/** How wide every joined column has to be: the widest of all that are joined to it, through others too. */
function widestOf(tables: readonly TypedTable[]): Map<string, number> {
  const columns = tables.flatMap(({ table, columns: all }) =>
    all.map((typed) => [id(table.name, typed.column.name), typed] as const),
  );
  const typed = new Map(columns);
  const widths = new Map(columns.map(([name, column]) => [name, widthOf(column.type)]));
  const joints = tables.flatMap(jointsOf).filter((ends) => ends.every((end) => canFollow(typed.get(end))));
  for (let isSettled = false; !isSettled; ) {
    isSettled = true;
    for (const ends of joints) {
      const width = Math.max(...ends.map((end) => widths.get(end) ?? -1));
      for (const end of ends.filter((one) => widths.get(one) !== width)) {
        widths.set(end, width);
        isSettled = false;
      }
    }
  }
  return widths;
}

function jointsOf({ table }: TypedTable): string[][] {
  return table.foreignKeys.flatMap(({ columns, parent, parentColumns }) =>
    columns.map((name, index) => [id(table.name, name), id(parent, parentColumns[index] ?? "")]),
  );
}

/** A column of SQLite that makes a number of its text again, and is not counted up by the database. */
function canFollow(typed: TypedColumn | undefined): boolean {
  if (typed === undefined) return false;
  const { column, type } = typed;
  if (widthOf(type) === widening.length - 1) return true;
  const affinity = affinityOf(column.sqliteType ?? "");
  return widthOf(type) >= 0 && !column.identity && (affinity === "integer" || affinity === "numeric");
}

function followed(typed: TypedColumn, width: number | undefined): TypedColumn {
  if (width === undefined || width === widthOf(typed.type)) return typed;
  const type = widening[width] ?? typed.type;
  return { ...typed, type, note: `made ${type}, like the columns that a foreign key joins it to` };
}

function widthOf(type: string): number {
  if (type === "smallint" || type === "bigint") return 0;
  if (/^numeric/.test(type)) return 1;
  return /^(text|varchar)/.test(type) ? 2 : -1;
}

function id(table: string, column: string): string {
  return JSON.stringify([table, column]);
}
