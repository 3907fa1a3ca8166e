import { randomUUID } from "node:crypto";
import sql, { raw } from "sql-template-tag";
import {
  discoverPostgres,
  discoverSqlite,
  type Pairing,
  pairTables,
  surveyPairing,
} from "../data/catalogue/discover.js";
import type { Finding } from "../data/finding.js";
import { keyExpression, legible, whyOnlyInSqlite } from "../data/key.js";
import { rowsOf } from "../data/rows/rows.js";
import { nameOn, quotedOn, type Table } from "../data/table.js";
import type { Engine, Side, Transaction } from "../engines/engine.js";
import { DualDbError } from "../errors.js";
import { finalized } from "./disarm.js";
import { Journal } from "./journal.js";
import { overtaken } from "./mirror.js";
import { enterRows, lostTables, restoreTables } from "./restore.js";
import {
  assertSameCatalogues,
  bumpCas,
  type Catalogues,
  cataloguesOf,
  lockPostgresState,
  type PairState,
  readSqliteState,
} from "./state.js";
import { postgresTriggers, sqliteTriggers } from "./triggers.js";

/** Both databases belong together, every table they share has its triggers, and every row from before is owed. */
export interface Armed {
  readonly pairing: Pairing;
  /** Both catalogues when the tables were looked at. */
  readonly catalogues: Catalogues;
  /** Tables that were armed now; empty when everything was in place. */
  readonly armed: readonly string[];
  /** Tables that have to be armed again, but not while a flip is under way. */
  readonly unarmed: readonly string[];
  /** Rows that SQLite keeps while PostgreSQL is primary: with such a key PostgreSQL cannot even be told to have none. */
  readonly refused: readonly Finding[];
}

/** Entering the keys of a large table takes its time; waiting for a lock would hold up everybody who writes to the table. */
const longestMs = 600_000;
const lockSeconds = 5;

/**
 * Makes a pair of two databases, once: triggers on every shared table, and every existing key of both sides in the primary's journal, so
 * that rows from before are simply owed. A table whose triggers are not all there is armed again; where our own tables were dropped they
 * are made anew, and everything is.
 * @throws PAIR_MISMATCH when one of them belongs to another database.
 * @throws SCHEMA_MISSING when one side lacks a column that the other has.
 */
export async function arm(sqlite: Engine, postgres: Engine, clock: () => number): Promise<Armed> {
  return postgres.transaction({ mode: "write", timeoutMs: longestMs }, async (transaction) => {
    await transaction.script(`SET LOCAL lock_timeout = '${lockSeconds}s'`);
    const gone = await lostTables(transaction, "postgres");
    const state = await lockPostgresState(transaction);
    const schema = await currentSchema(transaction);
    const found = await sqlite.transaction({ mode: "read" }, async (reader) => ({
      lost: await lostTables(reader, "sqlite"),
      state: await readSqliteState(reader),
      tables: await discoverSqlite(reader),
      triggers: await sqliteTriggerNames(reader),
    }));
    const lost: Lost = { sqlite: found.lost, postgres: gone };
    const states = { sqlite: found.state, postgres: state };
    assertPartners(states);
    const paired = pairTables(found.tables, await discoverPostgres(transaction));
    const pairing = await sqlite.transaction({ mode: "read" }, (reader) => surveyPairing(reader, paired));
    assertComplete(pairing);
    assertNoneGone(pairing, found.triggers);
    const there = await postgresTriggerNames(transaction);
    const isLost = lost.sqlite.length + lost.postgres.length > 0;
    const isNew = state.pairId === null || found.state.pairId === null || isLost;
    const tables = pairing.tables.filter((table) => isNew || !isArmed(schema, table, found.triggers, there));
    const names = tables.map(({ name }) => name);
    const catalogues = cataloguesOf(states);
    if (!isNew && !isSettled(states)) return { pairing, catalogues, armed: [], unarmed: names, refused: [] };
    if (tables.length === 0 && !isNew) return { pairing, catalogues, armed: [], unarmed: [], refused: [] };
    const armed = await new Arming(sqlite, transaction, schema, clock).run(tables, states, lost);
    return {
      pairing,
      catalogues: { ...catalogues, sqlite: armed.catalogue },
      armed: names,
      unarmed: [],
      refused: armed.refused,
    };
  });
}

/** What somebody has dropped of our own tables, per side. */
type Lost = Readonly<Record<Side, readonly string[]>>;

