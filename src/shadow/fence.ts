import sql, { join, type Sql } from "sql-template-tag";
import type { Engine } from "../engines/engine.js";
import { quarantineAfter } from "./journal.js";
import type { Engaged } from "./partner.js";

/** What a read is about: one row, some tables, or (neither) whatever its text names. */
export interface Scope {
  readonly tables?: readonly string[];
  readonly key?: string;
  /** The statement's text, where nobody knows its tables. */
  readonly text?: string;
}

/**
 * `clear`: PostgreSQL has every acknowledged write of the scope. `owed`: it lacks some. `refused`: it lacks some that it does not take.
 * `unknown`: nobody can tell, since the tables have changed or are not mirrored. `elsewhere`: SQLite is not primary any more.
 */
export type Look = "clear" | "owed" | "refused" | "unknown" | "elsewhere";

/** Keeps a PostgreSQL read from missing a write that has not been mirrored yet: look here first, then read. */
export class Fence {
  readonly #sqlite: Engine;
  readonly #engaged: () => Engaged | null;

  constructor(sqlite: Engine, engaged: () => Engaged | null) {
    this.#sqlite = sqlite;
    this.#engaged = engaged;
  }

  /**
   * One statement on SQLite, kept prepared, since it stands before every read. After a forced roll-back, and before the databases are a
   * pair, everything counts as owed. After a change of the schema there may be no triggers until somebody has looked.
   */
  async look(scope: Scope): Promise<Look> {
    const entries = entriesOf(scope);
    const [row] = await this.#sqlite.read(
      sql`SELECT CASE
      WHEN "primary" <> 'sqlite' THEN 'elsewhere'
      WHEN forced <> 0 OR pair_id IS NULL THEN 'owed'
      WHEN NOT EXISTS (SELECT 1 FROM dualdb_journal WHERE ${entries}) THEN 'clear'
      WHEN NOT EXISTS (SELECT 1 FROM dualdb_journal WHERE ${entries} AND attempts < ${quarantineAfter}) THEN 'refused'
      ELSE 'owed' END AS look, (SELECT schema_version FROM pragma_schema_version) AS catalogue FROM dualdb_state WHERE id = 1`,
      { kept: true },
    );
    const look = row === undefined ? "elsewhere" : (row.look as Look);
    return look === "clear" && !this.#knows(String(row?.catalogue), scope) ? "unknown" : look;
  }

  /** Whether everything that the read is about is mirrored, as far as the last look at both databases goes. */
  #knows(catalogue: string, { text }: Scope): boolean {
    const engaged = this.#engaged();
    if (engaged === null || engaged.pair.catalogues.sqlite !== catalogue) return false;
    return text === undefined || !engaged.pairing.unmirrored.some(({ table }) => names(text, table));
  }
}

/** Whether a statement may be about a table: its name stands there as a word. */
function names(text: string, table: string): boolean {
  const name = table.replace(/[\^$\\.*+?()[\]{}|/]/g, "\\$&");
  return new RegExp(`(?<![\\p{L}\\p{N}_])${name}(?![\\p{L}\\p{N}_])`, "iu").test(text);
}

function entriesOf({ tables, key }: Scope): Sql {
  if (tables === undefined) return sql`TRUE`;
  const named = sql`table_name IN (${join(tables)})`;
  return key === undefined ? named : sql`${named} AND row_key = ${key}`;
}
