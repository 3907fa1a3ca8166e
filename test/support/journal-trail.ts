import type { Side } from "../../src/engines/engine.js";
import { script } from "./libsql.js";
import type { TestPair } from "./pair.js";
import { runAt } from "./postgres.js";

/** The keys that have been entered in each side's journal: rows that somebody has written there, and not the mirror. */
export interface JournalTrail {
  /** The sides on which each row of a table was written. */
  sidesOf(table: string): Promise<ReadonlyMap<string, ReadonlySet<Side>>>;
}

/** Has both journals tell of every entry, also of one that is taken off again. SQLite's tables are there already. */
export async function watchJournals(pair: TestPair): Promise<JournalTrail> {
  const note = (when: string) => `CREATE TRIGGER note_${when.split(" ")[0]} AFTER ${when} ON dualdb_journal BEGIN
    INSERT INTO noted (table_name, row_key) VALUES (NEW.table_name, NEW.row_key); END`;
  const table = "(table_name TEXT NOT NULL, row_key TEXT NOT NULL)";
  await script(await pair.sqlite, `CREATE TABLE noted ${table}; ${note("INSERT")}; ${note("UPDATE OF version")}`);
  await runAt(
    pair.url,
    `CREATE SCHEMA noted; CREATE TABLE noted.entries ${table};
    CREATE FUNCTION noted.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      INSERT INTO noted.entries VALUES (NEW.table_name, NEW.row_key); RETURN NULL; END $$;
    CREATE TRIGGER note AFTER INSERT OR UPDATE OF version ON dualdb_journal FOR EACH ROW EXECUTE FUNCTION noted.note()`,
  );
  return { sidesOf: (name) => sidesOf(pair, name) };
}

async function sidesOf(pair: TestPair, table: string): Promise<Map<string, Set<Side>>> {
  const found = new Map<string, Set<Side>>();
  for (const [side, from] of [
    ["sqlite", "noted"],
    ["postgres", "noted.entries"],
  ] as const)
    for (const { row_key } of await pair.rows(side, `SELECT row_key FROM ${from} WHERE table_name = '${table}'`)) {
      const sides = found.get(String(row_key)) ?? new Set<Side>();
      found.set(String(row_key), sides.add(side));
    }
  return found;
}