class Arming {
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
  async run(
    tables: readonly Table[],
    states: PairState,
    lost: Lost,
  ): Promise<{ readonly refused: readonly Finding[]; readonly catalogue: string }> {
    const pairId = states.sqlite.pairId ?? states.postgres.pairId ?? randomUUID();
    await restoreTables(this.#postgres, "postgres", lost.postgres);
    for (const table of tables) {
      for (const statement of postgresTriggers(this.#schema, table).create) await this.#postgres.script(statement);
    }
    await this.#postgres.execute(sql`UPDATE dualdb_state SET pair_id = ${pairId} WHERE id = 1`);
    const primary = truthOf(states);
    // After a forced roll-back what only PostgreSQL has is still to come in, and must not be taken for gone.
    const others = primary === "postgres" || states.sqlite.forced ? new Map() : await this.#postgresKeys(tables);
    const keys = await this.#sqlite.transaction({ mode: "write" }, async (transaction) => {
      assertSameCatalogues(cataloguesOf(states), { sqlite: (await readSqliteState(transaction)).catalogue });
      if (!(await bumpCas(transaction, states.sqlite.cas))) throw overtaken();
      await restoreTables(transaction, "sqlite", lost.sqlite);
      await this.#armSqlite(transaction, tables, primary, pairId, others);
      const found = primary === "postgres" ? await this.#sqliteKeys(transaction, tables) : noKeys;
      return { ...found, catalogue: (await readSqliteState(transaction)).catalogue };
    });
    if (primary === "postgres") await this.#enterPostgres(tables, keys.owed);
    return keys;
  }

  async #armSqlite(
    transaction: Transaction,
    tables: readonly Table[],
    primary: Side,
    pairId: string,
    others: ReadonlyMap<string, readonly string[]>,
  ): Promise<void> {
    for (const table of tables) {
      const { drop, create } = sqliteTriggers(table);
      for (const statement of [...drop, ...create]) await transaction.execute(sql`${raw(statement)}`);
      if (primary === "sqlite") await this.#enterSqlite(transaction, table, others.get(table.name) ?? []);
    }
    await transaction.execute(sql`UPDATE dualdb_state SET pair_id = ${pairId} WHERE id = 1`);
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

async function currentSchema(transaction: Transaction): Promise<string> {
  const [row] = await transaction.query(sql`SELECT current_schema() AS schema`);
  return String(row?.schema);
}

async function sqliteTriggerNames(transaction: Transaction): Promise<Set<string>> {
  const rows = await transaction.query(sql`SELECT name FROM sqlite_master WHERE type = 'trigger'`);
  return new Set(rows.map(({ name }) => String(name)));
}

/** Names as `table.trigger`; a trigger that somebody disabled does not count. */
async function postgresTriggerNames(transaction: Transaction): Promise<Set<string>> {
  const rows =
    await transaction.query(sql`SELECT c.relname || '.' || t.tgname AS name FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
    WHERE c.relnamespace = current_schema()::regnamespace AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A')`);
  return new Set(rows.map(({ name }) => String(name)));
}

function isArmed(schema: string, table: Table, sqlite: ReadonlySet<string>, postgres: ReadonlySet<string>): boolean {
  const here = sqliteTriggers(table).names.every((name) => sqlite.has(name));
  return (
    here && postgresTriggers(schema, table).names.every((name) => postgres.has(`${nameOn("postgres", table)}.${name}`))
  );
}

/** The side whose rows count: half-way through a flip it is the one that has been left, and has yet to be carried over. */
function truthOf({ sqlite, postgres }: PairState): Side {
  if (sqlite.primary === "sqlite") return "sqlite";
  return postgres.primary === "postgres" || postgres.wanted === "sqlite" ? "postgres" : "sqlite";
}

/** Half-way through a flip, rows that one side has not got yet would be taken for its present ones. */
function isSettled({ sqlite, postgres }: PairState): boolean {
  return sqlite.primary === postgres.primary && !sqlite.forced;
}

function assertPartners({ sqlite, postgres }: PairState): void {
  if (postgres.finalized) throw finalized();
  const strangers = postgres.pairId !== null && sqlite.pairId !== postgres.pairId;
  const lost = postgres.pairId === null && sqlite.pairId !== null && sqlite.primary === "postgres";
  if (strangers || lost) throw pairMismatch(lost);
}

export function pairMismatch(lost = false): DualDbError {
  const message = lost
    ? "The SQLite database says that PostgreSQL is primary, but this PostgreSQL database has never been its partner. Point DATABASE_URL to the right one."
    : "This PostgreSQL database is the partner of another SQLite database. Check SQLITE_DB_PATH or TURSO_DATABASE_URL, and DATABASE_URL.";
  return new DualDbError("PAIR_MISMATCH", message);
}

/** A table of SQLite that has our triggers was on both sides once. */
function assertNoneGone({ unmirrored }: Pairing, triggers: ReadonlySet<string>): void {
  const gone = unmirrored.find(({ table }) => triggers.has(`dualdb_${table}_insert`));
  if (gone === undefined) return;
  throw new DualDbError(
    "SCHEMA_MISSING",
    `The table ${gone.table} was mirrored, and cannot be any more: ${gone.reason}. Create it there as it was, or drop SQLite's triggers dualdb_${gone.table}_* to leave it out.`,
    { table: gone.table },
  );
}

function assertComplete({ missing }: Pairing): void {
  const [first] = missing;
  if (first === undefined) return;
  const side = first.side === "postgres" ? "PostgreSQL" : "SQLite";
  throw new DualDbError(
    "SCHEMA_MISSING",
    `${side} has no column ${first.column} in table ${first.table}, which the other side has. Add it, or run "dualdb migrate".`,
    { side: first.side, table: first.table, column: first.column, details: { missing } },
  );
}
