import type { DiscoveredTable } from "../catalogue/catalogue.js";
import type { ForeignKey } from "../table.js";
import type { DefinitionNote } from "./definition.js";
import type { SurveyedTable } from "./postgres-definition.js";

/** Columns whose names PostgreSQL keeps for itself get an underscore behind them: by their words they are found on both sides all the same. */
export function freeNames(surveyed: readonly SurveyedTable[]): {
  readonly tables: readonly SurveyedTable[];
  readonly notes: readonly DefinitionNote[];
} {
  const names = new Map(surveyed.map(({ table }) => [table.name, newNames(table)]));
  return {
    tables: surveyed.map((one) => renamed(one, names)),
    notes: surveyed.flatMap(({ table }) => notesOf(table, names)),
  };
}

/** What its columns are called from now on, by what they were called. */
type Names = ReadonlyMap<string, string>;

const systemColumns: ReadonlySet<string> = new Set(["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"]);

/** Only where no other column has that name, so that nobody has to guess which is which. */
function newNames({ columns }: DiscoveredTable): Names {
  const taken = new Set(columns.map(({ name }) => name.toLowerCase()));
  const kept = columns.filter(({ name }) => systemColumns.has(name) && !taken.has(`${name}_`));
  return new Map(kept.map(({ name }) => [name, `${name}_`]));
}

function renamed({ table, columns }: SurveyedTable, names: ReadonlyMap<string, Names>): SurveyedTable {
  const mine = names.get(table.name) ?? new Map<string, string>();
  const all = (list: readonly string[]) => list.map((name) => mine.get(name) ?? name);
  const key = all(table.primaryKey);
  return {
    table: {
      ...table,
      columns: table.columns.map((column) => ({ ...column, name: mine.get(column.name) ?? column.name })),
      primaryKey: key,
      key: all(table.key),
      keys: table.keys.map((names) => (names === table.primaryKey ? key : all(names))),
      uniques: table.uniques.map(all),
      foreignKeys: table.foreignKeys.map((foreign) => ({
        ...foreign,
        columns: all(foreign.columns),
        ...toward(foreign, names),
      })),
      indexes: table.indexes.map((index) => ({
        ...index,
        columns: index.columns.map((part) => ({
          ...part,
          column: part.column === null ? null : (all([part.column])[0] ?? null),
        })),
      })),
    },
    columns: new Map([...columns].map(([name, survey]) => [mine.get(name) ?? name, survey])),
  };
}

function toward(
  { parent, parentColumns }: ForeignKey,
  names: ReadonlyMap<string, Names>,
): Pick<ForeignKey, "parentColumns"> {
  return { parentColumns: parentColumns.map((name) => names.get(parent)?.get(name) ?? name) };
}

function notesOf({ name: table }: DiscoveredTable, names: ReadonlyMap<string, Names>): DefinitionNote[] {
  return [...(names.get(table) ?? [])].map(([column, name]) => {
    return { table, column, text: `called ${name} in PostgreSQL, which has a column ${column} in every table` };
  });
}
