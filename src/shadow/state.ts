import sql from "sql-template-tag";
import { ownSchema } from "../data/catalogue/own-schema.js";
import { type Engine, type ExactRow, type Side, statement, type Transaction } from "../engines/engine.js";
import { DualDbError } from "../errors.js";

/** The state row of the SQLite side. `forced`: rolled back while PostgreSQL could not be reached, which still has to be brought in. */
export interface SqliteState {
  readonly primary: Side;
  readonly forced: boolean;
  /** Changes with every step and every mirrored batch: who read an older one has been overtaken. */
  readonly cas: bigint;
  readonly pairId: string | null;
  /** PostgreSQL goes on alone, for good. */
  readonly finalized: boolean;
  readonly changedAt: number | null;
  /** Changes with every change of SQLite's schema. */
  readonly catalogue: string;
}

/** The state row of the PostgreSQL side. */
export interface PostgresState {
  readonly primary: Side;
  /** Where the last flip was heading. */
  readonly wanted: Side;
  readonly pairId: string | null;
  readonly finalized: boolean;
  readonly changedAt: number | null;
  /** Changes with every table and every column that is added to PostgreSQL's schema. */
  readonly catalogue: string;
}

/** What both sides say. */
export interface PairState {
  readonly sqlite: SqliteState;
  readonly postgres: PostgresState;
}

/** What both catalogues were when somebody looked at the tables. */
export type Catalogues = Readonly<Record<"sqlite" | "postgres", string>>;

/** A flip that has not moved for so many milliseconds has lost its process. */
export const abandonedMs = 5_000;

/** Half-way through a flip: neither side takes writes. */
export function isHalfway({ sqlite, postgres }: PairState): boolean {
  return sqlite.primary === "postgres" && postgres.primary === "sqlite";
}

/** No change of the primary is under way, and none has left anything to bring in: both sides say which one is primary. */
export function isSettled({ sqlite, postgres }: PairState): boolean {
  return sqlite.primary === postgres.primary && !sqlite.forced;
}

/** Tells one move of the pair from the next. */
export function moveOf({ sqlite, postgres }: PairState): string {
  return [sqlite.primary, sqlite.changedAt, postgres.primary, postgres.wanted, postgres.changedAt].join("/");
}

/** The side whose rows count: half-way through a flip it is the one that has been left, and has yet to be carried over. */
export function sourceOfTruth({ sqlite, postgres }: PairState): Side {
  if (sqlite.primary === "sqlite") return "sqlite";
  return postgres.primary === "postgres" || postgres.wanted === "sqlite" ? "postgres" : "sqlite";
}

const sqliteColumns = `"primary", forced, cas, pair_id, finalized, changed_at,
  (SELECT schema_version FROM pragma_schema_version) AS catalogue`;
const postgresColumns = `"primary", wanted, pair_id, finalized, changed_at`;
/** A column that is dropped still counts in relnatts, so that the sum never comes back to what it was. */
const postgresCatalogue = `(SELECT concat(count(*), '/', sum(relnatts)) FROM pg_class
  WHERE relnamespace = ${ownSchema} AND relkind IN ('r', 'p')) AS catalogue`;

export async function readSqliteState(transaction: Transaction): Promise<SqliteState> {
  const text = `SELECT ${sqliteColumns} FROM dualdb_state WHERE id = 1`;
  const row = only(await transaction.query(statement(text)), "sqlite");
  return {
    primary: sideOf(row.primary),
    forced: row.forced === 1n,
    cas: BigInt(row.cas as bigint),
    pairId: textOf(row.pair_id),
    finalized: row.finalized === 1n,
    changedAt: numberOf(row.changed_at),
    catalogue: String(row.catalogue),
  };
}

export async function readPostgresState(transaction: Transaction): Promise<PostgresState> {
  const text = `SELECT ${postgresColumns}, ${postgresCatalogue} FROM dualdb_state WHERE id = 1`;
  return postgresState(only(await transaction.query(statement(text)), "postgres"));
}

const lockText = `SELECT set_config('dualdb.mirror', 'on', true), s.*, ${postgresCatalogue}
    FROM (SELECT ${postgresColumns} FROM dualdb_state WHERE id = 1 FOR NO KEY UPDATE) AS s`;
const lock = statement(lockText);

