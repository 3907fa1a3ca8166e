import sql, { empty, join, raw, type Sql } from "sql-template-tag";
import { chunks } from "../data/chunks.js";
import { legible, textOrBytes } from "../data/key.js";
import type { RefusedBecause } from "../data/refusal.js";
import { readDocument } from "../data/rows/json-rows.js";
import type { ExactRow, ExactValue, Side, Transaction } from "../engines/engine.js";

/** After so many refusals an entry is quarantined: it holds nobody up, and is tried again seldom. */
export const quarantineAfter = 5;

/** A row that the other side is owed. */
export interface Entry {
  readonly table: string;
  readonly key: string;
  /** Given once and never again: who handled the row as of this version may remove the entry only while it still has it. */
  readonly version: bigint;
  readonly attempts: number;
  readonly lastError: string | null;
  /** The key's bytes where they are no UTF-8, which only an old SQLite file holds: no other side can have such a row. */
  readonly bytes?: Uint8Array;
}

export interface Refusal extends RefusedBecause {
  readonly entry: Entry;
}

/** The same in one text. */
export function refusalText({ column, reason }: Omit<Refusal, "entry">): string {
  return column === "" ? reason : `${column}: ${reason}`;
}

export interface JournalSummary {
  readonly entries: number;
  readonly quarantined: number;
  /** Milliseconds since 1970 of the entry that has waited longest; null where there is none. */
  readonly oldest: number | null;
}

/** Which entries a pass takes: the next ones after a place, or given ones. */
export type Selection =
  | {
      readonly after: Pick<Entry, "table" | "key"> | null;
      readonly limit: number;
      readonly quarantined: boolean;
      /** Only entries of this table. */
      readonly table?: string | undefined;
    }
  | { readonly keys: readonly Pick<Entry, "table" | "key">[] };

const rowsInAStatement = 500;
/** SQLite takes them off in our own thread, between the writes of others. */
const rowsInARemoval = { sqlite: 1_000, postgres: 10_000 };

/** The dirty keys of one side. A set, not a log: each row stands in it at most once. */
export class Journal {
  readonly side: Side;

  constructor(side: Side) {
    this.side = side;
  }

  async select(transaction: Transaction, selection: Selection): Promise<Entry[]> {
    if ("keys" in selection) return this.#find(transaction, selection.keys);
    const { after, limit, quarantined, table } = selection;
    const later = after === null ? empty : sql`AND (table_name, row_key) > (${after.table}, ${after.key})`;
    const tried = quarantined ? empty : sql`AND attempts < ${quarantineAfter}`;
    const only = table === undefined ? empty : sql`AND table_name = ${table}`;
    return this.#query(
      transaction,
      sql`WHERE TRUE ${only} ${later} ${tried} ORDER BY table_name, row_key LIMIT ${limit}`,
    );
  }

  async isEmpty(transaction: Transaction): Promise<boolean> {
    const rows = await transaction.query(sql`SELECT 1 AS one FROM dualdb_journal LIMIT 1`);
    return rows.length === 0;
  }

  async summary(transaction: Transaction): Promise<JournalSummary> {
    const quarantined = sql`COALESCE(SUM(CASE WHEN attempts >= ${quarantineAfter} THEN 1 ELSE 0 END), 0)`;
    const [row] = await transaction.query(
      sql`SELECT COUNT(*) AS entries, ${quarantined} AS quarantined, MIN(touched_at) AS oldest FROM dualdb_journal`,
    );
    const oldest = row?.oldest ?? null;
    return {
      entries: Number(row?.entries),
      quarantined: Number(row?.quarantined),
      oldest: oldest === null ? null : Number(oldest),
    };
  }

  /** The entries that the other side has refused, the most recent first. */
  async refused(transaction: Transaction, limit: number): Promise<Entry[]> {
    return this.#query(transaction, sql`WHERE attempts > 0 ORDER BY touched_at DESC LIMIT ${limit}`);
  }

  /** Statements that take entries off whose rows have been handled, if they have not changed since. No writer ever waits for them. */
  removals(entries: readonly Entry[]): Sql[] {
    return [...chunks(entries, rowsInARemoval[this.side])].map((part) => this.#removal(part));
  }

  /** Statements that count refusals, if the row has not changed since: a new write deserves a new try. */
  refusals(refusals: readonly Refusal[]): Sql[] {
    return refusals.map(({ entry, ...refusal }) => {
      const sameKey =
        entry.bytes === undefined ? sql`row_key = ${entry.key}` : sql`CAST(row_key AS BLOB) = ${entry.bytes}`;
      return sql`UPDATE dualdb_journal SET attempts = attempts + 1, last_error = ${refusalText(refusal)}
        WHERE table_name = ${entry.table} AND ${sameKey} AND version = ${entry.version}`;
    });
  }

  /** Enters keys as if their rows had just been written. */
  async enter(transaction: Transaction, table: string, keys: readonly string[], now: number): Promise<void> {
    for (const part of chunks(keys, rowsInAStatement)) {
      const version = await this.#nextVersion(transaction);
      const values = join(
        part.map((key) => sql`(${table}, ${key}, CAST(${version} AS BIGINT), CAST(${now} AS BIGINT))`),
      );
      await transaction.execute(sql`INSERT INTO dualdb_journal (table_name, row_key, version, touched_at) VALUES ${values}
        ON CONFLICT (table_name, row_key) DO UPDATE SET version = excluded.version, touched_at = excluded.touched_at,
        attempts = 0, last_error = NULL`);
    }
  }

  /** Enters the key of a row that the other side cannot have, set aside at once. Only SQLite has such keys. */
  async quarantine(
    transaction: Transaction,
    { table, key, reason }: { readonly table: string; readonly key: string | Uint8Array; readonly reason: string },
    now: number,
  ): Promise<void> {
    const version = await this.#nextVersion(transaction);
    await transaction.execute(sql`INSERT INTO dualdb_journal (table_name, row_key, version, touched_at, attempts, last_error)
      VALUES (${table}, CAST(${key} AS TEXT), ${version}, ${now}, ${quarantineAfter}, ${reason})
      ON CONFLICT (table_name, row_key) DO UPDATE SET version = excluded.version, touched_at = excluded.touched_at,
      attempts = excluded.attempts, last_error = excluded.last_error`);
  }

  #removal(entries: readonly Entry[]): Sql {
    const handled = sql`(table_name, row_key, version) IN (${this.side === "sqlite" ? onSqlite(entries) : onPostgres(entries)})`;
    if (this.side === "sqlite") return sql`DELETE FROM dualdb_journal WHERE ${handled}`;
    return sql`DELETE FROM dualdb_journal WHERE (table_name, row_key, version) IN
      (SELECT table_name, row_key, version FROM dualdb_journal WHERE ${handled} FOR UPDATE SKIP LOCKED)`;
  }

  async #nextVersion(transaction: Transaction): Promise<bigint> {
    if (this.side === "sqlite")
      await transaction.execute(sql`UPDATE dualdb_state SET version = version + 1 WHERE id = 1`);
    const next =
      this.side === "sqlite" ? "SELECT version FROM dualdb_state" : "SELECT nextval('dualdb_version') AS version";
    const [row] = await transaction.query(sql`${raw(next)}`);
    return BigInt(row?.version as bigint);
  }

  async #find(transaction: Transaction, keys: readonly Pick<Entry, "table" | "key">[]): Promise<Entry[]> {
    const found: Entry[] = [];
    for (const part of chunks(keys, rowsInAStatement)) {
      const wanted = join(part.map(({ table, key }) => sql`(${table}, ${key})`));
      found.push(...(await this.#query(transaction, sql`WHERE (table_name, row_key) IN (VALUES ${wanted})`)));
    }
    return found;
  }

  async #query(transaction: Transaction, rest: Sql): Promise<Entry[]> {
    if (this.side === "sqlite") return (await readInOnePiece(transaction, rest)) ?? readRows(transaction, bytes, rest);
    return readRows(transaction, raw("row_key"), rest);
  }
}

