import { quote, quotedOn, type Table } from "../../data/table.js";
import { statement, type Transaction } from "../../engines/engine.js";
import { type Counter, columnCounted, countersOf } from "../../shadow/counters.js";

/** A counter of PostgreSQL that will give a number which is taken: the next INSERT that relies on it fails. */
export interface BehindSequence {
  readonly table: string;
  readonly column: string;
  readonly sequence: string;
  /** What it has given last; null where it has given none, or may not be asked. Both as digits, since they may be beyond 2^53. */
  readonly last: string | null;
  readonly highest: string;
  /** Whether this user may ask it: where not, nobody can tell whether it is behind. */
  readonly readable: boolean;
}

/** The counters of these tables that are behind the highest value of their columns, or may be. */
export async function behindSequences(postgres: Transaction, tables: readonly Table[]): Promise<BehindSequence[]> {
  const behind: BehindSequence[] = [];
  for (const counter of await countersOf(postgres, tables)) {
    const found = await look(postgres, counter);
    if (found !== null) behind.push(found);
  }
  return behind;
}

/** null where the counter is ahead, or the column has no value. */
async function look(postgres: Transaction, counter: Counter): Promise<BehindSequence | null> {
  const { table, sequence, column, readable } = counter;
  const last = readable ? "pg_sequence_last_value(q.seqrelid)" : "NULL::bigint";
  const highest = `(SELECT max(${quote(column)}) FROM ${quotedOn("postgres", table)})`;
  const text = `SELECT s.last::text AS last, s.highest::text AS highest FROM (
      SELECT ${last} AS last, q.seqstart AS first, q.seqincrement AS increment, ${highest} AS highest
      FROM pg_sequence AS q WHERE q.seqrelid = $1::text::regclass) AS s
    WHERE COALESCE(s.last, s.first - s.increment) < s.highest`;
  const [row] = await postgres.query(statement(text, [sequence]));
  if (row === undefined) return null;
  return {
    table: table.name,
    column: columnCounted(counter),
    sequence,
    last: row.last === null ? null : String(row.last),
    highest: String(row.highest),
    readable,
  };
}
