import sql, { raw } from "sql-template-tag";
import {
  assertEpochs,
  discoverPostgres,
  discoverSqlite,
  type EpochChoices,
  type Pairing,
  pairTables,
  surveyPairing,
  type TablePair,
  uncarriedTables,
} from "../data/catalogue/discover.js";
import { ownSchema } from "../data/catalogue/own-schema.js";
import type { Finding } from "../data/finding.js";
import { quotedOn } from "../data/table.js";
import { type Engine, type Side, statement, type Transaction } from "../engines/engine.js";
import { DualDbError } from "../errors.js";
import { Arming, type Lost } from "./arming.js";
import { finalized } from "./disarm.js";
import { mismatchOf } from "./mismatch.js";
import { lostTables } from "./restore.js";
import {
  type Catalogues,
  cataloguesOf,
  isSettled,
  lockPostgresState,
  type PairState,
  readSqliteState,
  sourceOfTruth,
} from "./state.js";
import { isJournaling, postgresTriggers, sqliteTriggers, triggerName } from "./triggers.js";

/** Both databases belong together, every table they share has its triggers, and every row from before is owed. */
export interface Armed {
  readonly pairing: Pairing;
  /** Both catalogues when the tables were looked at. */
  readonly catalogues: Catalogues;
  /** Tables that were armed now; empty when everything was in place. */
  readonly armed: readonly string[];
  /** Tables that have to be armed again, but not while a flip is under way. */
  readonly unarmed: readonly string[];
  /** Tables that are left out, and unmirrored in `pairing`, until somebody has said which side's rows count. */
  readonly undecided: readonly string[];
  /** Rows that SQLite keeps while PostgreSQL is primary: with such a key PostgreSQL cannot even be told to have none. */
  readonly refused: readonly Finding[];
}

/** Entering the keys of a large table takes its time; waiting for a lock would hold up everybody who writes to the table. */
const longestMs = 600_000;
const lockSeconds = 5;

/**
 * Makes a pair of two databases, once: triggers on every shared table, and every existing key of both sides in the primary's journal, so
 * that rows from before are simply owed. A table whose triggers are not those of this version is armed again; where our own tables were
 * dropped they are made anew, and everything is. `epochs`: what is known of SQLite's numbers for times beside what its rows tell.
 * @throws PAIR_MISMATCH when one of them belongs to another database.
 * @throws SCHEMA_MISSING when one side lacks a column that the other has. CONFIG_INVALID where `epochs` names no column of times.
 */
export async function arm(
  sqlite: Engine,
  postgres: Engine,
  clock: () => number,
  epochs?: EpochChoices,
): Promise<Armed> {
  return postgres.transaction({ mode: "write", timeoutMs: longestMs }, async (transaction) => {
    await transaction.script(`SET LOCAL lock_timeout = '${lockSeconds}s'`);
    const found = await look(sqlite, transaction, epochs);
    assertPartners(found.states);
    assertComplete(found.pairing);
    assertNoneGone(found);
    const { states, lost } = found;
    const isLost = lost.sqlite.length + lost.postgres.length > 0;
    const isNew = states.postgres.pairId === null || states.sqlite.pairId === null || isLost;
    const wanting = found.pairing.pairs.filter((pair) => isNew || !isArmed(found, pair));
    const undecided = await undecidedOf(sqlite, transaction, found, wanting);
    const pairs = wanting.filter(({ table }) => !undecided.has(table.name));
    const known = {
      pairing: without(found.pairing, undecided),
      catalogues: cataloguesOf(states),
      undecided: [...undecided.keys()],
      armed: [],
      unarmed: [],
      refused: [],
    };
    const names = pairs.map(({ table }) => table.name);
    // Half-way through a flip, rows that one side has not got yet would be taken for its present ones.
    if (!isNew && !isSettled(states)) return { ...known, unarmed: names };
    if (pairs.length === 0 && !isNew) return known;
    const { catalogue, refused } = await new Arming(sqlite, transaction, found.schema, clock).run(pairs, states, lost);
    return { ...known, catalogues: { ...known.catalogues, sqlite: catalogue }, armed: names, refused };
  });
}

/** Both databases as they are, under the lock. */
interface Found {
  readonly schema: string;
  readonly states: PairState;
  readonly lost: Lost;
  readonly pairing: Pairing;
  /** Definitions of triggers and of the functions of triggers, by name. */
  readonly triggers: Readonly<Record<Side, ReadonlyMap<string, string>>>;
}

async function look(sqlite: Engine, postgres: Transaction, epochs: EpochChoices | undefined): Promise<Found> {
  const gone = await lostTables(postgres, "postgres");
  const state = await lockPostgresState(postgres);
  const there = await discoverPostgres(postgres);
  const here = await sqlite.transaction({ mode: "read" }, async (reader) => ({
    lost: await lostTables(reader, "sqlite"),
    state: await readSqliteState(reader),
    pairing: await surveyed(
      reader,
      pairTables(await discoverSqlite(reader), there, await uncarriedTables(reader)),
      epochs,
    ),
    triggers: await sqliteDefinitions(reader),
  }));
  return {
    schema: await currentSchema(postgres),
    states: { sqlite: here.state, postgres: state },
    lost: { sqlite: here.lost, postgres: gone },
    pairing: here.pairing,
    triggers: { sqlite: here.triggers, postgres: await postgresDefinitions(postgres) },
  };
}

