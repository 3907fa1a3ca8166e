import sql, { raw } from "sql-template-tag";
import { ownSchema } from "../../data/catalogue/own-schema.js";
import type { Engine, ExactRow, Transaction } from "../../engines/engine.js";

/** An index on JSON, or on something inside of it, and whether PostgreSQL takes it. */
export interface JsonIndex {
  readonly table: string;
  readonly index: string;
  readonly used: boolean;
}

const timeoutMs = 10_000;

/**
 * Every index that has JSON in it, whatever its kind. Where a query can be made from the index's own definition, PostgreSQL's planner is
 * asked whether it goes through the index; of the others it is said whether they are in working order.
 */
export async function explainJsonIndexes(postgres: Engine): Promise<JsonIndex[]> {
  return postgres.transaction({ mode: "read", timeoutMs }, async (transaction) => {
    // A table with few rows is read faster whole; the question is whether the index could serve.
    await transaction.script("SET LOCAL enable_seqscan = off");
    const found: JsonIndex[] = [];
    for (const row of await transaction.query(jsonIndexes))
      found.push({ table: String(row.table), index: String(row.index), used: await isUsed(transaction, row) });
    return found;
  });
}

async function isUsed(transaction: Transaction, row: ExactRow): Promise<boolean> {
  const query = queryFor(row);
  if (row.valid !== true || query === null) return row.valid === true;
  const plan = await transaction.query(sql`${raw(`EXPLAIN (FORMAT JSON) ${query}`)}`);
  return JSON.stringify(plan).includes(JSON.stringify(JSON.stringify(String(row.index))).slice(1, -1));
}

/** A query that the index is for: documents with a part like this one, or rows with one value. null for kinds that are for something else. */
function queryFor({ from, expression, predicate, method, documents }: ExactRow): string | null {
  const rows = `${from} WHERE ${predicate ?? "TRUE"}`;
  if (documents === true) return `SELECT 1 FROM ${rows} AND ${expression} @> '{"dualdb": 1}'`;
  if (method !== "btree" && method !== "hash") return null;
  return `SELECT 1 FROM ${rows} AND ${expression} = (SELECT ${expression} FROM ${rows} LIMIT 1)`;
}

/** Told by the columns that they depend on. */
const jsonIndexes = sql`SELECT t.relname AS table, i.relname AS index, t.oid::regclass::text AS from, m.amname AS method,
    x.indisvalid AND x.indisready AS valid, m.amname = 'gin' AND o.opcintype = 'jsonb'::regtype AS documents,
    pg_get_indexdef(x.indexrelid, 1, true) AS expression, pg_get_expr(x.indpred, x.indrelid) AS predicate
  FROM pg_index AS x JOIN pg_class AS t ON t.oid = x.indrelid JOIN pg_class AS i ON i.oid = x.indexrelid
    JOIN pg_am AS m ON m.oid = i.relam JOIN pg_opclass AS o ON o.oid = x.indclass[0]
  WHERE t.relnamespace = ${raw(ownSchema)} AND EXISTS (SELECT 1 FROM pg_depend AS d
    JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid AND a.atttypid IN ('json'::regtype, 'jsonb'::regtype)
    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.objid = x.indexrelid AND d.refobjid = x.indrelid)
  ORDER BY t.relname, i.relname`;
