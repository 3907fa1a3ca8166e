import sql, { raw } from "sql-template-tag";
import type { Engine, ExactRow, ExactValue } from "../../src/engines/engine.js";
import { compareDatabases } from "../../src/migrate/compare.js";
import { openAt } from "../support/libsql.js";
import { type Deviation, type Evidence, Judge, type StoredRow } from "./judge.js";
import { readTrail } from "./observers.js";
import { type DatabasePair, openTarget } from "./pair.js";
import { followed, followedValues } from "./tables.js";

export interface Checked {
  readonly rows: readonly StoredRow[];
  readonly compared: number;
  readonly deviations: readonly Deviation[];
  /** Rows that a forced roll-back has left as SQLite had them. */
  readonly conflicts: number;
  readonly excused: number;
}

/** Compares both databases with each other, whole, and SQLite's rows with what the logs allow. */
export async function check(pair: DatabasePair, evidence: Evidence): Promise<Checked> {
  const sqlite = await openAt(pair.sqliteFile);
  const postgres = openTarget(pair.postgresUrl);
  try {
    const comparison = await compareDatabases(sqlite, postgres);
    const rows = await dump(sqlite);
    const trail = await readTrail(pair);
    const judge = new Judge(evidence, rows, trail);
    const deviations = [
      ...comparison.tables.flatMap(({ table, onlySqlite, onlyPostgres, different }) => [
        ...onlySqlite.map((key) => differs(`${table} ${key} is only in SQLite`)),
        ...onlyPostgres.map((key) => differs(`${table} ${key} is only in PostgreSQL`)),
        ...different.map(({ key, columns }) => differs(`${table} ${key} differs between the sides: ${columns}`)),
      ]),
      ...(await orphans(sqlite)),
      ...judge.deviations(),
    ];
    const compared = comparison.tables.reduce((sum, table) => sum + table.sqlite, 0);
    const conflicts = trail.rollBacks.reduce((sum, rollBack) => sum + rollBack.conflicts.length, 0);
    return { rows, compared, deviations, conflicts, excused: judge.excused };
  } finally {
    await Promise.all([sqlite.close(), postgres.close()]);
  }
}

/** The rows of a file before the first round. */
export async function rowsOfFile(file: string): Promise<StoredRow[]> {
  const sqlite = await openAt(file);
  try {
    return await dump(sqlite);
  } finally {
    await sqlite.close();
  }
}

const differs = (what: string): Deviation => ({ kind: "different", what });

async function dump(engine: Engine): Promise<StoredRow[]> {
  return engine.transaction({ mode: "read" }, async (transaction) => {
    const stored: StoredRow[] = [];
    for (const one of followed) {
      const rows = await transaction.query(sql`SELECT * FROM ${raw(one.table)}`);
      for (const row of rows)
        stored.push({ table: one.table, row: one.name(row), values: followedValues(one, row), whole: wholeOf(row) });
    }
    return stored;
  });
}

function wholeOf(row: ExactRow): string {
  const there = Object.entries(row).filter(([, value]) => value !== null);
  const sorted = there.sort(([one], [other]) => (one < other ? -1 : 1));
  return JSON.stringify(sorted.map(([name, value]) => [name, comparable(value)]));
}

/** JSON counts as what it parses to: PostgreSQL spells it in its own way. */
function comparable(value: ExactValue): unknown {
  if (typeof value === "bigint") return String(value);
  if (typeof value !== "string" || !/^[[{]/.test(value)) return value;
  try {
    const ordered = (_: string, part: unknown) =>
      isObject(part) ? Object.fromEntries(Object.entries(part).sort()) : part;
    return JSON.stringify(JSON.parse(value), ordered);
  } catch {
    return value;
  }
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

async function orphans(engine: Engine): Promise<Deviation[]> {
  const rows = await engine.read({ sql: "PRAGMA foreign_key_check", text: "", values: [] });
  return rows.map((row) => differs(`a row of ${row.table} in SQLite points nowhere`));
}
