import { type ForeignKey, quote, quotedOn } from "../../data/table.js";
import type { TargetTable } from "./target-table.js";

/** The columns of two rows that are equal. SQLite compares as the column on the left does, which has to be the table's. */
export function same(left: string, right: string, columns: readonly string[]): string {
  return columns.map((name) => `${left}.${name} = ${right}.${name}`).join(" AND ");
}

/** The columns that tell a table's rows apart, as SQL identifiers. */
export function keyOf({ side, table }: TargetTable): string[] {
  return table.columns.filter(({ name }) => table.key.includes(name)).map((column) => quotedOn(side, column));
}

/** That the row `s` points to a parent which is in none of these tables. */
export function orphanCondition({ columns, parentColumns }: ForeignKey, parents: readonly string[]): string {
  const given = columns.map((name) => `s.${quote(name)} IS NOT NULL`);
  const pairs = columns.map((name, index) => `p.${quote(parentColumns[index] ?? name)} = s.${quote(name)}`);
  const missing = parents.map((parent) => `NOT EXISTS (SELECT 1 FROM ${parent} AS p WHERE ${pairs.join(" AND ")})`);
  return [...given, ...missing].join(" AND ");
}

/** That the row `s` has a unique value of the table's row `t`, which has another key. */
export function takes(target: TargetTable, columns: readonly string[]): string {
  return `${same("t", "s", columns.map(quote))} AND NOT (${same("t", "s", keyOf(target))})`;
}

/** That the row `s` has a unique value which another row of the table has. */
export function takerCondition(target: TargetTable, columns: readonly string[]): string {
  return `EXISTS (SELECT 1 FROM ${quotedOn(target.side, target.table)} AS t WHERE ${takes(target, columns)})`;
}
