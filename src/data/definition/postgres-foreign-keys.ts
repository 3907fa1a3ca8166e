import type { ForeignKey } from "../table.js";
import type { DefinitionNote } from "./definition.js";
import type { TypedTable } from "./postgres-definition.js";

/** The foreign keys that PostgreSQL can have, whether or not every row satisfies them, and why it cannot have the others. */
export function postgresForeignKeys(tables: readonly TypedTable[]): {
  readonly keys: readonly { readonly table: string; readonly key: ForeignKey }[];
  readonly notes: readonly DefinitionNote[];
} {
  const byName = new Map(tables.map((typed) => [typed.table.name, typed]));
  const all = tables.flatMap((child) =>
    child.table.foreignKeys.map((key) => ({ child, key, obstacle: obstacleOf(child, key, byName.get(key.parent)) })),
  );
  return {
    keys: all.filter(({ obstacle }) => obstacle === null).map(({ child, key }) => ({ table: child.table.name, key })),
    notes: all.flatMap(({ child, key, obstacle }) => {
      const text = `the foreign key (${key.columns.join(", ")}) to ${key.parent} ${obstacle}: left out`;
      return obstacle === null ? [] : [{ table: child.table.name, column: null, text }];
    }),
  };
}

function obstacleOf(child: TypedTable, key: ForeignKey, parent: TypedTable | undefined): string | null {
  if (parent === undefined) return "points to a table that is not made";
  if (!isUnique(parent, key.parentColumns)) return "points to columns that are not unique";
  const pairs = key.columns.map((name, index) => [typeOf(child, name), typeOf(parent, key.parentColumns[index] ?? "")]);
  const different = pairs.find(([mine, other]) => mine === undefined || familyOf(mine) !== familyOf(other ?? ""));
  return different === undefined
    ? null
    : `joins ${different[0] ?? "a computed column"} to ${different[1] ?? "a computed column"}`;
}

/** A primary key, a constraint, or an index on all the rows. */
function isUnique({ table }: TypedTable, columns: readonly string[]): boolean {
  const same = (names: readonly string[]) =>
    names.length === columns.length && columns.every((name) => names.includes(name));
  return [table.primaryKey, ...table.uniques].some(same);
}

function typeOf({ columns }: TypedTable, name: string): string | undefined {
  return columns.find(({ column }) => column.name === name)?.type;
}

/** Types that PostgreSQL compares with each other in a foreign key. */
function familyOf(type: string): string {
  if (type === "smallint" || type === "bigint") return "integer";
  return /^(text|varchar)/.test(type) ? "text" : type.replace(/\(.*\)/, "");
}
