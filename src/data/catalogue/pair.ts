import type { Table } from "../table.js";
import type { DiscoveredTable } from "./catalogue.js";
import { Couple, type MissingColumn, namesOf, type TablePair } from "./couple.js";
import { type Dependents, dependentsOf } from "./dependents.js";
import { type Ambiguity, matchNames } from "./match.js";
import type { Uncarried } from "./uncarried.js";

/** Names that may mean more than one; `table` is absent where they are names of tables. `left` are SQLite's, `right` PostgreSQL's. */
export interface AmbiguousNames extends Ambiguity {
  readonly table?: string;
}

/** The tables that both sides have, and what stands in the way of carrying the others. */
export interface Pairing {
  readonly tables: readonly Table[];
  /** Tables without a key that both sides keep: `key` is empty, and they can only be copied, into an empty table. */
  readonly keyless: readonly Table[];
  /** Tables of SQLite that nobody mirrors, with the reason; those without a key among them, and virtual ones whose rows stay behind. */
  readonly unmirrored: readonly { readonly table: string; readonly reason: string }[];
  /** Columns that one side lacks: nothing of that table may be carried before it has them. */
  readonly missing: readonly MissingColumn[];
  /** Every table that both sides have, with and without a key, and what their catalogues say. */
  readonly pairs: readonly TablePair[];
  readonly ambiguous: readonly AmbiguousNames[];
  /** Columns that one side computes by itself: they are not carried. */
  readonly generated: readonly MissingColumn[];
  /** Tables of PostgreSQL that SQLite lacks. */
  readonly postgresOnly: readonly string[];
  /** What hangs on mirrored tables without being mirrored itself. */
  readonly dependents: Dependents;
  /** Tables of SQLite that are left out for what they are. */
  readonly uncarried: readonly Uncarried[];
}

/**
 * Matches the tables and the columns of both sides by name: exactly, else without regard to case, else by their words. The kinds are
 * PostgreSQL's, since it is the stricter side; the names are SQLite's.
 */
export function pairTables(
  sqlite: readonly DiscoveredTable[],
  postgres: readonly DiscoveredTable[],
  uncarried: readonly Uncarried[] = [],
): Pairing {
  const matches = matchNames(namesOf(sqlite), namesOf(postgres));
  const couples = matches.pairs.map(([mine, other]) => new Couple(byName(sqlite, mine), byName(postgres, other)));
  const byPostgres = new Map(couples.map((couple) => [couple.postgres.name, couple]));
  const clear = couples.filter(({ ambiguous }) => ambiguous.length === 0);
  const pairs = inOrder(clear, sqlite).map((couple) => couple.pair(byPostgres));
  return {
    tables: pairs.filter(({ keyless }) => keyless === null).map(({ table }) => table),
    keyless: pairs.filter(({ keyless }) => keyless !== null).map(({ table }) => table),
    unmirrored: [
      ...unmirroredOf(sqlite, couples, pairs, matches.ambiguous),
      ...uncarried.filter(({ holdsRows }) => holdsRows).map(({ table, reason }) => ({ table, reason })),
    ],
    missing: pairs.filter(({ keyless }) => keyless === null).flatMap(({ missing }) => missing),
    pairs,
    ambiguous: [
      ...matches.ambiguous,
      ...couples.flatMap(({ sqlite: { name: table }, ambiguous }) => ambiguous.map((names) => ({ ...names, table }))),
    ],
    generated: couples.flatMap((couple) => couple.generated()),
    postgresOnly: namesOf(postgres).filter((name) => !byPostgres.has(name)),
    dependents: dependentsOf({ sqlite, postgres }, pairs),
    uncarried,
  };
}

function unmirroredOf(
  sqlite: readonly DiscoveredTable[],
  couples: readonly Couple[],
  pairs: readonly TablePair[],
  ambiguous: readonly Ambiguity[],
): { table: string; reason: string }[] {
  const coupled = new Map(couples.map((couple) => [couple.sqlite.name, couple]));
  const paired = new Map(pairs.map((pair) => [pair.table.name, pair]));
  return sqlite.flatMap(({ name: table }) => {
    const pair = paired.get(table);
    const unclear = coupled.get(table)?.ambiguous ?? ambiguous.filter(({ left }) => left.includes(table));
    const reason = pair === undefined ? (ambiguityReason(unclear) ?? "PostgreSQL has no such table") : pair.keyless;
    return reason === null ? [] : [{ table, reason }];
  });
}

function ambiguityReason([first]: readonly Ambiguity[]): string | null {
  if (first === undefined) return null;
  const { left, right } = first;
  return `the names do not tell which of SQLite's ${left.join(", ")} is which of PostgreSQL's ${right.join(", ")}`;
}

function inOrder(couples: readonly Couple[], sqlite: readonly DiscoveredTable[]): Couple[] {
  const bySqlite = new Map(couples.map((couple) => [couple.sqlite.name, couple]));
  return sqlite.map(({ name }) => bySqlite.get(name)).filter((couple) => couple !== undefined);
}

function byName(tables: readonly DiscoveredTable[], name: string): DiscoveredTable {
  const table = tables.find((candidate) => candidate.name === name);
  if (table === undefined) throw new Error(`no table ${name}`);
  return table;
}
