import type { Side } from "../engines/engine.js";
import type { DiscoveredColumn, DiscoveredTable } from "./catalogue.js";
import { commonKey } from "./common-key.js";
import { type Ambiguity, matchNames } from "./match.js";
import type { Column, ForeignKey, Table } from "./table.js";

/** A column that one side lacks. */
export interface MissingColumn {
  readonly side: Side;
  readonly table: string;
  readonly column: string;
}

/** Names that may mean more than one; `table` is absent where they are names of tables. `left` are SQLite's, `right` PostgreSQL's. */
export interface AmbiguousNames extends Ambiguity {
  readonly table?: string;
}

/** A table of both sides: as it is carried, and as each side's catalogue has it. */
export interface TablePair {
  readonly table: Table;
  readonly sqlite: DiscoveredTable;
  readonly postgres: DiscoveredTable;
  readonly missing: readonly MissingColumn[];
  /** Why the table has no key that both sides keep, so that it is not mirrored; null where it has one. */
  readonly keyless: string | null;
}

/** The tables that both sides have, and what stands in the way of carrying the others. */
export interface Pairing {
  readonly tables: readonly Table[];
  /** Tables without a key that both sides keep: `key` is empty, and they can only be copied, into an empty table. */
  readonly keyless: readonly Table[];
  /** Tables of SQLite that nobody mirrors, with the reason; those without a key among them. */
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
}

/**
 * Matches the tables and the columns of both sides by name: exactly, else without regard to case, else by their words. The kinds are
 * PostgreSQL's, since it is the stricter side; the names are SQLite's.
 */
export function pairTables(sqlite: readonly DiscoveredTable[], postgres: readonly DiscoveredTable[]): Pairing {
  const matches = matchNames(namesOf(sqlite), namesOf(postgres));
  const couples = matches.pairs.map(([mine, other]) => new Couple(byName(sqlite, mine), byName(postgres, other)));
  const byPostgres = new Map(couples.map((couple) => [couple.postgres.name, couple]));
  const clear = couples.filter(({ ambiguous }) => ambiguous.length === 0);
  const pairs = inOrder(clear, sqlite).map((couple) => couple.pair(byPostgres));
  return {
    tables: pairs.filter(({ keyless }) => keyless === null).map(({ table }) => table),
    keyless: pairs.filter(({ keyless }) => keyless !== null).map(({ table }) => table),
    unmirrored: unmirroredOf(sqlite, couples, pairs, matches.ambiguous),
    missing: pairs.filter(({ keyless }) => keyless === null).flatMap(({ missing }) => missing),
    pairs,
    ambiguous: [
      ...matches.ambiguous,
      ...couples.flatMap(({ sqlite: { name: table }, ambiguous }) => ambiguous.map((names) => ({ ...names, table }))),
    ],
    generated: couples.flatMap((couple) => couple.generated()),
    postgresOnly: namesOf(postgres).filter((name) => !byPostgres.has(name)),
  };
}

/** A table of SQLite and the one of PostgreSQL that bears its name. */
class Couple {
  readonly sqlite: DiscoveredTable;
  readonly postgres: DiscoveredTable;
  readonly ambiguous: readonly Ambiguity[];
  readonly #pairs: readonly (readonly [string, string])[];
  /** SQLite's name by PostgreSQL's. */
  readonly #names: ReadonlyMap<string, string>;

  constructor(sqlite: DiscoveredTable, postgres: DiscoveredTable) {
    this.sqlite = sqlite;
    this.postgres = postgres;
    const { pairs, ambiguous } = matchNames(allNames(sqlite), allNames(postgres));
    this.ambiguous = ambiguous;
    this.#pairs = pairs;
    this.#names = new Map(pairs.map(([mine, other]) => [other, mine]));
  }

