import type { DiscoveredTable, Index, TablePair } from "../../data/catalogue/discover.js";
import { nameOn, type Table } from "../../data/table.js";
import type { Side } from "../../engines/engine.js";

/** Something of a table's definition that one side has and the other lacks. Rows can be equal all the same. */
export interface SchemaDifference {
  readonly table: string;
  /** The side that lacks it. */
  readonly side: Side;
  readonly kind: "column" | "index" | "unique" | "foreign key" | "not null" | "check";
  /** Columns by SQLite's names; none for a check. */
  readonly columns: readonly string[];
}

/** What the definitions of a table differ in, as far as the two catalogues can be compared: no expressions, no partial indexes. */
export function schemaDifferences(pair: TablePair): SchemaDifference[] {
  const { table, missing } = pair;
  const sqlite = outlineOf(pair.sqlite, (name) => name);
  const postgres = outlineOf(pair.postgres, (name) => sqliteName(table, name));
  return [
    ...missing.map(({ side, column }) => ({ table: table.name, side, kind: "column" as const, columns: [column] })),
    ...lacking(table.name, "postgres", sqlite, postgres),
    ...lacking(table.name, "sqlite", postgres, sqlite),
    ...notNulls(table),
  ];
}

interface Outline {
  readonly indexes: readonly (readonly string[])[];
  readonly uniques: readonly (readonly string[])[];
  readonly foreignKeys: readonly (readonly string[])[];
  readonly checks: number;
}

function outlineOf(table: DiscoveredTable, nameOf: (name: string) => string): Outline {
  const indexes = table.indexes.filter(isPlain).map(({ columns }) => columns.map(({ column }) => nameOf(column ?? "")));
  const uniques = [table.primaryKey, ...table.uniques].filter((names) => names.length > 0);
  return {
    indexes: [...indexes, table.primaryKey.map(nameOf)],
    uniques: uniques.map((names) => names.map(nameOf)),
    foreignKeys: table.foreignKeys.map(({ columns }) => columns.map(nameOf)),
    checks: table.checks.length,
  };
}

function isPlain({ partial, columns }: Index): boolean {
  return !partial && columns.every(({ column }) => column !== null);
}

function lacking(table: string, side: Side, has: Outline, lacks: Outline): SchemaDifference[] {
  const of = (kind: SchemaDifference["kind"], lists: readonly (readonly string[])[]) =>
    lists.map((columns) => ({ table, side, kind, columns }));
  const uniques = has.uniques.filter((names) => !lacks.uniques.some((other) => isSameSet(names, other)));
  const indexes = has.indexes.filter(
    (names) => !lacks.indexes.some((other) => names.every((name, at) => other[at] === name)),
  );
  const others = indexes.filter((names) => !uniques.some((unique) => isSameSet(names, unique)));
  const foreignKeys = has.foreignKeys.filter((names) => !lacks.foreignKeys.some((other) => isSameSet(names, other)));
  return [
    ...of("unique", uniques),
    ...of("index", distinct(others)),
    ...of("foreign key", foreignKeys),
    ...of("check", has.checks > 0 && lacks.checks === 0 ? [[]] : []),
  ];
}

function notNulls({ name: table, columns, key }: Table): SchemaDifference[] {
  return columns
    .filter(
      ({ name, notNull, sqliteNotNull }) =>
        sqliteNotNull !== undefined && sqliteNotNull !== notNull && !key.includes(name),
    )
    .map(({ name, notNull }) => ({ table, side: notNull ? "sqlite" : "postgres", kind: "not null", columns: [name] }));
}

function sqliteName(table: Table, postgresName: string): string {
  return table.columns.find((column) => nameOn("postgres", column) === postgresName)?.name ?? postgresName;
}

function isSameSet(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((name) => right.includes(name));
}

function distinct(lists: readonly (readonly string[])[]): (readonly string[])[] {
  return [...new Map(lists.map((names) => [names.join("\0"), names])).values()];
}
