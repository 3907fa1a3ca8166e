import sql, { raw } from "sql-template-tag";
import type { Engine, ExactRow, Transaction } from "../../engines/engine.js";

/** An index on what is inside of JSON, and whether PostgreSQL takes it. */
export interface JsonIndex {
  readonly table: string;
  readonly index: string;
  readonly used: boolean;
}

const timeoutMs = 10_000;

/** Asks PostgreSQL's planner for each index on a jsonb column, or on a part of one, whether a query for it goes through the index. */
export async function explainJsonIndexes(postgres: Engine): Promise<JsonIndex[]> {
  return postgres.transaction({ mode: "read", timeoutMs }, async (transaction) => {
    // A table with few rows is read faster whole; the question is whether the index could serve.
    await transaction.script("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off");
    const found: JsonIndex[] = [];
    for (const row of await transaction.query(jsonIndexes))
      found.push({ table: String(row.table), index: String(row.index), used: await isUsed(transaction, row) });
    return found;
  });
}

async function isUsed(transaction: Transaction, row: ExactRow): Promise<boolean> {
  const expression = String(row.expression);
  const matching = row.predicate === null ? "TRUE" : String(row.predicate);
  const from = `SELECT 1 FROM ${String(row.from)} WHERE ${matching}`;
  const query =
    row.method === "btree" ? `${from} ORDER BY ${expression} LIMIT 1` : `${from} AND ${expression} @> '{"dualdb": 1}'`;
  const plan = await transaction.query(sql`${raw(`EXPLAIN (FORMAT JSON) ${query}`)}`);
  return JSON.stringify(plan).includes(JSON.stringify(JSON.stringify(String(row.index))).slice(1, -1));
}

/** Told by their operator class, or by an expression that takes something out of JSON. */
const jsonIndexes = sql`SELECT t.relname AS table, i.relname AS index, t.oid::regclass::text AS from, m.amname AS method,
    pg_get_indexdef(x.indexrelid, 1, true) AS expression, pg_get_expr(x.indpred, x.indrelid) AS predicate
  FROM pg_index AS x JOIN pg_class AS t ON t.oid = x.indrelid JOIN pg_class AS i ON i.oid = x.indexrelid
    JOIN pg_am AS m ON m.oid = i.relam JOIN pg_opclass AS o ON o.oid = x.indclass[0]
  WHERE t.relnamespace = current_schema()::regnamespace AND ((m.amname = 'gin' AND o.opcintype = 'jsonb'::regtype)
    OR (m.amname = 'btree' AND x.indkey[0] = 0 AND pg_get_indexdef(x.indexrelid, 1, true) ~ '->'))
  ORDER BY t.relname, i.relname`;
