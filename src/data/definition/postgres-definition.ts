import { statement, type Transaction } from "../../engines/engine.js";
import type { DiscoveredColumn, DiscoveredTable } from "../catalogue/catalogue.js";
import { type ChosenType, chooseType } from "./choose-type.js";
import { type ColumnSurvey, surveyColumns } from "./column-survey.js";
import { type Definition, tableStatement } from "./definition.js";
import { freeNames } from "./free-names.js";
import { joinTypes } from "./joined-types.js";
import { postgresForeignKeys } from "./postgres-foreign-keys.js";
import { postgresIndexes } from "./postgres-indexes.js";
import { nameObstacle } from "./postgres-names.js";
import { automaticNames, tableNotes, tableText } from "./postgres-table.js";
import { nothingPresent, type Present } from "./present.js";
import { RelationNames } from "./relation-names.js";
import { leftBehind } from "./sqlite-leftovers.js";

/** A table of SQLite together with what its columns hold. */
export interface SurveyedTable {
  readonly table: DiscoveredTable;
  readonly columns: ReadonlyMap<string, ColumnSurvey>;
}

/** How to make tables in PostgreSQL. */
export interface PostgresDefinition extends Definition {
  /** Tables that lack a foreign key as long as its parent is not made. */
  readonly waiting: ReadonlySet<string>;
}

/**
 * Surveys tables of SQLite, each whole, which takes its time, and says how to make them in PostgreSQL; of those that are there, what they
 * lack.
 */
export async function definePostgres(
  sqlite: Transaction,
  tables: readonly DiscoveredTable[],
  present: Present = nothingPresent,
  onTable?: (name: string) => void,
): Promise<PostgresDefinition> {
  const surveyed: SurveyedTable[] = [];
  for (const table of tables) {
    onTable?.(table.name);
    surveyed.push({ table, columns: await surveyColumns(sqlite, table) });
  }
  const all = await sqlite.query(statement("SELECT name FROM main.sqlite_schema WHERE type = 'table'"));
  const { notes, ...definition } = postgresDefinition(surveyed, present, new Set(all.map(({ name }) => String(name))));
  return { ...definition, notes: [...notes, ...(await leftBehind(sqlite, tables))] };
}

/** A column with the type that it is going to have. */
export interface TypedColumn extends ChosenType {
  readonly column: DiscoveredColumn;
  /** How many rows have none. */
  readonly nulls: number;
}

/** A table with its columns' types. */
export interface TypedTable {
  readonly table: DiscoveredTable;
  readonly columns: readonly TypedColumn[];
}

/**
 * The tables of SQLite as PostgreSQL is to have them: names as they are where it takes them, the richest types in which every value
 * survives, keys, NOT NULL, defaults; foreign keys and indexes for later. What has no counterpart is left out, with a note. `all`: the
 * names of SQLite's tables.
 */
function postgresDefinition(
  surveyed: readonly SurveyedTable[],
  present: Present,
  all: ReadonlySet<string>,
): PostgresDefinition {
  const named = freeNames(surveyed);
  const obstacles = named.tables.flatMap(({ table }) => nameObstacle(table, present));
  const left = new Set(obstacles.map(({ table }) => table));
  const tables = joinTypes(named.tables.filter(({ table }) => !left.has(table.name)).map(typedTable));
  const there = new Map(present.tables.map((table) => [table.name, table]));
  const missing = tables.filter(({ table }) => !there.has(table.name));
  const automatic = missing.flatMap(automaticNames);
  const names = new RelationNames([...present.names, ...missing.map(({ table }) => table.name), ...automatic]);
  const indexes = tables.map((typed) => postgresIndexes(typed, there.get(typed.table.name), names));
  const later = new Set([...all].filter((name) => !left.has(name)));
  const foreignKeys = postgresForeignKeys(tables, { present, later });
  return {
    tables: withFreeNamesFirst(missing, new Set(automatic)).map((typed) =>
      tableStatement(typed.table.name, tableText(typed)),
    ),
    later: [...indexes.flatMap(({ statements }) => statements), ...foreignKeys.statements],
    notes: [
      ...obstacles,
      ...named.notes.filter(({ table }) => !there.has(table)),
      ...missing.flatMap(tableNotes),
      ...indexes.flatMap(({ notes }) => notes),
      ...foreignKeys.notes,
    ],
    waiting: foreignKeys.waiting,
  };
}

/** A table that is called as PostgreSQL would call a key of another comes before that: then the key gets another name. */
function withFreeNamesFirst(tables: readonly TypedTable[], automatic: ReadonlySet<string>): readonly TypedTable[] {
  const isFirst = ({ table }: TypedTable) => automatic.has(table.name);
  const first = tables.filter(isFirst).sort((left, right) => right.table.name.length - left.table.name.length);
  return [...first, ...tables.filter((typed) => !isFirst(typed))];
}

function typedTable({ table, columns: surveys }: SurveyedTable): TypedTable {
  const keys = new Set(table.primaryKey);
  const columns = table.columns.map((column) => {
    const survey = surveys.get(column.name);
    if (survey === undefined) throw new Error(`no survey of ${table.name}.${column.name}`);
    return { column, nulls: survey.nulls, ...chooseType(column, survey, keys.has(column.name)) };
  });
  return { table, columns };
}
