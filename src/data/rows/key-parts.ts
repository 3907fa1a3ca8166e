import { type ExactValue, statement, type Transaction } from "../../engines/engine.js";
import { quote, type Table } from "../table.js";
import { type Condition, partsByRowid, rowidOf, rowsInAPart } from "./rowid.js";

/** A part of a table, and the order in which its rows are read without being sorted; '' where there is none. */
export interface OrderedCondition extends Condition {
  readonly order: string;
}

/**
 * As `partsByRowid`, but along the key where an index has it: what is kept by key is then written from its beginning to its end, whatever
 * the keys are, and of the rows nothing but the index is read. A row with NULL in its key may come twice.
 */
export async function* partsByKey(transaction: Transaction, table: Table): AsyncIterable<OrderedCondition> {
  const rowid = await rowidOf(transaction, table);
  if (rowid !== null && (await hasIndex(transaction, table))) yield* alongKey(transaction, table, rowid);
  else for await (const part of partsByRowid(transaction, table)) yield { ...part, order: "" };
}

/** Parts end at rows that are known by their rowids: a key may be text that no driver hands out. */
async function* alongKey(transaction: Transaction, table: Table, rowid: string): AsyncIterable<OrderedCondition> {
  const names = table.key.map(quote);
  const key = `(${names.join(", ")})`;
  const order = `ORDER BY ${names.join(", ")}`;
  const source = quote(table.name);
  // A column without its affinity: else SQLite takes only the first one of several from the index.
  const keyOf = (row: ExactValue) =>
    `(${names.map((name) => `(SELECT +${name} FROM ${source} WHERE ${rowid} = ${row})`).join(", ")})`;
  const whole = names.map((name) => `${name} IS NOT NULL`).join(" AND ");
  yield { text: names.map((name) => `${name} IS NULL`).join(" OR "), values: [], order: "" };
  for (let rest = whole; ; ) {
    const next = `SELECT ${rowid} AS last FROM ${source} WHERE ${rest} ${order} LIMIT 1 OFFSET ${rowsInAPart}`;
    const last: ExactValue | undefined = (await transaction.query(statement(next)))[0]?.last;
    if (last === undefined) return yield { text: rest, values: [], order };
    yield { text: `${rest} AND ${key} <= ${keyOf(last)}`, values: [], order };
    rest = `${whole} AND ${key} > ${keyOf(last)}`;
  }
}

/** Whether there is an index that begins with the key, in its order. */
async function hasIndex(transaction: Transaction, { name, key }: Table): Promise<boolean> {
  const rows = await transaction.query(
    statement(
      `SELECT i.seq, x.name, x."desc" = 0 AND x.coll = 'BINARY' AS plain FROM pragma_index_list(?) AS i JOIN pragma_index_xinfo(i.name) AS x
         WHERE i.partial = 0 AND x.key = 1 ORDER BY i.seq, x.seqno`,
      [name],
    ),
  );
  const indexes = new Map<ExactValue | undefined, (ExactValue | undefined)[]>();
  for (const { seq, name: column, plain } of rows)
    indexes.set(seq, [...(indexes.get(seq) ?? []), plain === 1n ? column : null]);
  return [...indexes.values()].some((columns) => key.every((column, place) => columns[place] === column));
}