function surveyed(sqlite: Transaction, pairing: Pairing, epochs: EpochChoices | undefined): Promise<Pairing> {
  assertEpochs(epochs, pairing);
  return surveyPairing(sqlite, pairing, epochs);
}

async function currentSchema(transaction: Transaction): Promise<string> {
  const [row] = await transaction.query(sql`SELECT current_schema() AS schema`);
  return String(row?.schema);
}

async function sqliteDefinitions(transaction: Transaction): Promise<Map<string, string>> {
  const rows = await transaction.query(sql`SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'`);
  return new Map(rows.map((row) => [String(row.name), String(row.sql)]));
}

/** Triggers as `"schema"."table".trigger`, without those that somebody has disabled, and the functions' bodies. */
async function postgresDefinitions(transaction: Transaction): Promise<Map<string, string>> {
  const rows = await transaction.query(sql`
    SELECT format('"%s"."%s".%s', replace(n.nspname, '"', '""'), replace(c.relname, '"', '""'), t.tgname) AS name, p.proname::text AS definition
      FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
      JOIN pg_proc AS p ON p.oid = t.tgfoid
      WHERE p.pronamespace = ${raw(ownSchema)} AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A')
    UNION ALL SELECT p.proname::text, p.prosrc FROM pg_proc AS p
      WHERE p.pronamespace = ${raw(ownSchema)} AND starts_with(p.proname, 'dualdb_journal_')`);
  return new Map(rows.map((row) => [String(row.name), String(row.definition)]));
}

function isArmed({ schema, triggers }: Found, pair: TablePair): boolean {
  const here = [...sqliteTriggers(pair).expected].every(([name, text]) => triggers.sqlite.get(name) === text);
  return (
    here && [...postgresTriggers(schema, pair).expected].every(([name, text]) => triggers.postgres.get(name) === text)
  );
}

function assertPartners(states: PairState): void {
  if (states.postgres.finalized) throw finalized();
  const mismatch = mismatchOf(states);
  if (mismatch !== null) throw mismatch;
}

/** A table of SQLite whose triggers journal was on both sides once. */
function assertNoneGone({ pairing, triggers }: Found): void {
  const gone = pairing.unmirrored.find(({ table }) => isJournaling(triggers.sqlite.get(triggerName(table, "insert"))));
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

/**
 * Tables that are new to the pair, empty where it counts, and not on the other side, with the reason why they are left out: what only
 * the other side has would be gone by the word of the one that counts, and somebody has most likely filled the wrong one.
 */
async function undecidedOf(
  sqlite: Engine,
  postgres: Transaction,
  found: Found,
  pairs: readonly TablePair[],
): Promise<ReadonlyMap<string, string>> {
  const from = sourceOfTruth(found.states);
  const reasons = new Map<string, string>();
  for (const pair of pairs) {
    if (pair.table.key.length === 0 || isKnown(found, pair)) continue;
    const rows = {
      sqlite: await sqlite.transaction({ mode: "read" }, (reader) => hasRows(reader, "sqlite", pair)),
      postgres: await hasRows(postgres, "postgres", pair),
    };
    if (!rows[from] && (rows.sqlite || rows.postgres)) reasons.set(pair.table.name, emptyWhereItCounts[from]);
  }
  return reasons;
}

/** Whether the table was armed before. */
function isKnown({ triggers }: Found, { table }: TablePair): boolean {
  return isJournaling(triggers.sqlite.get(triggerName(table.name, "insert")));
}

async function hasRows(transaction: Transaction, side: Side, { table }: TablePair): Promise<boolean> {
  const rows = await transaction.query(statement(`SELECT 1 AS one FROM ${quotedOn(side, table)} LIMIT 1`));
  return rows.length > 0;
}

const emptyWhereItCounts: Readonly<Record<Side, string>> = {
  sqlite:
    "it is empty in SQLite, which is primary, and PostgreSQL would lose its rows: bring them into SQLite, or delete them",
  postgres:
    "it is empty in PostgreSQL, which is primary, and SQLite would lose its rows: bring them into PostgreSQL, or delete them",
};

function without(pairing: Pairing, reasons: ReadonlyMap<string, string>): Pairing {
  const isLeft = ({ name }: { readonly name: string }) => !reasons.has(name);
  const added = [...reasons].map(([table, reason]) => ({ table, reason }));
  return {
    ...pairing,
    tables: pairing.tables.filter(isLeft),
    pairs: pairing.pairs.filter(({ table }) => isLeft(table)),
    unmirrored: [...pairing.unmirrored, ...added],
  };
}
