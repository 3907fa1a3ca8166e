import { type DiscoveredTable, discoverPostgres, discoverSqlite, pairTables } from "../../data/catalogue/discover.js";
import { ownSchema } from "../../data/catalogue/own-schema.js";
import type { Definition, LaterStatement, TableStatement } from "../../data/definition/definition.js";
import { makeAll } from "../../data/definition/making.js";
import { definePostgres, type PostgresDefinition } from "../../data/definition/postgres-definition.js";
import { presentIn } from "../../data/definition/present.js";
import { sqliteDefinition } from "../../data/definition/sqlite-definition.js";
import { literal, quote } from "../../data/table.js";
import { type Engine, type Side, statement, type Transaction } from "../../engines/engine.js";
import { DualDbError } from "../../errors.js";
import type { Databases } from "../databases.js";
import type { ToolOptions } from "../options.js";
import { endIfAsked } from "../progress.js";
import { timeoutMs } from "./run.js";

/** Tables that were made for a copy, and what is cheaper to make when the rows are there. */
export interface CreatedTables {
  /** What the definitions leave out or make otherwise. */
  readonly notes: Definition["notes"];
  /** To be called when the rows are there; resolves to what could not be made. */
  finish(): Promise<Definition["notes"]>;
}

/** Told of statements that have run and been committed, in their order. */
type OnMade = (statements: readonly TableStatement[]) => void;

/**
 * Makes the tables that the target lacks. What decides about rows comes with the tables: keys, NOT NULL, unique indexes, foreign keys.
 * What an earlier run has not come to of its tables, indexes and foreign keys whose parents were not there, comes now, behind the rows.
 * @throws CONFIG_INVALID for a table that neither side has, INTERRUPTED, both before anything is made.
 */
export async function createTables(
  { sqlite, postgres }: Databases,
  from: Side,
  { tables: wanted, signal, onProgress }: ToolOptions,
  onMade: OnMade,
): Promise<CreatedTables> {
  const found = {
    sqlite: await sqlite.transaction({ mode: "read" }, discoverSqlite),
    postgres: await postgres.transaction({ mode: "read", timeoutMs }, discoverPostgres),
  };
  assertThere(found, from, wanted);
  const missing = missingTables(found, from).filter(({ name }) => wanted === undefined || wanted.includes(name));
  if (from === "postgres") return intoSqlite(sqlite, missing, onMade);
  const unfinished = await unfinishedTables(postgres);
  const tables = [...missing, ...found.sqlite.filter(({ name }) => unfinished.has(name))];
  const present = await postgres.transaction({ mode: "read", timeoutMs }, presentIn);
  const define = (source: Transaction) =>
    definePostgres(source, tables, present, (table) => {
      endIfAsked(signal);
      onProgress?.({ step: "survey", table, rows: 0, total: null });
    });
  const definition = await sqlite.transaction({ mode: "read" }, define);
  return intoPostgres(postgres, definition, missing, tables, onMade);
}

function assertThere(
  found: Readonly<Record<Side, readonly DiscoveredTable[]>>,
  from: Side,
  wanted: readonly string[] = [],
): void {
  const known = new Set([...found.sqlite, ...found.postgres].map(({ name }) => name));
  const unknown = wanted.filter((name) => !known.has(name));
  if (unknown.length === 0) return;
  const names = found[from].map(({ name }) => name).sort();
  throw new DualDbError(
    "CONFIG_INVALID",
    `${from} has no table ${unknown.join(", ")}. It has ${names.join(", ") || "none"}.`,
    { side: from, details: { tables: unknown } },
  );
}

/** Tables of one side that the other has under no name. */
export function missingTables(
  found: Readonly<Record<Side, readonly DiscoveredTable[]>>,
  from: Side,
): readonly DiscoveredTable[] {
  const { pairs, ambiguous } = pairTables(found.sqlite, found.postgres);
  const there = new Set([
    ...pairs.map((pair) => pair[from].name),
    ...ambiguous.flatMap(({ left, right }) => (from === "sqlite" ? left : right)),
  ]);
  return found[from].filter(({ name }) => !there.has(name));
}

/** Stands on a table until all of it is there: a killed run leaves it to the next one, and so does one that lacks a parent. */
const unfinishedMark = "dualdb: indexes or foreign keys to follow";

async function intoPostgres(
  postgres: Engine,
  { tables, later, notes, waiting }: PostgresDefinition,
  missing: readonly DiscoveredTable[],
  all: readonly DiscoveredTable[],
  onMade: OnMade,
): Promise<CreatedTables> {
  const fresh = new Set(missing.map(({ name }) => name));
  const isBefore = ({ table, kind }: LaterStatement) => kind !== "index" && fresh.has(table);
  const make = (statements: readonly TableStatement[], names: readonly string[], isLast: boolean) =>
    postgres.transaction({ mode: "write", timeoutMs }, async (target) => {
      const done = await makeAll(target, statements);
      const there = new Set((await discoverPostgres(target)).map(({ name }) => name));
      for (const name of names.filter((candidate) => there.has(candidate)))
        await target.script(markText(name, isLast && !waiting.has(name) ? null : unfinishedMark));
      return done;
    });
  const before = await make([...tables, ...later.filter(isBefore)], [...fresh], false);
  onMade(before.made);
  const finish = async () => {
    if (all.length === 0) return [];
    const after = await make(
      later.filter((statement) => !isBefore(statement)),
      all.map(({ name }) => name),
      true,
    );
    onMade(after.made);
    return after.notes;
  };
  return { notes: [...notes, ...before.notes], finish };
}

async function intoSqlite(sqlite: Engine, missing: readonly DiscoveredTable[], onMade: OnMade): Promise<CreatedTables> {
  const { tables, later, notes } = sqliteDefinition(missing);
  const statements = [...tables, ...later];
  await sqlite.transaction({ mode: "write" }, async (target) => {
    for (const { sql } of statements) await target.script(sql);
  });
  onMade(statements);
  return { notes, finish: () => Promise.resolve([]) };
}

function markText(table: string, mark: string | null): string {
  return `COMMENT ON TABLE ${quote(table)} IS ${mark === null ? "NULL" : literal(mark)}`;
}

async function unfinishedTables(postgres: Engine): Promise<Set<string>> {
  const text = `SELECT relname AS name FROM pg_class WHERE relnamespace = ${ownSchema} AND relkind = 'r'
    AND obj_description(oid, 'pg_class') = ${literal(unfinishedMark)}`;
  const rows = await postgres.read(statement(text));
  return new Set(rows.map(({ name }) => String(name)));
}
