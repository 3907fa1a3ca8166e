import { type DiscoveredTable, discoverPostgres } from "../../data/catalogue/discover.js";
import type { DefinitionNote, TableStatement } from "../../data/definition/definition.js";
import { makeAll } from "../../data/definition/making.js";
import { definePostgres } from "../../data/definition/postgres-definition.js";
import { presentIn } from "../../data/definition/present.js";
import type { PostgresEngine, Transaction } from "../../engines/engine.js";
import { missingTables } from "../copy/create-tables.js";
import { refusedIndexes } from "./planned-indexes.js";
import { rolledBack } from "./rolled-back.js";

/** PostgreSQL's tables, with those that `copy --create-tables` would make. */
export interface Plan {
  readonly tables: readonly DiscoveredTable[];
  /** PostgreSQL's names of those that are not there yet. */
  readonly planned: ReadonlySet<string>;
  readonly notes: readonly DefinitionNote[];
  /** The SQL that makes some of those with what decides about their rows alone, for a transaction that needs them. */
  statementsFor(names: readonly string[]): readonly string[];
}

const timeoutMs = 60_000;
/** A foreign key that is added waits for those who write to its parent, and others who want to write wait behind it. */
const lockTimeout = "5s";

/** Tables as they are. */
export function presentTables(tables: readonly DiscoveredTable[]): Plan {
  return { tables, planned: new Set(), notes: [], statementsFor: () => [] };
}

/** The tables that PostgreSQL lacks are made, looked at, and rolled back. `wanted`: the only ones; undefined for all. */
export async function planTables(
  sqlite: Transaction,
  postgres: PostgresEngine,
  found: Readonly<Record<"sqlite" | "postgres", readonly DiscoveredTable[]>>,
  wanted: readonly string[] | undefined,
): Promise<Plan> {
  const missing = missingTables(found, "sqlite").filter(({ name }) => wanted === undefined || wanted.includes(name));
  const present = await postgres.transaction({ mode: "read", timeoutMs }, presentIn);
  const { tables, later, notes } = await definePostgres(sqlite, missing, present);
  const planned = await rolledBack(postgres, timeoutMs, async (transaction) => {
    await transaction.script(`SET LOCAL lock_timeout = '${lockTimeout}'`);
    const { made, notes: refused } = await makeAll(transaction, [...tables, ...later]);
    return { made: new Set<TableStatement>(made), refused, found: await discoverPostgres(transaction) };
  });
  // By itself, since a foreign key that is added keeps writers from its parent until the transaction ends.
  const unfit = await rolledBack(postgres, timeoutMs, async (transaction) => {
    await makeAll(transaction, tables);
    return refusedIndexes(sqlite, transaction, { sqlite: missing, made: planned.found }, later);
  });
  const there = new Set(found.postgres.map(({ name }) => name));
  return {
    tables: planned.found,
    planned: new Set(planned.found.map(({ name }) => name).filter((name) => !there.has(name))),
    notes: [...notes, ...planned.refused, ...unfit],
    statementsFor: (names) =>
      [...tables, ...later.filter(({ kind }) => kind !== "index")]
        .filter((statement) => names.includes(statement.table) && planned.made.has(statement))
        .map(({ sql }) => sql),
  };
}
