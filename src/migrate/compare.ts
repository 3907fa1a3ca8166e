import { pairDatabases } from "../data/catalogue/discover.js";
import type { Table } from "../data/table.js";
import type { Engine, PostgresEngine } from "../engines/engine.js";
import { LookAtRest } from "./verify/look.js";
import { Patience } from "./verify/settling.js";
import { compareTable, type Difference } from "./verify/table.js";

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

const timeoutMs = 60_000;

/**
 * Compares every row that both sides share, column by column, as `verify` does. SQLite's row counts as the mirror would carry it. Meant
 * for databases at rest: a row that is still owed is a difference.
 */
export async function compareDatabases(sqlite: Engine, postgres: PostgresEngine): Promise<Comparison> {
  const { tables } = await sqlite.transaction({ mode: "read" }, (left) =>
    postgres.transaction({ mode: "read", timeoutMs }, (right) => pairDatabases(left, right)),
  );
  const compared: TableComparison[] = [];
  for (const table of tables) compared.push(await compareOne(table, sqlite, postgres));
  return { equal: compared.every(isEqual), tables: compared };
}

function isEqual({ onlySqlite, onlyPostgres, different }: TableComparison): boolean {
  return onlySqlite.length + onlyPostgres.length + different.length === 0;
}

async function compareOne(table: Table, sqlite: Engine, postgres: PostgresEngine): Promise<TableComparison> {
  const look = new LookAtRest("sqlite", sqlite, postgres, timeoutMs);
  const found: Difference[] = [];
  const comparing = {
    sqlite,
    postgres,
    look,
    patience: new Patience(0, () => undefined),
    timeoutMs,
    signal: undefined,
    onProgress: undefined,
  };
  const counts = await compareTable(table, comparing, (difference) => void found.push(difference));
  const keysOf = (kind: Difference["kind"]) => found.filter((row) => row.kind === kind).map(({ key }) => key);
  return {
    table: table.name,
    sqlite: counts.sqlite,
    postgres: counts.postgres,
    onlySqlite: [...keysOf("missing"), ...keysOf("refused")],
    onlyPostgres: keysOf("extra"),
    different: found.flatMap((row) => (row.kind === "different" ? [{ key: row.key, columns: row.columns }] : [])),
  };
}
