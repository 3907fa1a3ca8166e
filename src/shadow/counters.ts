import sql from "sql-template-tag";
import { literal, nameOn, quotedOn, type Table } from "../data/table.js";
import type { Transaction } from "../engines/engine.js";

/** A sequence of PostgreSQL that gives a column its numbers. One that counts down is none. */
export interface Counter {
  readonly table: Table;
  /** Both as SQL identifiers. */
  readonly sequence: string;
  readonly column: string;
  /** Whether this user may set it. */
  readonly settable: boolean;
}

/** The counters of these tables: an identity's sequence hangs on its column, a default hangs on the sequence that it asks. */
export async function countersOf(postgres: Transaction, tables: readonly Table[]): Promise<Counter[]> {
  const byName = new Map(tables.map((table) => [nameOn("postgres", table), table]));
  const rows = await postgres.query(sql`
    SELECT DISTINCT t.relname AS name, s.oid::regclass::text AS sequence, quote_ident(a.attname) AS column,
      has_sequence_privilege(s.oid, 'SELECT') AND has_sequence_privilege(s.oid, 'UPDATE') AS settable
    FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
      LEFT JOIN pg_attrdef d ON d.adrelid = t.oid AND d.adnum = a.attnum
      JOIN pg_depend p ON (p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid AND p.refclassid = 'pg_class'::regclass)
        OR (p.classid = 'pg_class'::regclass AND p.refclassid = 'pg_class'::regclass AND p.refobjid = t.oid AND p.refobjsubid = a.attnum
          AND p.deptype IN ('a', 'i'))
      JOIN pg_class s ON s.relkind = 'S' AND s.oid = CASE WHEN p.objid = d.oid AND p.classid = 'pg_attrdef'::regclass THEN p.refobjid ELSE p.objid END
      JOIN pg_sequence q ON q.seqrelid = s.oid AND q.seqincrement > 0
    WHERE t.relnamespace = current_schema()::regnamespace AND t.relname = ANY (${[...byName.keys()]}::text[])`);
  return rows.flatMap(({ name, sequence, column, settable }) => {
    const table = byName.get(String(name));
    if (table === undefined) return [];
    return { table, sequence: String(sequence), column: String(column), settable: settable === true };
  });
}

/** Has the counters go on behind the highest value of their columns, in one round trip. They never go back. */
export async function advance(postgres: Transaction, counters: readonly Counter[]): Promise<void> {
  const texts = counters.map(({ table, sequence, column }) => {
    const highest = `SELECT max(${column})::bigint AS n FROM ${quotedOn("postgres", table)}`;
    // A sequence that has never been used says so by its is_called.
    return `SELECT setval(${literal(sequence)}, h.n) FROM (${highest}) AS h, ${sequence} AS s
      WHERE h.n > s.last_value OR (h.n = s.last_value AND NOT s.is_called)`;
  });
  if (texts.length > 0) await postgres.script(texts.join(";\n"));
}
