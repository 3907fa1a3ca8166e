import type { DiscoveredColumn, DiscoveredTable, Index } from "../catalogue/catalogue.js";
import { type PostgresType, typeOfColumn } from "../catalogue/postgres-type.js";
import { quote } from "../table.js";
import {
  createTable,
  type Definition,
  type DefinitionNote,
  foreignKeyClause,
  foreignKeyName,
  indexStatement,
  listed,
  tableStatement,
} from "./definition.js";
import { sqliteDefault } from "./sqlite-default.js";

/**
 * Tables of PostgreSQL as a new SQLite file is to have them, so that every value can go there and come back: names as they are, keys,
 * NOT NULL, foreign keys within the table, since SQLite knows no other place; indexes for later. What has no counterpart gets a note.
 */
export function sqliteDefinition(tables: readonly DiscoveredTable[]): Definition {
  const names = new Set(tables.map(({ name }) => name));
  return {
    tables: tables.map((table) => tableStatement(table.name, tableText(table, names))),
    later: tables.flatMap(({ name, indexes }) => indexes.filter(isPlain).map((index) => indexStatement(name, index))),
    notes: tables.flatMap((table) => notesOf(table, names)),
  };
}

function tableText(table: DiscoveredTable, names: ReadonlySet<string>): string {
  const { primaryKey, columns, foreignKeys } = table;
  const alias = rowidAlias(table);
  return createTable(table.name, [
    ...columns.map((column) => columnText(column, column.name === alias)),
    ...(primaryKey.length === 0 || alias !== undefined ? [] : [`PRIMARY KEY ${listed(primaryKey)}`]),
    ...uniqueConstraints(table).map((index) => `UNIQUE ${listed(namesOf(index))}`),
    ...foreignKeys.filter(({ parent }) => names.has(parent)).map(foreignKeyClause),
  ]);
}

/** An integer that PostgreSQL counts up is SQLite's rowid. */
function rowidAlias({ primaryKey, columns }: DiscoveredTable): string | undefined {
  const [only] = primaryKey;
  const column = columns.find(({ name }) => name === only);
  const isInteger = column?.kind === "integer" || column?.kind === "bigint";
  return primaryKey.length === 1 && isInteger && column.identity ? only : undefined;
}

function columnText(column: DiscoveredColumn, isAlias: boolean): string {
  if (isAlias) return `${quote(column.name)} INTEGER PRIMARY KEY`;
  const value = column.default === null ? undefined : sqliteDefault(column.default);
  return [
    quote(column.name),
    sqliteTypeOf(column),
    ...(column.notNull ? ["NOT NULL"] : []),
    ...(value === undefined ? [] : [`DEFAULT ${value}`]),
  ].join(" ");
}

/** A declared type whose affinity keeps the values as they are, and from which the type can be told again. */
export function sqliteTypeOf(column: DiscoveredColumn): string {
  const type = typeOfColumn(column);
  const declared = declarations[type.name];
  return declared === undefined ? "TEXT" : declared(type);
}

const limited =
  (name: string) =>
  ({ limits }: PostgresType) =>
    limits.length === 0 ? name : `${name}(${limits.join(",")})`;
const always = (name: string) => () => name;

/** Whatever is not here is PostgreSQL's text; arrays, too: their type's name ends in brackets. */
const declarations: Readonly<Record<string, (type: PostgresType) => string>> = {
  smallint: always("SMALLINT"),
  integer: always("INTEGER"),
  bigint: always("INTEGER"),
  real: always("REAL"),
  "double precision": always("REAL"),
  boolean: always("BOOLEAN"),
  // Numbers come back as numbers. Digits beyond a float's are altered, which is a finding.
  numeric: limited("NUMERIC"),
  "character varying": (type) => (type.limits.length === 0 ? "TEXT" : limited("VARCHAR")(type)),
  character: limited("CHAR"),
  bytea: always("BLOB"),
  uuid: always("UUID"),
  // The affinity of JSON alone would make numbers of documents that are one.
  json: always("JSON TEXT"),
  jsonb: always("JSON TEXT"),
  date: always("DATE"),
  "timestamp without time zone": limited("TIMESTAMP"),
  "timestamp with time zone": limited("TIMESTAMPTZ"),
  "time without time zone": always("TIME"),
};

function isPlain({ constraint, partial, method, columns }: Index): boolean {
  return !constraint && !partial && method === "btree" && columns.every(({ column }) => column !== null);
}

function uniqueConstraints({ indexes, primaryKey, columns }: DiscoveredTable): Index[] {
  const carried = new Set(columns.map(({ name }) => name));
  return indexes.filter(
    (index) =>
      index.unique &&
      index.constraint &&
      index.columns.every(({ column }) => column !== null && carried.has(column)) &&
      namesOf(index).join("\0") !== primaryKey.join("\0"),
  );
}

function namesOf({ columns }: Index): string[] {
  return columns.flatMap(({ column }) => (column === null ? [] : [column]));
}

function notesOf({ name: table, ...rest }: DiscoveredTable, names: ReadonlySet<string>): DefinitionNote[] {
  const note = (column: string | null, text: string) => ({ table, column, text });
  const counted = rest.columns.filter(({ default: value, identity }) => value !== null && !identity);
  return [
    ...counted
      .filter(({ default: value }) => sqliteDefault(String(value)) === undefined)
      .map(({ name, default: value }) => note(name, `its DEFAULT ${value} is left out`)),
    ...rest.columns
      .filter(({ collation }) => collation !== null)
      .map(({ name, collation }) => note(name, `compared by ${collation} in PostgreSQL, by its bytes in SQLite`)),
    ...rest.generated.map(({ name }) => note(name, "computed by PostgreSQL: left out")),
    ...rest.checks.map((check) => note(null, `CHECK (${check}) is left out`)),
    ...rest.foreignKeys
      .filter(({ parent }) => !names.has(parent))
      .map((key) => note(null, `${foreignKeyName(key)} points to a table that is not made: left out`)),
    ...rest.indexes
      .filter((index) => !index.constraint && !isPlain(index))
      .map(({ name }) => note(null, `the index ${name} has no counterpart: left out`)),
  ];
}
