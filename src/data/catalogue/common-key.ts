import type { Column } from "../table.js";
import { typeOfColumn } from "./postgres-type.js";
import { affinityOf } from "./sqlite-type.js";

/** Columns that tell rows apart on both sides and that both spell alike, or why there are none. */
export type CommonKey = { readonly key: readonly string[] } | { readonly key: null; readonly reason: string };

/**
 * The first key of SQLite that PostgreSQL keeps too, all columns by SQLite's names. `collations`: what a column is compared by, where
 * that is not its bytes: then one row there could be two here.
 */
export function commonKey(
  sqlite: readonly (readonly string[])[],
  postgres: readonly (readonly string[])[],
  columns: readonly Column[],
  collations: ReadonlyMap<string, string>,
): CommonKey {
  const byName = new Map(columns.map((column) => [column.name, column]));
  const shared = sqlite.filter((mine) => postgres.some((other) => sameSet(mine, other)));
  const reasons = shared.map((key) => obstacleOf(key, byName, collations));
  const key = shared[reasons.indexOf(null)];
  if (key !== undefined) return { key };
  return { key: null, reason: reasons[0] ?? absenceOf(sqlite, postgres) };
}

function absenceOf(sqlite: readonly unknown[], postgres: readonly unknown[]): string {
  if (sqlite.length === 0) return "it has no primary key in SQLite";
  if (postgres.length === 0) return "it has no primary key in PostgreSQL";
  return "its primary key differs between the sides";
}

function obstacleOf(
  key: readonly string[],
  columns: ReadonlyMap<string, Column>,
  collations: ReadonlyMap<string, string>,
): string | null {
  for (const name of key) {
    const column = columns.get(name);
    const collation = collations.get(name);
    if (column === undefined) return `its key has the column ${name}, which is not carried`;
    if (collation !== undefined)
      return `its key ${name} is compared by ${collation}, so that two spellings are one row there`;
    if (!isSpelledAlike(column))
      return `its key ${name} is spelled differently in SQLite and in PostgreSQL (${column.type})`;
  }
  return null;
}

/** A row is found on both sides by the text of its key. */
function isSpelledAlike(column: Column): boolean {
  const { name, limits } = typeOfColumn(column);
  const affinity = affinityOf(column.sqliteType ?? "TEXT");
  if (affinity === "real") return false;
  if (column.kind === "blob") return true;
  if (affinity === "none") return false;
  if (column.kind === "numeric") return (limits[1] ?? 0) <= 0;
  return column.kind !== "real" && column.kind !== "json" && !differentlySpelled.test(name);
}

/** Types that PostgreSQL prints in a way of its own, or in one that depends on the session; and those nobody has looked into. */
const differentlySpelled =
  /^((time|timestamp)( with(out)? time zone)?|interval|money|inet|cidr|macaddr8?|"?bit"?|bit varying|xml|point|line|lseg|box|path|polygon|circle|tsvector|tsquery|hstore|oid|reg[a-z]+|[a-z0-9]+(multi)?range|.*\[\])$/;

/** The same names in any order. */
export function sameSet(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((name) => right.includes(name));
}
