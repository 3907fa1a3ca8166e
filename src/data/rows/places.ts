import { type ExactRow, type ExactValue, statement, type Transaction } from "../../engines/engine.js";
import { quote } from "../table.js";

/** Where a row of SQLite stands: the values that its table is ordered by; text as its bytes, since it may hold what the driver cannot give back. */
export type Place = readonly { readonly value: ExactValue; readonly isText: boolean }[];

/** A condition of a WHERE clause and its parameters. */
export interface PlaceBound {
  readonly where: string;
  readonly values: readonly ExactValue[];
}

/** Some order of a SQLite table: columns, as SQL identifiers, that tell its rows apart. */
export class Places {
  readonly #table: string;
  readonly #order: readonly string[];

  constructor(table: string, order: readonly string[]) {
    this.#table = quote(table);
    this.#order = order;
  }

  /** The last place of a page of so many rows behind `after`; null where fewer are left. Rows with a NULL there have none. */
  async last(transaction: Transaction, after: Place | null, rows: number): Promise<Place | null> {
    const { where, values } = this.between(after, null);
    const parts = this.#order.map(
      (name, index) =>
        `typeof(${name}) AS t${index}, CASE typeof(${name}) WHEN 'text' THEN CAST(${name} AS BLOB) ELSE ${name} END AS v${index}`,
    );
    const sql = `SELECT ${parts.join(", ")} FROM ${this.#table} WHERE ${where} ORDER BY ${this.#order.join(", ")} LIMIT 1 OFFSET ${rows - 1}`;
    const [row] = await transaction.query(statement(sql, values));
    return row === undefined ? null : this.#order.map((_, index) => placed(row, index));
  }

  /** The rows behind one place, up to and including another; null is an end of the table. */
  between(after: Place | null, last: Place | null): PlaceBound {
    const bounds = [...this.#bound(after, ">"), ...this.#bound(last, "<=")];
    const given = this.#order.map((name) => `${name} IS NOT NULL`);
    return {
      where: [...given, ...bounds.map(({ where }) => where)].join(" AND "),
      values: bounds.flatMap(({ values }) => values),
    };
  }

  #bound(place: Place | null, comparison: ">" | "<="): PlaceBound[] {
    if (place === null) return [];
    const marks = place.map(({ isText }) => (isText ? "CAST(? AS TEXT)" : "?"));
    const where = `(${this.#order.join(", ")}) ${comparison} (${marks.join(", ")})`;
    return [{ where, values: place.map(({ value }) => value) }];
  }
}

function placed(row: ExactRow, index: number): Place[number] {
  return { value: row[`v${index}`] ?? null, isText: row[`t${index}`] === "text" };
}
