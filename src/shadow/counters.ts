import sql, { raw } from "sql-template-tag";
import { ownSchema } from "../data/catalogue/own-schema.js";
import { columnOf, literal, nameOn, quote, quotedOn, type Table } from "../data/table.js";
import type { Transaction } from "../engines/engine.js";

/** A sequence of PostgreSQL that gives a column its numbers. One that counts down is none. */
export interface Counter {
  readonly table: Table;
  /** As an SQL identifier. */
  readonly sequence: string;
  /** By PostgreSQL's name. */
  readonly column: string;
  /** Whether this user may ask where it stands. */
  readonly readable: boolean;
  /** The privileges on it that this user lacks to set it: `SELECT`, `UPDATE`. */
  readonly lacking: readonly string[];
}

/**
 * The counters of these tables: an identity's sequence hangs on its column, a default hangs on the sequence that it asks, whoever owns
 * that. A default that makes a text of the number is nobody's counter.
 */
export async function countersOf(postgres: Transaction, tables: readonly Table[]): Promise<Counter[]> {
  const byName = new Map(tables.map((table) => [nameOn("postgres", table), table]));
  const rows = await postgres.query(sql`
    SELECT DISTINCT t.relname AS name, s.oid::regclass::text AS sequence, a.attname AS column,
      has_sequence_privilege(s.oid, 'SELECT') AS selects, has_sequence_privilege(s.oid, 'UPDATE') AS updates,
      has_sequence_privilege(s.oid, 'SELECT, USAGE') AS readable
    FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
      JOIN pg_type y ON y.oid = a.atttypid AND y.typcategory = 'N'
      LEFT JOIN pg_attrdef d ON d.adrelid = t.oid AND d.adnum = a.attnum
      JOIN pg_depend p ON (p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid AND p.refclassid = 'pg_class'::regclass)
        OR (p.classid = 'pg_class'::regclass AND p.refclassid = 'pg_class'::regclass AND p.refobjid = t.oid AND p.refobjsubid = a.attnum
          AND p.deptype IN ('a', 'i'))
      JOIN pg_class s ON s.relkind = 'S' AND s.oid = CASE WHEN p.objid = d.oid AND p.classid = 'pg_attrdef'::regclass THEN p.refobjid ELSE p.objid END
      JOIN pg_sequence q ON q.seqrelid = s.oid AND q.seqincrement > 0
    WHERE t.relnamespace = ${raw(ownSchema)} AND t.relname = ANY (${[...byName.keys()]}::text[])
    ORDER BY name, sequence`);
  return rows.flatMap(({ name, sequence, column, selects, updates, readable }) => {
    const table = byName.get(String(name));
    if (table === undefined) return [];
    const lacking = [...(selects === true ? [] : ["SELECT"]), ...(updates === true ? [] : ["UPDATE"])];
    return {
      table,
      sequence: String(sequence),
      column: String(column),
      readable: readable === true,
      lacking,
    };
  });
}

/** The column of a counter by SQLite's name, where SQLite has it. */
export function columnCounted({ table, column }: Counter): string {
  return table.columns.find((candidate) => nameOn("postgres", candidate) === column)?.name ?? column;
}

/** The highest number that was ever given to a row of a table, by the table's name: it is not given again, though the row be gone. */
export type GivenNumbers = ReadonlyMap<string, bigint>;

const noneGiven: GivenNumbers = new Map();

/** Those of SQLite's tables with AUTOINCREMENT. */
export async function givenBySqlite(sqlite: Transaction): Promise<GivenNumbers> {
  if (!(await hasCounters(sqlite))) return noneGiven;
  const rows = await sqlite.query(sql`SELECT name, seq FROM sqlite_sequence WHERE typeof(seq) = 'integer'`);
  return new Map(rows.map(({ name, seq }) => [String(name), BigInt(seq as bigint)]));
}

/**
 * Has the counters go on behind the highest value of their columns, and behind what SQLite has given, in one round trip. They never go
 * back. Those that this user may not set stay where they are, and are returned.
 */
export async function advance(
  postgres: Transaction,
  counters: readonly Counter[],
  given: GivenNumbers = noneGiven,
): Promise<Counter[]> {
  const texts = counters.filter(isSettable).map((counter) => {
    const { table, sequence, column } = counter;
    const values = [
      `max(${quote(column)})::bigint`,
      ...(countsRows(counter) ? [String(given.get(table.name) ?? "NULL")] : []),
    ];
    // LEAST passes over NULL: where there is no value, the sequence's end would be the least.
    const highest = `SELECT greatest(${values.join(", ")}) AS n FROM ${quotedOn("postgres", table)}`;
    // A sequence that has never been used says so by its is_called.
    return `SELECT setval(${literal(sequence)}, least(h.n, q.seqmax)) FROM pg_sequence AS q, (${highest}) AS h, ${sequence} AS s
      WHERE q.seqrelid = ${literal(sequence)}::regclass AND (h.n > s.last_value OR (h.n = s.last_value AND NOT s.is_called))`;
  });
  if (texts.length > 0) await postgres.script(texts.join(";\n"));
  return counters.filter((counter) => !isSettable(counter));
}

function isSettable({ lacking }: Counter): boolean {
  return lacking.length === 0;
}

/** SQLite keeps its counters in a table that comes with the first AUTOINCREMENT. */
async function hasCounters(sqlite: Transaction): Promise<boolean> {
  const rows = await sqlite.query(sql`SELECT 1 AS one FROM sqlite_master WHERE name = 'sqlite_sequence'`);
  return rows.length > 0;
}

/** Those of PostgreSQL's counters of keys, as far as this user may ask them. */
export async function givenByPostgres(postgres: Transaction, tables: readonly Table[]): Promise<GivenNumbers> {
  const all = await countersOf(postgres, tables);
  const counters = all.filter((counter) => counter.readable && countsRows(counter));
  const sequences = counters.map(({ sequence }) => sequence);
  const rows = await postgres.query(
    sql`SELECT pg_sequence_last_value(s.name::regclass) AS last FROM unnest(${sequences}::text[]) WITH ORDINALITY AS s (name, n) ORDER BY s.n`,
  );
  return new Map(
    counters.flatMap(({ table }, index) => {
      const last = rows[index]?.last;
      return typeof last === "bigint" ? [[table.name, last] as const] : [];
    }),
  );
}

/** Has SQLite's AUTOINCREMENT go on behind these numbers. It never goes back. */
export async function advanceSqlite(sqlite: Transaction, given: GivenNumbers): Promise<void> {
  if (given.size === 0 || !(await hasCounters(sqlite))) return;
  const there = await givenBySqlite(sqlite);
  for (const [table, last] of given) {
    const known = there.get(table);
    if (known === undefined)
      await sqlite.execute(sql`INSERT INTO sqlite_sequence (name, seq)
        SELECT name, ${last} FROM sqlite_master WHERE type = 'table' AND name = ${table} AND sql LIKE '%AUTOINCREMENT%'`);
    else if (known < last) await sqlite.execute(sql`UPDATE sqlite_sequence SET seq = ${last} WHERE name = ${table}`);
  }
}

/** Whether a counter is of the one column that SQLite's own may be of, the key. */
function countsRows({ table, column }: Counter): boolean {
  const [key, ...others] = table.key;
  return key !== undefined && others.length === 0 && nameOn("postgres", columnOf(table, key)) === column;
}
