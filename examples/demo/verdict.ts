import { sql } from "dualdb";
import type { Engine, PostgresEngine } from "../../src/engines/engine.js";
import { type Comparison, compareDatabases, type TableComparison } from "../../src/migrate/compare.js";
import type { Ledger } from "./ledger.js";
import { count, type Screen } from "./screen.js";

/** What the demo comes to. */
export interface Verdict {
  readonly comparison: Comparison;
  /** Acknowledged writes that a side does not hold, deletions that came back among them, and counters that were raised too often. */
  readonly lost: number;
}

/** Compares both databases with each other, row by row, and each with what the bots were told. `counted` is message_count by user before. */
export async function judge(
  sqlite: Engine,
  postgres: PostgresEngine,
  ledger: Ledger,
  counted: ReadonlyMap<string, number>,
): Promise<Verdict> {
  const comparison = await compareDatabases(sqlite, postgres);
  const lost = (await lostOn(sqlite, ledger, counted)) + (await lostOn(postgres, ledger, counted));
  return { comparison, lost };
}

export function show({ comparison }: Verdict, screen: Screen): void {
  screen.line(screen.paint("dim", `    ${cells("table", "SQLite", "PostgreSQL")}`));
  for (const table of comparison.tables) {
    const differing = table.onlySqlite.length + table.onlyPostgres.length + table.different.length;
    const result = differing === 0 ? screen.paint("green", "equal") : screen.paint("red", difference(table));
    screen.line(`    ${cells(table.table, count(table.sqlite), count(table.postgres))}   ${result}`);
  }
}

/** Messages counted so far, by user. */
export async function countedMessages(engine: Engine): Promise<Map<string, number>> {
  const rows = await engine.read(sql`SELECT user_id, message_count FROM user_profiles`);
  return new Map(rows.map((row) => [String(row.user_id), Number(row.message_count)]));
}

async function lostOn(engine: Engine, ledger: Ledger, counted: ReadonlyMap<string, number>): Promise<number> {
  let lost = 0;
  for (const [table, expected] of ledger.present) {
    const there = await keysOf(engine, table);
    lost += [...expected].filter((key) => !there.has(key)).length;
  }
  for (const [table, deleted] of ledger.absent) {
    const there = await keysOf(engine, table);
    lost += [...deleted].filter((key) => there.has(key)).length;
  }
  return lost + (await miscounted(engine, ledger, counted));
}

async function miscounted(engine: Engine, ledger: Ledger, before: ReadonlyMap<string, number>): Promise<number> {
  const now = await countedMessages(engine);
  let wrong = 0;
  for (const [user, { acknowledged, begun }] of ledger.raised) {
    const raised = (now.get(user) ?? 0) - (before.get(user) ?? 0);
    wrong += Math.max(0, acknowledged - raised, raised - begun);
  }
  return wrong;
}

const keyStatements = {
  messages: sql`SELECT id AS key FROM messages`,
  queries: sql`SELECT id AS key FROM queries`,
  documents: sql`SELECT id AS key FROM documents`,
  user_profiles: sql`SELECT user_id AS key FROM user_profiles`,
} as const;

async function keysOf(engine: Engine, table: string): Promise<Set<string>> {
  const statement = keyStatements[table as keyof typeof keyStatements];
  return new Set((await engine.read(statement)).map(({ key }) => String(key)));
}

function difference({ onlySqlite, onlyPostgres, different }: TableComparison): string {
  const parts: [number, string][] = [
    [onlySqlite.length, "only in SQLite"],
    [onlyPostgres.length, "only in PostgreSQL"],
    [different.length, "different"],
  ];
  return parts.flatMap(([number, what]) => (number === 0 ? [] : [`${count(number)} ${what}`])).join(", ");
}

function cells(table: string, sqlite: string, postgres: string): string {
  return `${table.padEnd(24)}${sqlite.padStart(10)}${postgres.padStart(12)}`;
}
