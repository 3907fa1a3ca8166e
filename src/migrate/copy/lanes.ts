import type { TablePair } from "../../data/catalogue/couple.js";
import { literal, nameOn, quotedOn, type Table } from "../../data/table.js";
import { statement, type Transaction } from "../../engines/engine.js";

/** Connections on which the rows of one table come to PostgreSQL at the same time, where they cannot get in each other's way. */
const lanes = 2;

/** Types in which different keys of SQLite stay different. */
const distinctTypes = ["text", "smallint", "integer", "bigint"];

/**
 * How many lanes a table is worth. Rows that exclude each other, or that a trigger looks at, come one after the other: which of them is
 * in the table is to be the order's doing, and transactions that wait for each other would be a deadlock.
 */
export async function lanesOf(target: Transaction, pair: TablePair, poolSize: number): Promise<number> {
  const { table, postgres } = pair;
  const key = table.columns.filter(({ name }) => table.key.includes(name));
  const isDistinct = key.every(({ type }) => type === undefined || distinctTypes.includes(type));
  const names = key.map((column) => nameOn("postgres", column));
  const isCollated = postgres.columns.some(({ name, collation }) => collation !== null && names.includes(name));
  const excluding = postgres.indexes.filter(({ unique, constraint }) => unique || constraint);
  // A part may have keys and triggers that the whole has not.
  const isWhole = !postgres.options.includes("PARTITIONED");
  const isPlain = isDistinct && !isCollated && isWhole && excluding.length <= 1;
  if (!isPlain || (await hasTriggers(target, table))) return 1;
  return Math.min(lanes, poolSize);
}

async function hasTriggers(target: Transaction, table: Table): Promise<boolean> {
  const text = `SELECT EXISTS (SELECT 1 FROM pg_trigger
    WHERE tgrelid = ${literal(quotedOn("postgres", table))}::regclass AND NOT tgisinternal) AS found`;
  const [row] = await target.query(statement(text));
  return row?.found === true;
}

/** Several lanes take items from one source, each the next one. The first failure ends all of them, when each has done with its item. */
export async function inLanes<T>(
  count: number,
  items: AsyncGenerator<T>,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const lane = async () => {
    try {
      for (let next = await items.next(); next.done !== true; next = await items.next()) await work(next.value);
    } finally {
      await items.return(undefined);
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: count }, lane));
  for (const end of ended) if (end.status === "rejected") throw end.reason;
}
