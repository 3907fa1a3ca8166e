import { type Column, quote } from "../data/table.js";
import { invalid } from "./inputs.js";
import { protectedColumns, type UserProfileChanges, userProfiles } from "./records.js";
import type { Bound } from "./statements.js";
import { valueFor } from "./values.js";

/** One `"column" = value` of an update. */
export interface Assignment {
  /** In double quotes. */
  readonly column: string;
  readonly value: Bound;
}

const functionName = "updateUserProfile";
const columns: ReadonlyMap<string, Column> = new Map(userProfiles.columns.map((column) => [column.name, column]));

/**
 * The assignments for the changes that are not undefined, and `updated_at` where the caller does not set it. VALIDATION_FAILED for a
 * column that a profile does not have, one that no update may set, and a value that the column cannot hold.
 */
export function assignmentsOf(changes: UserProfileChanges, now: number): Assignment[] {
  if (typeof changes !== "object" || changes === null || Array.isArray(changes)) {
    throw invalid(functionName, "changes", "expected an object of columns and values", userProfiles);
  }
  const given = Object.entries({ updated_at: now, ...withoutUndefined(changes) });
  return given.map(([name, input]) => ({ column: quote(name), value: checkedValue(name, input) }));
}

function withoutUndefined(changes: object): object {
  return Object.fromEntries(Object.entries(changes).filter(([, input]) => input !== undefined));
}

function checkedValue(name: string, input: unknown): Bound {
  const column = columns.get(name);
  if (column === undefined) throw invalid(functionName, name, "a user profile has no such column", userProfiles);
  if ((protectedColumns as readonly string[]).includes(name)) {
    throw invalid(functionName, name, "an update may not set this column", userProfiles);
  }
  const outcome = valueFor(column, input);
  if ("reason" in outcome) throw invalid(functionName, name, outcome.reason, userProfiles);
  return outcome.value;
}
