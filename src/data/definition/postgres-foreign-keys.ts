import { matchNames } from "../catalogue/match.js";
import type { ForeignKey } from "../table.js";
import { type DefinitionNote, foreignKeyName, foreignKeyStatement, type LaterStatement } from "./definition.js";
import type { TypedTable } from "./postgres-definition.js";
import type { Present } from "./present.js";

/** Where the parents of foreign keys may be. */
export interface Parents {
  readonly present: Present;
  /** Tables of SQLite that may be made later. */
  readonly later: ReadonlySet<string>;
}

/**
 * The foreign keys that PostgreSQL can have and has not yet, whether or not every row satisfies them, and why it cannot have the others.
 * `waiting`: tables of which one waits for its parent.
 */
export function postgresForeignKeys(
  tables: readonly TypedTable[],
  { present, later }: Parents,
): {
  readonly statements: readonly LaterStatement[];
  readonly notes: readonly DefinitionNote[];
  readonly waiting: ReadonlySet<string>;
} {
  const made = new Map(tables.map((typed) => [typed.table.name, shapeOf(typed)]));
  const all = tables.flatMap((child) =>
    lacked(child, present).map((key) => {
      const parent = made.get(key.parent) ?? presentParent(key, present);
      return { child, key, parent, obstacle: parent === undefined ? null : obstacleOf(child, key, parent) };
    }),
  );
  return {
    statements: all.flatMap(({ child, key, parent, obstacle }) =>
      parent === undefined || obstacle !== null ? [] : [foreignKeyStatement(child.table.name, toward(key, parent))],
    ),
    notes: all.flatMap(({ child, key, parent, obstacle }) => {
      const why = parent === undefined ? absence(later.has(key.parent)) : obstacle;
      return why === null ? [] : [{ table: child.table.name, column: null, text: `${foreignKeyName(key)} ${why}` }];
    }),
    waiting: new Set(
      all
        .filter(({ key, parent }) => parent === undefined && later.has(key.parent))
        .map(({ child }) => child.table.name),
    ),
  };
}

function absence(isLater: boolean): string {
  return isLater
    ? "points to a table that PostgreSQL lacks: left out until that is made"
    : "points to a table that is not made: left out";
}

/** What a foreign key has to know of the table that it points to: by SQLite's names of its columns their names and types in PostgreSQL. */
interface Parent {
  readonly name: string;
  readonly columns: ReadonlyMap<string, { readonly name: string; readonly type: string }>;
  /** Sets of columns by PostgreSQL's names: a primary key, constraints, and indexes on all the rows. */
  readonly uniques: readonly (readonly string[])[];
}

function shapeOf({ table, columns }: TypedTable): Parent {
  return {
    name: table.name,
    columns: new Map(columns.map(({ column: { name }, type }) => [name, { name, type }])),
    uniques: [table.primaryKey, ...table.uniques],
  };
}

/** A table that is there already, under a name that may be spelled otherwise. */
function presentParent({ parent, parentColumns }: ForeignKey, { tables }: Present): Parent | undefined {
  const [[, name] = []] = matchNames(
    [parent],
    tables.map((table) => table.name),
  ).pairs;
  const table = tables.find((candidate) => candidate.name === name);
  if (table === undefined) return undefined;
  const { pairs } = matchNames(
    parentColumns,
    table.columns.map((column) => column.name),
  );
  const types = new Map(table.columns.map((column) => [column.name, column.type ?? ""]));
  return {
    name: table.name,
    columns: new Map(pairs.map(([mine, other]) => [mine, { name: other, type: types.get(other) ?? "" }])),
    uniques: [table.primaryKey, ...table.uniques],
  };
}

/** Those that PostgreSQL's table does not have yet, where it is there. */
function lacked({ table }: TypedTable, { tables }: Present): readonly ForeignKey[] {
  const there = tables.find(({ name }) => name === table.name)?.foreignKeys ?? [];
  return table.foreignKeys.filter((key) => !there.some(({ columns }) => isSameSet(columns, key.columns)));
}

function toward(key: ForeignKey, { name, columns }: Parent): ForeignKey {
  const parentColumns = key.parentColumns.map((column) => columns.get(column)?.name ?? column);
  return { ...key, parent: name, parentColumns };
}

function obstacleOf(child: TypedTable, key: ForeignKey, parent: Parent): string | null {
  const others = key.parentColumns.map((name) => parent.columns.get(name));
  const names = others.map((other) => other?.name ?? "");
  if (!parent.uniques.some((unique) => isSameSet(unique, names)))
    return "points to columns that are not unique: left out";
  const pairs = key.columns.map((name, index) => [typeOf(child, name), others[index]?.type] as const);
  const different = pairs.find(([mine, other]) => mine === undefined || familyOf(mine) !== familyOf(other ?? ""));
  if (different === undefined) return null;
  const [mine = "a computed column", other = "a computed column"] = different;
  return `joins ${mine} to ${other}: left out`;
}

function isSameSet(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((name) => right.includes(name));
}

function typeOf({ columns }: TypedTable, name: string): string | undefined {
  return columns.find(({ column }) => column.name === name)?.type;
}

/** Types that PostgreSQL compares with each other in a foreign key, as we write them and as its catalogue does. */
function familyOf(type: string): string {
  const name = type.replace(/\(.*?\)/, "");
  if (/^(smallint|integer|bigint)$/.test(name)) return "integer";
  if (/^(text|varchar|character varying)$/.test(name)) return "text";
  return name.replace(/ without time zone$/, "").replace(/ with time zone$/, "tz");
}