/**
 * Locks the one row that orders every mirror pass and every step of every process, until the transaction ends, and tells the triggers
 * that its writes are the mirror's. A row lock and a transaction-local setting work behind PgBouncer too.
 */
export async function lockPostgresState(transaction: Transaction): Promise<PostgresState> {
  return postgresState(only(await transaction.query(lock), "postgres"));
}

/** A transaction of PostgreSQL that takes this lock in the round trip in which it begins. */
export function holdingLock<T>(
  postgres: Engine,
  timeoutMs: number,
  work: (transaction: Transaction, state: PostgresState) => Promise<T>,
): Promise<T> {
  return postgres.transaction({ mode: "write", timeoutMs, first: lock }, (transaction, rows) =>
    work(transaction, postgresState(only(rows, "postgres"))),
  );
}

/**
 * Whoever carries rows knows their tables from a look at both catalogues.
 * @throws SCHEMA_CHANGED where one of them is another by now: what was added since would be left behind.
 */
export function assertSameCatalogues(known: Catalogues, found: Partial<Catalogues>): void {
  for (const side of ["sqlite", "postgres"] as const) {
    if (found[side] === undefined || found[side] === known[side]) continue;
    const name = side === "sqlite" ? "SQLite" : "PostgreSQL";
    throw new DualDbError(
      "SCHEMA_CHANGED",
      `The schema of ${name} has changed since it was looked at: run the same again.`,
      { side },
    );
  }
}

/** The catalogues as these states have them. */
export function cataloguesOf({ sqlite, postgres }: PairState): Catalogues {
  return { sqlite: sqlite.catalogue, postgres: postgres.catalogue };
}

/** PostgreSQL's catalogue now, in a transaction that may have begun long ago. */
export async function postgresCatalogueNow(transaction: Transaction): Promise<string> {
  const [row] = await transaction.query(statement(`SELECT ${postgresCatalogue}`));
  return String(row?.catalogue);
}

export function stateOf(engine: Engine): Promise<SqliteState> {
  return engine.transaction({ mode: "read" }, readSqliteState);
}

export interface SqliteChange {
  readonly primary: Side;
  readonly forced: boolean;
}

/** Moves SQLite's state if nobody has moved it since `from` was read. Tells whether it did. */
export async function moveSqliteState(
  transaction: Transaction,
  from: SqliteState,
  to: SqliteChange,
  now: number,
): Promise<boolean> {
  const forced = to.forced ? 1 : 0;
  const changed =
    await transaction.execute(sql`UPDATE dualdb_state SET "primary" = ${to.primary}, forced = ${forced}, cas = cas + 1,
    changed_at = ${now} WHERE id = 1 AND cas = ${from.cas} AND "primary" = ${from.primary} AND forced = ${from.forced ? 1 : 0}`);
  return changed === 1;
}

/** Overtakes every pass that has read an older `cas`. Tells whether this one had not been overtaken itself. */
export async function bumpCas(transaction: Transaction, cas: bigint): Promise<boolean> {
  return (await transaction.execute(sql`UPDATE dualdb_state SET cas = cas + 1 WHERE id = 1 AND cas = ${cas}`)) === 1;
}

export async function movePostgresState(
  transaction: Transaction,
  primary: Side,
  wanted: Side,
  now: number,
): Promise<void> {
  await transaction.execute(
    sql`UPDATE dualdb_state SET "primary" = ${primary}, wanted = ${wanted}, changed_at = ${now} WHERE id = 1`,
  );
}

function only(rows: readonly ExactRow[], side: Side): ExactRow {
  const [row] = rows;
  if (row !== undefined) return row;
  throw new DualDbError(
    "SCHEMA_MISSING",
    `The table dualdb_state of the ${side} database is empty: run "dualdb migrate", which mends it.`,
    {
      side,
      table: "dualdb_state",
    },
  );
}

function postgresState(row: ExactRow): PostgresState {
  return {
    primary: sideOf(row.primary),
    wanted: sideOf(row.wanted),
    pairId: textOf(row.pair_id),
    finalized: row.finalized === true,
    changedAt: numberOf(row.changed_at),
    catalogue: String(row.catalogue),
  };
}

function sideOf(value: unknown): Side {
  return value === "postgres" ? "postgres" : "sqlite";
}

function textOf(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

function numberOf(value: unknown): number | null {
  return value === null || value === undefined ? null : Number(value);
}
