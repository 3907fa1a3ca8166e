import { isDeepStrictEqual } from "node:util";
import { type ConvertedRow, type SourceRow, toPostgres } from "../data/convert.js";
import { discoverPostgres, discoverSqlite, pairTables } from "../data/discover.js";
import { rowsOf } from "../data/rows.js";
import type { Column, Table } from "../data/table.js";
import type { Engine, ExactValue, Transaction } from "../engines/engine.js";

/** A row that both sides have, but not with the same values. */
export interface DifferentRow {
  readonly key: string;
  readonly columns: readonly string[];
}

export interface TableComparison {
  readonly table: string;
  /** Rows per side. */
  readonly sqlite: number;
  readonly postgres: number;
  /** Keys that only SQLite has. */
  readonly onlySqlite: readonly string[];
  /** Keys that only PostgreSQL has. */
  readonly onlyPostgres: readonly string[];
  readonly different: readonly DifferentRow[];
}

export interface Comparison {
  readonly equal: boolean;
  readonly tables: readonly TableComparison[];
}

const rowsAtOnce = 1_000;
const timeoutMs = 60_000;

/**
 * Compares every row that both sides share, column by column, each side in one snapshot of its own. SQLite's row counts as the mirror
 * would carry it, JSON as what it parses to. Meant for databases at rest: a row that is still owed is a difference.
 */
export async function compareDatabases(sqlite: Engine, postgres: Engine): Promise<Comparison> {
  return sqlite.transaction({ mode: "read" }, (left) =>
    postgres.transaction({ mode: "read", timeoutMs }, async (right) => {
      const { tables } = pairTables(await discoverSqlite(left), await discoverPostgres(right));
      const compared: TableComparison[] = [];
      for (const table of tables) compared.push(await compareTable(table, left, right));
      return { equal: compared.every(isEqual), tables: compared };
    }),
  );
}

function isEqual({ onlySqlite, onlyPostgres, different }: TableComparison): boolean {
  return onlySqlite.length + onlyPostgres.length + different.length === 0;
}

async function compareTable(table: Table, left: Transaction, right: Transaction): Promise<TableComparison> {
  const mine = await keysOf(rowsOf("sqlite").keys(left, table));
  const others = await keysOf(rowsOf("postgres").keys(right, table));
  const shared = [...mine].filter((key) => others.has(key));
  const different: DifferentRow[] = [];
  for (let start = 0; start < shared.length; start += rowsAtOnce) {
    different.push(...(await compareRows(table, left, right, shared.slice(start, start + rowsAtOnce))));
  }
  return {
    table: table.name,
    sqlite: mine.size,
    postgres: others.size,
    onlySqlite: [...mine].filter((key) => !others.has(key)),
    onlyPostgres: [...others].filter((key) => !mine.has(key)),
    different,
  };
}

async function keysOf(pages: AsyncIterable<string[]>): Promise<Set<string>> {
  const keys = new Set<string>();
  for await (const page of pages) for (const key of page) keys.add(key);
  return keys;
}

async function compareRows(
  table: Table,
  left: Transaction,
  right: Transaction,
  keys: readonly string[],
): Promise<DifferentRow[]> {
  const mine = await rowsOf("sqlite").read(left, table, keys);
  const others = new Map((await rowsOf("postgres").read(right, table, keys)).map((row) => [row.key, row]));
  return mine.flatMap((row) => {
    const other = others.get(row.key);
    const columns = other === undefined ? [] : differentColumns(table, toPostgres(table, row), other);
    return columns.length === 0 ? [] : [{ key: row.key, columns }];
  });
}

function differentColumns(table: Table, mine: ConvertedRow, other: SourceRow): string[] {
  const differs = (column: Column, index: number) =>
    !sameValue(column, mine.values[index] ?? null, other.values[index] ?? null);
  return table.columns.filter(differs).map(({ name }) => name);
}

function sameValue({ kind }: Column, mine: ExactValue, other: ExactValue): boolean {
  if (mine === null || other === null) return mine === other;
  if (kind === "json") return isDeepStrictEqual(JSON.parse(String(mine)), JSON.parse(String(other)));
  if (mine instanceof Uint8Array && other instanceof Uint8Array) return Buffer.from(mine).equals(other);
  return String(mine) === String(other);
}
