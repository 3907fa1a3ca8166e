import { encodeKey } from "../data/key.js";
import type { Table } from "../data/table.js";
import type { ExactValue } from "../engines/engine.js";

/** The values of these columns, out of a row's in the order of the table's columns. */
export function pick(table: Table, values: readonly ExactValue[], names: readonly string[]): ExactValue[] {
  return names.map((name) => values[table.columns.findIndex((column) => column.name === name)] ?? null);
}

/** Each list once; lists with a NULL point nowhere and collide with nothing. */
export function distinctLists(lists: readonly (readonly ExactValue[])[]): (readonly ExactValue[])[] {
  const whole = lists.filter((list) => list.every((value) => value !== null));
  return [...new Map(whole.map((list) => [encodeKey(list), list])).values()];
}
