import { randomUUID } from "node:crypto";
import sql, { raw } from "sql-template-tag";
import type { TablePair } from "../data/catalogue/discover.js";
import type { Finding } from "../data/finding.js";
import { keyExpression, legible, whyOnlyInSqlite } from "../data/key.js";
import { rowsOf } from "../data/rows/rows.js";
import { quotedOn, type Table } from "../data/table.js";
import type { Engine, Side, Transaction } from "../engines/engine.js";
import { Journal } from "./journal.js";
import { overtaken } from "./mirror.js";
import { enterRows, restoreTables } from "./restore.js";
import {
  assertSameCatalogues,
  bumpCas,
  cataloguesOf,
  type PairState,
  readSqliteState,
  sourceOfTruth,
} from "./state.js";
import { postgresTriggers, sqliteTriggers } from "./triggers.js";

/** What somebody has dropped of our own tables, per side. */
export type Lost = Readonly<Record<Side, readonly string[]>>;

/** What arming leaves behind. */
export interface ArmedRows {
  /** Rows that SQLite keeps while PostgreSQL is primary: with such a key PostgreSQL cannot even be told to have none. */
  readonly refused: readonly Finding[];
  /** SQLite's catalogue, with the triggers. */
  readonly catalogue: string;
}

/** Creates the triggers of both sides and enters every existing key, in the transaction of PostgreSQL that holds the lock. */
export class Arming {
  readonly #sqlite: Engine;
  readonly #postgres: Transaction;
  readonly #schema: string;
  readonly #clock: () => number;
  readonly #journals = { sqlite: new Journal("sqlite"), postgres: new Journal("postgres") };

  constructor(sqlite: Engine, postgres: Transaction, schema: string, clock: () => number) {
    this.#sqlite = sqlite;
    this.#postgres = postgres;
    this.#schema = schema;
    this.#clock = clock;
  }

  /** SQLite commits first: a crash in between leaves a pair that is armed again, never a PostgreSQL with a partner that knows nothing. */
  async run(pairs: readonly TablePair[], states: PairState, lost: Lost): Promise<ArmedRows> {
    const pairId = states.sqlite.pairId ?? states.postgres.pairId ?? randomUUID();
    const tables = pairs.map(({ table }) => table).filter(({ key }) => key.length > 0);
    await restoreTables(this.#postgres, "postgres", lost.postgres);
    for (const pair of pairs) {
      for (const statement of postgresTriggers(this.#schema, pair).create) await this.#postgres.script(statement);
    }
    await this.#postgres.execute(sql`UPDATE dualdb_state SET pair_id = ${pairId} WHERE id = 1`);
    const primary = sourceOfTruth(states);
    // After a forced roll-back what only PostgreSQL has is still to come in, and must not be taken for gone.
    const others = primary === "postgres" || states.sqlite.forced ? new Map() : await this.#postgresKeys(tables);
    const keys = await this.#sqlite.transaction({ mode: "write" }, async (transaction) => {
      assertSameCatalogues(cataloguesOf(states), { sqlite: (await readSqliteState(transaction)).catalogue });
      if (!(await bumpCas(transaction, states.sqlite.cas))) throw overtaken();
      await restoreTables(transaction, "sqlite", lost.sqlite);
      await this.#createTriggers(transaction, pairs);
      if (primary === "sqlite")
        for (const table of tables) await this.#enterSqlite(transaction, table, others.get(table.name) ?? []);
      await transaction.execute(sql`UPDATE dualdb_state SET pair_id = ${pairId} WHERE id = 1`);
      const found = primary === "postgres" ? await this.#sqliteKeys(transaction, tables) : noKeys;
      return { ...found, catalogue: (await readSqliteState(transaction)).catalogue };
    });
    if (primary === "postgres") await this.#enterPostgres(tables, keys.owed);
    return keys;
  }

  async #createTriggers(transaction: Transaction, pairs: readonly TablePair[]): Promise<void> {
    for (const pair of pairs) {
      const { drop, create } = sqliteTriggers(pair);
      for (const statement of [...drop, ...create]) await transaction.execute(sql`${raw(statement)}`);
    }
  }

  async #enterSqlite(transaction: Transaction, table: Table, others: readonly string[]): Promise<void> {
    await this.#journals.sqlite.enter(transaction, table.name, others, this.#clock());
    await enterRows(transaction, table, this.#clock());
  }

  async #postgresKeys(tables: readonly Table[]): Promise<Map<string, string[]>> {
    const keys = new Map<string, string[]>();
    for (const table of tables)
      keys.set(table.name, (await collect(rowsOf("postgres").keys(this.#postgres, table))).filter(isText));
    return keys;
  }

  /**
   * Every key of SQLite, for PostgreSQL's journal. That cannot hold the keys of rows which PostgreSQL cannot have: those rows stay, in
   * the quarantine that they are in when SQLite is primary, where whoever looks finds them.
   */
  async #sqliteKeys(transaction: Transaction, tables: readonly Table[]): Promise<SqliteKeys> {
    const owed = new Map<string, string[]>();
    const refused: Finding[] = [];
    for (const table of tables) {
      const keys = await collect(rowsOf("sqlite").keys(transaction, table));
      owed.set(
        table.name,
        keys.filter(isText).filter((key) => whyOnlyInSqlite(table, key) === null),
      );
      for (const key of keys) {
        const reason = whyOnlyInSqlite(table, key);
        if (reason === null) continue;
        await this.#journals.sqlite.quarantine(transaction, { table: table.name, key, reason }, this.#clock());
        refused.push({ table: table.name, key: legible(key), column: "", reason, action: "refused" });
      }
    }
    return { owed, refused };
  }

  async #enterPostgres(tables: readonly Table[], others: SqliteKeys["owed"]): Promise<void> {
    for (const table of tables) {
      const key = keyExpression("postgres", table, "t");
      await this.#postgres.execute(sql`INSERT INTO dualdb_journal (table_name, row_key, version, touched_at)
        SELECT ${table.name}::text, ${raw(key)}, nextval('dualdb_version'), ${this.#clock()}::bigint FROM ${raw(quotedOn("postgres", table))} AS t
        ON CONFLICT (table_name, row_key) DO UPDATE SET version = excluded.version, attempts = 0, last_error = NULL`);
      await this.#journals.postgres.enter(this.#postgres, table.name, others.get(table.name) ?? [], this.#clock());
    }
  }
}

/** Keys of SQLite's rows, by table, and the rows that PostgreSQL cannot have. */
interface SqliteKeys {
  readonly owed: ReadonlyMap<string, readonly string[]>;
  readonly refused: readonly Finding[];
}

const noKeys: SqliteKeys = { owed: new Map(), refused: [] };

async function collect(pages: AsyncIterable<readonly (string | Uint8Array)[]>): Promise<(string | Uint8Array)[]> {
  const keys: (string | Uint8Array)[] = [];
  for await (const page of pages) for (const key of page) keys.push(key);
  return keys;
}

function isText(key: string | Uint8Array): key is string {
  return typeof key === "string";
}
