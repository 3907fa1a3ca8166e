import { type Condition, partsByRowid } from "../data/rows/rowid.js";
import { columnOf, type ForeignKey, quotedOn, type Table } from "../data/table.js";
import type { Side, Transaction } from "../engines/engine.js";

/** A foreign key, and both tables that it joins. */
export interface Parentage {
  readonly child: Table;
  readonly parent: Table;
  readonly foreignKey: ForeignKey;
}

/**
 * Finds the rows that point to a parent which is not there: conditions on the child, called `t`. On SQLite each is about some thousand
 * rows, so that the event loop gets its turns.
 */
export async function* orphans(reader: Transaction, side: Side, parentage: Parentage): AsyncGenerator<Condition> {
  const text = orphanText(side, parentage);
  if (side === "postgres") yield { text, values: [] };
  else
    for await (const part of partsByRowid(reader, parentage.child))
      yield { text: `${part.text} AND ${text}`, values: part.values };
}

function orphanText(side: Side, { child, parent, foreignKey: { columns, parentColumns } }: Parentage): string {
  const whole = columns.map((name) => `t.${quotedOn(side, columnOf(child, name))} IS NOT NULL`);
  const same = columns.map((name, index) => {
    const mine = columnOf(child, name);
    const other = columnOf(parent, parentColumns[index] ?? "");
    // A key that only SQLite has may point between types which PostgreSQL does not compare.
    const cast = side === "postgres" && mine.type !== other.type ? "::text" : "";
    return `p.${quotedOn(side, other)}${cast} = t.${quotedOn(side, mine)}${cast}`;
  });
  return `${whole.join(" AND ")} AND NOT EXISTS (SELECT 1 FROM ${quotedOn(side, parent)} AS p WHERE ${same.join(" AND ")})`;
}