  pair(byPostgres: ReadonlyMap<string, Couple>): TablePair {
    const { sqlite, postgres } = this;
    const columns = this.#columns();
    const carried = new Set(columns.map(({ name }) => name));
    const isCarried = (names: readonly string[]) => names.every((name) => carried.has(name));
    const found = commonKey(sqlite.keys, this.#translated(postgres.keys), columns, this.#collations());
    const key = found.key ?? [];
    const uniques = [...sqlite.keys, ...sqlite.uniques, ...this.#translated([...postgres.keys, ...postgres.uniques])];
    const table: Table = {
      name: sqlite.name,
      ...(postgres.name === sqlite.name ? {} : { postgresName: postgres.name }),
      columns,
      key,
      uniques: sets(uniques.filter(isCarried)).filter((names) => !sameSet(names, key)),
      foreignKeys: this.#foreignKeys(byPostgres).filter((foreignKey) => isCarried(foreignKey.columns)),
    };
    return { table, sqlite, postgres, missing: this.#missing(), keyless: found.key === null ? found.reason : null };
  }

  /** Columns that either side computes, under SQLite's name where it has one. */
  generated(): MissingColumn[] {
    const table = this.sqlite.name;
    return [
      ...this.sqlite.generated.map(({ name }) => ({ side: "sqlite" as const, table, column: name })),
      ...this.postgres.generated.map(({ name }) => ({ side: "postgres" as const, table, column: this.nameOf(name) })),
    ];
  }

  /** SQLite's name of a column of PostgreSQL. */
  nameOf(postgresName: string): string {
    return this.#names.get(postgresName) ?? postgresName;
  }

  /** In the order of PostgreSQL's table. */
  #columns(): Column[] {
    return this.postgres.columns.flatMap((other) => {
      const mine = this.sqlite.columns.find(({ name }) => name === this.#names.get(other.name));
      return mine === undefined ? [] : [carriedColumn(mine, other)];
    });
  }

  #missing(): MissingColumn[] {
    const table = this.sqlite.name;
    const matched = new Set(this.#pairs.map(([mine]) => mine));
    const lacking = (side: Side, names: readonly string[]) => names.map((column) => ({ side, table, column }));
    return [
      ...lacking(
        "postgres",
        namesOf(this.sqlite.columns).filter((name) => !matched.has(name)),
      ),
      ...lacking(
        "sqlite",
        namesOf(this.postgres.columns).filter((name) => !this.#names.has(name)),
      ),
    ];
  }

  #translated(lists: readonly (readonly string[])[]): string[][] {
    return lists.map((names) => names.map((name) => this.nameOf(name)));
  }

  #collations(): Map<string, string> {
    const found = new Map<string, string>();
    for (const { name, collation } of this.postgres.columns)
      if (collation !== null) found.set(this.nameOf(name), `${collation} in PostgreSQL`);
    for (const { name, collation } of this.sqlite.columns)
      if (collation !== null) found.set(name, `${collation} in SQLite`);
    return found;
  }

  /** Of both sides: either can refuse a row. */
  #foreignKeys(byPostgres: ReadonlyMap<string, Couple>): ForeignKey[] {
    const others = this.postgres.foreignKeys.map((key): ForeignKey => {
      const parent = byPostgres.get(key.parent);
      return {
        ...key,
        columns: key.columns.map((name) => this.nameOf(name)),
        parent: parent?.sqlite.name ?? key.parent,
        parentColumns: key.parentColumns.map((name) => parent?.nameOf(name) ?? name),
      };
    });
    const all = [...this.sqlite.foreignKeys, ...others];
    return [...new Map(all.map((key) => [JSON.stringify([key.columns, key.parent, key.parentColumns]), key])).values()];
  }
}

function carriedColumn(mine: DiscoveredColumn, other: DiscoveredColumn): Column {
  const { name, kind, notNull, type, cast, base } = other;
  return {
    name: mine.name,
    ...(name === mine.name ? {} : { postgresName: name }),
    kind,
    notNull,
    ...(type === undefined ? {} : { type }),
    ...(cast === undefined ? {} : { cast }),
    ...(base === undefined ? {} : { base }),
    sqliteType: mine.sqliteType ?? "",
    sqliteNotNull: mine.notNull,
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

function namesOf(things: readonly { readonly name: string }[]): string[] {
  return things.map(({ name }) => name);
}

function allNames({ columns, generated }: DiscoveredTable): string[] {
  return [...namesOf(columns), ...namesOf(generated)];
}

function byName(tables: readonly DiscoveredTable[], name: string): DiscoveredTable {
  const table = tables.find((candidate) => candidate.name === name);
  if (table === undefined) throw new Error(`no table ${name}`);
  return table;
}

function sets(lists: readonly (readonly string[])[]): string[][] {
  return [...new Map(lists.map((names) => [[...names].sort().join("\0"), [...names]])).values()];
}

function sameSet(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((name) => right.includes(name));
}
