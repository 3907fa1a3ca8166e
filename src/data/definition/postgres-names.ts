import type { DiscoveredTable } from "../catalogue/catalogue.js";
import type { DefinitionNote } from "./definition.js";
import type { Present } from "./present.js";

/** Why PostgreSQL cannot have a table under the names that it has in SQLite. */
export function nameObstacle({ name, columns }: DiscoveredTable, { own }: Present): DefinitionNote[] {
  const note = (column: string | null, text: string) => ({
    table: name,
    column,
    text: `${text}: the table is left out`,
  });
  if (name === "") return [note(null, nameless)];
  if (isTooLong(name)) return [note(null, cut)];
  if (own.has(name)) return [note(null, "PostgreSQL has a table of its own of that name")];
  if (columns.length > mostColumns) return [note(null, `PostgreSQL's tables end at ${mostColumns} columns`)];
  return columns.flatMap((column) => {
    if (column.name === "") return [note(column.name, nameless)];
    if (isTooLong(column.name)) return [note(column.name, cut)];
    return systemColumns.has(column.name)
      ? [note(column.name, "PostgreSQL has a column of that name in every table")]
      : [];
  });
}

/** PostgreSQL would cut it. */
export function isTooLong(name: string): boolean {
  return Buffer.byteLength(name) > mostBytes;
}

/** As PostgreSQL does it: never within a character. */
export function cutToBytes(name: string, bytes: number): string {
  let short = name;
  while (Buffer.byteLength(short) > bytes) short = [...short].slice(0, -1).join("");
  return short;
}

/** Of a name. */
export const mostBytes = 63;
const cut = `PostgreSQL cuts names after ${mostBytes} bytes`;
const nameless = "PostgreSQL has no names without a character";
const mostColumns = 1_600;
const systemColumns: ReadonlySet<string> = new Set(["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"]);
