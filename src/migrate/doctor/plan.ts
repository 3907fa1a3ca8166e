import { type DiscoveredTable, discoverPostgres } from "../../data/catalogue/discover.js";
import type { DefinitionNote } from "../../data/definition/definition.js";
import { definePostgres } from "../../data/definition/postgres-definition.js";
import type { Engine, Transaction } from "../../engines/engine.js";
import { missingTables } from "../copy/create-tables.js";
import { rolledBack } from "./rolled-back.js";

/** PostgreSQL's tables, with those that `copy --create-tables` would make. */
export interface Plan {
  readonly tables: readonly DiscoveredTable[];
  /** PostgreSQL's names of those that are not there yet. */
  readonly planned: ReadonlySet<string>;
  readonly notes: readonly DefinitionNote[];
  /** The SQL that makes a table and its indexes, for a transaction that needs it; none where it is there. */
  statementsFor(name: string): readonly string[];
}

/** Tables as they are. */
export function presentTables(tables: readonly DiscoveredTable[]): Plan {
  return { tables, planned: new Set(), notes: [], statementsFor: () => [] };
}

/** The tables that PostgreSQL lacks are made, looked at, and rolled back. `wanted`: the only ones; undefined for all. */
export async function planTables(
  sqlite: Transaction,
  postgres: Engine,
  found: Readonly<Record<"sqlite" | "postgres", readonly DiscoveredTable[]>>,
  wanted: readonly string[] | undefined,
): Promise<Plan> {
  const missing = missingTables(found, "sqlite").filter(({ name }) => wanted === undefined || wanted.includes(name));
  const { tables, later, notes } = await definePostgres(sqlite, missing);
  const made = await rolledBack(postgres, async (transaction) => {
    for (const { sql } of [...tables, ...later]) await transaction.script(sql);
    return discoverPostgres(transaction);
  });
  const there = new Set(found.postgres.map(({ name }) => name));
  return {
    tables: made,
    planned: new Set(made.map(({ name }) => name).filter((name) => !there.has(name))),
    notes,
    statementsFor: (name) =>
      [...tables, ...later.filter(({ kind }) => kind !== "foreign key")]
        .filter(({ table }) => table === name)
        .map(({ sql }) => sql),
  };
}
