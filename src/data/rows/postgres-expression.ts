import { typeOfColumn } from "../catalogue/postgres-type.js";
import { type Column, quotedOn } from "../table.js";

/**
 * How a column of PostgreSQL is selected so that its value says the same in every session: times as ISO text (UTC and `Z` for those
 * with a time zone), types that only PostgreSQL knows as their text, all else as it is. `row` is the table's alias.
 */
export function readable(column: Column, row: string): string {
  const name = `${row}.${quotedOn("postgres", column)}`;
  const { name: type } = typeOfColumn(column);
  if (type === "timestamp with time zone")
    return `CASE WHEN ${name} BETWEEN ${firstTime} AND ${lastTime} THEN ${inUtc(name)} || 'Z' ELSE regexp_replace(${inUtc(name)}, '([0-9])( BC)?$', '\\1Z\\2') END`;
  if (type === "timestamp without time zone" || type === "date") return `to_json(${name})#>>'{}'`;
  // A cast to text adds a mask; the type's own output does not.
  if (type === "inet") return `CASE WHEN ${name} IS NOT NULL THEN concat(${name}) END`;
  return column.kind === "other" || type === "character" ? `${name}::text` : name;
}

/** Others are infinite, or before the year 1. */
const firstTime = "'0001-01-01 00:00:00+00'";
const lastTime = "'294276-12-31 00:00:00+00'";

/** Not a cast: its text would depend on the session. */
function inUtc(name: string): string {
  return `(to_json(${name} AT TIME ZONE 'UTC')#>>'{}')`;
}