const bytes = raw("CAST(row_key AS BLOB)");

/** SQLite's entries in one piece; null where a key is not UTF-8. */
async function readInOnePiece(transaction: Transaction, rest: Sql): Promise<Entry[] | null> {
  const document = await readDocument<EntryCells>(
    transaction,
    sql`SELECT CAST(json_group_array(json_array(table_name, row_key, CAST(version AS TEXT), attempts, last_error)) AS BLOB)
    AS page FROM (SELECT * FROM dualdb_journal ${rest})`,
  );
  return document?.rows.map(entryOfCells) ?? null;
}

async function readRows(transaction: Transaction, key: Sql, rest: Sql): Promise<Entry[]> {
  const rows = await transaction.query(
    sql`SELECT table_name, ${key} AS row_key, version, attempts, last_error FROM dualdb_journal ${rest}`,
  );
  return rows.map(entryOf);
}

/** One parameter for any number of entries. A NUL would end the text in SQLite's JSON functions, and bytes are no text there. */
function onSqlite(entries: readonly Entry[]): Sql {
  if (entries.some(({ key, bytes }) => key.includes("\0") || bytes !== undefined))
    return sql`VALUES ${join(entries.map(({ table, key, bytes = key, version }) => sql`(${table}, CAST(${bytes} AS TEXT), ${version})`))}`;
  const document = JSON.stringify(entries.map(({ table, key, version }) => [table, key, String(version)]));
  return sql`SELECT value ->> 0, value ->> 1, CAST(value ->> 2 AS INTEGER) FROM json_each(${document})`;
}

function onPostgres(entries: readonly Entry[]): Sql {
  const tables = entries.map(({ table }) => table);
  const keys = entries.map(({ key }) => key);
  const versions = entries.map(({ version }) => String(version));
  return sql`SELECT * FROM unnest(${tables}::text[], ${keys}::text[], ${versions}::bigint[])`;
}

type EntryCells = readonly [table: string, key: string, version: string, attempts: number, lastError: string | null];

function entryOfCells([table, key, version, attempts, lastError]: EntryCells): Entry {
  return { table, key, version: BigInt(version), attempts, lastError };
}

function entryOf(row: ExactRow): Entry {
  return {
    table: String(row.table_name),
    ...keyOf(row.row_key ?? ""),
    version: BigInt(row.version as bigint),
    attempts: Number(row.attempts),
    lastError: typeof row.last_error === "string" ? row.last_error : null,
  };
}

function keyOf(value: ExactValue): Pick<Entry, "key" | "bytes"> {
  if (!(value instanceof Uint8Array)) return { key: String(value) };
  const key = textOrBytes(value);
  return typeof key === "string" ? { key } : { key: legible(key), bytes: key };
}
