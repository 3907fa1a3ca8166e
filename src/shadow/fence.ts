import sql, { join, type Sql } from "sql-template-tag";
import type { Engine } from "../engines/engine.js";

/** What a read is going to look at: one row (its key as the journal spells it) of one table, some tables, or (neither) anything. */
export interface Scope {
  readonly tables?: readonly string[];
  readonly key?: string;
}

/** `clear`: PostgreSQL has every acknowledged write of the scope. `owed`: it lacks some. `elsewhere`: SQLite is not primary any more. */
export type Look = "clear" | "owed" | "elsewhere";

/** Keeps a PostgreSQL read from missing a write that has not been mirrored yet: look here first, then read. */
export class Fence {
  readonly #sqlite: Engine;

  constructor(sqlite: Engine) {
    this.#sqlite = sqlite;
  }

  /**
   * One statement on SQLite, kept prepared, since it stands before every read. After a forced roll-back, and before the databases are
   * a pair, everything counts as owed.
   */
  async look(scope: Scope): Promise<Look> {
    const [row] = await this.#sqlite.read(
      sql`SELECT CASE
      WHEN "primary" <> 'sqlite' THEN 'elsewhere'
      WHEN forced = 0 AND pair_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM dualdb_journal ${entriesOf(scope)}) THEN 'clear'
      ELSE 'owed' END AS look FROM dualdb_state WHERE id = 1`,
      { kept: true },
    );
    return row === undefined ? "elsewhere" : (row.look as Look);
  }
}

function entriesOf({ tables, key }: Scope): Sql {
  if (tables === undefined) return sql``;
  const named = sql`WHERE table_name IN (${join(tables)})`;
  return key === undefined ? named : sql`${named} AND row_key = ${key}`;
}
