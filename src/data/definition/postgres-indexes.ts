import type { DiscoveredTable, Index } from "../catalogue/catalogue.js";
import { type DefinitionNote, indexStatement, type LaterStatement } from "./definition.js";
import type { TypedTable } from "./postgres-definition.js";
import { isTooLong } from "./postgres-names.js";
import type { RelationNames } from "./relation-names.js";

/** The statements for a table's indexes on plain columns, but for those that PostgreSQL's table has already. */
export function postgresIndexes(
  { table, columns }: TypedTable,
  there: DiscoveredTable | undefined,
  names: RelationNames,
): {
  readonly statements: readonly LaterStatement[];
  readonly notes: readonly DefinitionNote[];
} {
  const types = new Map(columns.map(({ column, type }) => [column.name, type]));
  const made = there?.indexes.map(spelled) ?? [];
  const wanted = table.indexes.filter((index) => !index.constraint && !made.includes(spelled(index)));
  const found = wanted.map((index) => ({ index, obstacle: obstacleOf(index, types) }));
  const free = found
    .filter(({ obstacle }) => obstacle === null)
    .map(({ index }) => ({ index, name: names.take(index.name) }));
  const note = (text: string) => ({ table: table.name, column: null, text });
  return {
    statements: free.map(({ index, name }) => indexStatement(table.name, { ...index, name })),
    notes: [
      ...found.flatMap(({ index, obstacle }) =>
        obstacle === null ? [] : [note(`the index ${index.name} ${obstacle}: left out`)],
      ),
      ...free
        .filter(({ index, name }) => name !== index.name)
        .map(({ index, name }) =>
          note(`the index ${index.name} is called ${name} in PostgreSQL, where that name is taken`),
        ),
    ],
  };
}

function spelled({ columns, unique }: Index): string {
  return JSON.stringify([unique, columns.map(({ column, descending }) => [column, descending])]);
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
