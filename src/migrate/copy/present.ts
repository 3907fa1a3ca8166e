import { chunks } from "../../data/chunks.js";
import { keyExpression } from "../../data/key.js";
import { quotedOn, type Table } from "../../data/table.js";
import { type Side, type Statement, statement, type Transaction } from "../../engines/engine.js";

const keysAtOnce = 20_000;

/** How many of these keys a table has. It is asked by their spelling, since some may be no value of the key's type. */
export async function presentAmong(
  transaction: Transaction,
  side: Side,
  table: Table,
  keys: readonly string[],
): Promise<number> {
  let present = 0;
  // Only SQLite has keys with NUL, and PostgreSQL does not even take the question.
  const askable = keys.filter((key) => !key.includes("\0"));
  for (const some of chunks(askable, keysAtOnce)) {
    const [row] = await transaction.query(countText[side](table, some));
    present += Number(row?.n);
  }
  return present;
}

const countText: Readonly<Record<Side, (table: Table, keys: readonly string[]) => Statement>> = {
  sqlite: (table, keys) => {
    const key = keyExpression("sqlite", table, "t");
    const text = `SELECT count(*) AS n FROM ${quotedOn("sqlite", table)} AS t WHERE ${key} IN (SELECT value FROM json_each(?))`;
    return statement(text, [JSON.stringify(keys)]);
  },
  postgres: (table, keys) => {
    const key = keyExpression("postgres", table, "t");
    const text = `SELECT count(*) AS n FROM ${quotedOn("postgres", table)} AS t JOIN unnest($1::text[]) AS w (k) ON w.k = ${key}`;
    return statement(text, [keys]);
  },
};
