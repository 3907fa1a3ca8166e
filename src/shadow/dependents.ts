import type { Dependents } from "../data/catalogue/discover.js";
import { quote, type Table } from "../data/table.js";
import { type ExactValue, type Side, statement, type Transaction } from "../engines/engine.js";
import { DualDbError } from "../errors.js";

export type { Dependents };

type ValuesOf = (columns: readonly string[]) => Promise<ReadonlyMap<string, readonly ExactValue[]>>;

/**
 * A row that stays on the source, and has to leave the target for a moment, must not take rows along that nobody would bring back.
 * @throws CONSTRAINT_VIOLATED naming the table that hangs on it.
 */
export async function assertNothingHangsOn(
  dependents: Dependents,
  side: Side,
  transaction: Transaction,
  table: Table,
  valuesOf: ValuesOf,
): Promise<void> {
  for (const dependent of dependents[side].get(table.name) ?? []) {
    for (const values of (await valuesOf(dependent.parentColumns)).values()) {
      const same = dependent.columns.map(
        (column, index) => `${quote(column)} = ${side === "sqlite" ? "?" : `$${index + 1}`}`,
      );
      const text = `SELECT 1 AS one FROM ${quote(dependent.table)} WHERE ${same.join(" AND ")} LIMIT 1`;
      if ((await transaction.query(statement(text, values))).length > 0) throw hanging(side, table, dependent.table);
    }
  }
}

function hanging(side: Side, { name }: Table, child: string): DualDbError {
  return new DualDbError(
    "CONSTRAINT_VIOLATED",
    `A row of ${name} changes what is unique or what others point to, and rows of ${child}, which nobody mirrors, hang on it: mirror ${child} too, or change the row in two steps.`,
    { side, table: name, details: { constraint: `foreign key of ${child}, which is not mirrored` } },
  );
}
