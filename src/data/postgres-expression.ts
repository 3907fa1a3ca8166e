import { typeOfColumn } from "./postgres-type.js";
import { type Column, quotedOn } from "./table.js";

/**
 * How a column of PostgreSQL is selected so that its value says the same in every session: times as ISO text (UTC and `Z` for those
 * with a time zone), types that only PostgreSQL knows as their text, all else as it is. `row` is the table's alias.
 */
export function readable(column: Column, row: string): string {
  const name = `${row}.${quotedOn("postgres", column)}`;
  const { name: type } = typeOfColumn(column);
  if (type === "timestamp with time zone")
    return `CASE WHEN isfinite(${name}) THEN to_json(${name} AT TIME ZONE 'UTC')#>>'{}' || 'Z' ELSE ${name}::text END`;
  if (type === "timestamp without time zone" || type === "date") return `to_json(${name})#>>'{}'`;
  return column.kind === "other" || type === "character" ? `${name}::text` : name;
}
