import type { DiscoveredTable } from "../catalogue/catalogue.js";
import type { DefinitionNote } from "./definition.js";

/** Why PostgreSQL cannot have a table under the names that it has in SQLite. */
export function nameObstacle({ name, columns }: DiscoveredTable): DefinitionNote[] {
  const note = (column: string | null, text: string) => ({
    table: name,
    column,
    text: `${text}: the table is left out`,
  });
  if (name === "") return [note(null, nameless)];
  if (isTooLong(name)) return [note(null, "PostgreSQL cuts names after 63 bytes")];
  if (columns.length > mostColumns) return [note(null, `PostgreSQL's tables end at ${mostColumns} columns`)];
  return columns.flatMap((column) => {
    if (column.name === "") return [note(column.name, nameless)];
    if (isTooLong(column.name)) return [note(column.name, "PostgreSQL cuts names after 63 bytes")];
    return systemColumns.has(column.name)
      ? [note(column.name, "PostgreSQL has a column of that name in every table")]
      : [];
  });
}

/** PostgreSQL would cut it. */
export function isTooLong(name: string): boolean {
  return Buffer.byteLength(name) > 63;
}

const nameless = "PostgreSQL has no names without a character";
const mostColumns = 1_600;
const systemColumns: ReadonlySet<string> = new Set(["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"]);
