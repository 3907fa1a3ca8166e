import type { TablePair } from "../../data/catalogue/discover.js";
import { nameOn, quote, quotedOn } from "../../data/table.js";
import { statement, type Transaction } from "../../engines/engine.js";

/** A counter of PostgreSQL that will give a number which is taken: the next INSERT that relies on it fails. */
export interface BehindSequence {
  readonly table: string;
  readonly column: string;
  /** What it has given last; null where it has given none. Both as digits, since they may be beyond 2^53. */
  readonly last: string | null;
  readonly highest: string;
}

/** The identities and serial columns of these tables whose counters are behind their highest value. */
export async function behindSequences(postgres: Transaction, pairs: readonly TablePair[]): Promise<BehindSequence[]> {
  const behind: BehindSequence[] = [];
  for (const { table, postgres: discovered } of pairs) {
    for (const column of discovered.columns.filter(({ identity }) => identity)) {
      const known =
        table.columns.find((candidate) => nameOn("postgres", candidate) === column.name)?.name ?? column.name;
      const found = await look(postgres, discovered.name, column.name);
      if (found !== null) behind.push({ table: table.name, column: known, ...found });
    }
  }
  return behind;
}

/** null where the column's counter is ahead, counts down, or is not known to belong to it. */
async function look(
  postgres: Transaction,
  table: string,
  column: string,
): Promise<Pick<BehindSequence, "last" | "highest"> | null> {
  const highest = `(SELECT max(${quote(column)}) FROM ${quotedOn("postgres", { name: table })})`;
  const text = `SELECT s.last::text AS last, s.highest::text AS highest FROM (
      SELECT pg_sequence_last_value(q.seqrelid) AS last, q.seqstart AS first, q.seqincrement AS increment, ${highest} AS highest
      FROM pg_sequence AS q WHERE q.seqrelid = pg_get_serial_sequence($1, $2)::regclass) AS s
    WHERE s.increment > 0 AND COALESCE(s.last, s.first - s.increment) < s.highest`;
  const [row] = await postgres.query(statement(text, [quote(table), column]));
  if (row === undefined) return null;
  return { last: row.last === null ? null : String(row.last), highest: String(row.highest) };
}
