import type { Index } from "../catalogue/catalogue.js";
import { type DefinitionNote, indexStatement, type LaterStatement } from "./definition.js";
import type { TypedTable } from "./postgres-definition.js";
import { isTooLong } from "./postgres-names.js";

/** The statements for a table's indexes on plain columns. */
export function postgresIndexes({ table, columns }: TypedTable): {
  readonly statements: readonly LaterStatement[];
  readonly notes: readonly DefinitionNote[];
} {
  const types = new Map(columns.map(({ column, type }) => [column.name, type]));
  const wanted = table.indexes.filter(({ constraint }) => !constraint);
  const found = wanted.map((index) => ({ index, obstacle: obstacleOf(index, types) }));
  return {
    statements: found.filter(({ obstacle }) => obstacle === null).map(({ index }) => indexStatement(table.name, index)),
    notes: found.flatMap(({ index, obstacle }) =>
      obstacle === null
        ? []
        : [{ table: table.name, column: null, text: `the index ${index.name} ${obstacle}: left out` }],
    ),
  };
}

function obstacleOf({ columns, partial, name }: Index, types: ReadonlyMap<string, string>): string | null {
  if (partial) return "is of some of the rows only";
  if (columns.some(({ column }) => column === null)) return "is on an expression";
  if (columns.length > 32) return "has more columns than PostgreSQL's 32";
  if (name === "") return "has a name without a character";
  if (isTooLong(name)) return "has a name that PostgreSQL would cut";
  const unordered = columns.find(({ column }) => types.get(column ?? "") === "json");
  if (unordered !== undefined) return `is on ${unordered.column}, of type json, which has no order`;
  return columns.some(({ column }) => !types.has(column ?? "")) ? "is on a computed column" : null;
}
