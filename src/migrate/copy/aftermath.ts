import { literal, nameOn, quotedOn, type Table } from "../../data/table.js";
import type { Transaction } from "../../engines/engine.js";

/**
 * What a table of PostgreSQL needs after many rows have come with their keys: its sequences and identities go on behind the highest of
 * them, and the planner gets to know the table. A commit that waits for the disk follows, and takes those with it that did not.
 */
export async function tidyTable(transaction: Transaction, table: Table): Promise<void> {
  for (const { sequence, column } of await sequencesOf(transaction, table)) {
    const highest = `SELECT max(${column})::bigint AS n FROM ${quotedOn("postgres", table)}`;
    // A sequence that has never been used says so by its is_called.
    const text = `SELECT setval(${literal(sequence)}, h.n) FROM (${highest}) AS h, ${sequence} AS s
      WHERE h.n > s.last_value OR (h.n = s.last_value AND NOT s.is_called)`;
    await transaction.query({ sql: text, text, values: [] });
  }
  await transaction.script(`ANALYZE ${quotedOn("postgres", table)}; ${somethingWritten}`);
}

/** Only a transaction that has written waits for the disk, and ANALYZE is passed over where the table is somebody else's. */
const somethingWritten = "SELECT pg_logical_emit_message(true, 'dualdb', '')";

/** Both as SQL identifiers. Sequences that count down are left alone. */
interface Sequence {
  readonly sequence: string;
  readonly column: string;
}

async function sequencesOf(transaction: Transaction, table: Table): Promise<Sequence[]> {
  const rows = await transaction.query({
    sql: sequencesText,
    text: sequencesText,
    values: [nameOn("postgres", table)],
  });
  return rows.map(({ sequence, column }) => ({ sequence: String(sequence), column: String(column) }));
}

/** An identity's sequence hangs on its column; a default hangs on the sequence that it asks. */
const sequencesText = `
  SELECT DISTINCT s.oid::regclass::text AS sequence, quote_ident(a.attname) AS column
  FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = t.oid AND d.adnum = a.attnum
    JOIN pg_depend p ON (p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid AND p.refclassid = 'pg_class'::regclass)
      OR (p.classid = 'pg_class'::regclass AND p.refclassid = 'pg_class'::regclass AND p.refobjid = t.oid AND p.refobjsubid = a.attnum
        AND p.deptype IN ('a', 'i'))
    JOIN pg_class s ON s.relkind = 'S' AND s.oid = CASE WHEN p.objid = d.oid AND p.classid = 'pg_attrdef'::regclass THEN p.refobjid ELSE p.objid END
    JOIN pg_sequence q ON q.seqrelid = s.oid AND q.seqincrement > 0
  WHERE t.relnamespace = current_schema()::regnamespace AND t.relname = $1`;
