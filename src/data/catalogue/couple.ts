import type { Side } from "../../engines/engine.js";
import type { Column, ForeignKey, Table } from "../table.js";
import type { DiscoveredColumn, DiscoveredTable } from "./catalogue.js";
import { commonKey, sameSet } from "./common-key.js";
import { type Ambiguity, matchNames } from "./match.js";

/** A column that one side lacks. */
export interface MissingColumn {
  readonly side: Side;
  readonly table: string;
  readonly column: string;
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

/** A table of SQLite and the one of PostgreSQL that bears its name. */
export class Couple {
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
      checkColumns: postgres.checkColumns ?? [],
      sizeLimits: postgres.sizeLimits ?? [],
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
  const { name, kind, notNull, type, cast, base, isFixed } = other;
  return {
    name: mine.name,
    ...(name === mine.name ? {} : { postgresName: name }),
    kind,
    notNull,
    ...(type === undefined ? {} : { type }),
    ...(cast === undefined ? {} : { cast }),
    ...(base === undefined ? {} : { base }),
    ...(isFixed === undefined ? {} : { isFixed }),
    sqliteType: mine.sqliteType ?? "",
    sqliteNotNull: mine.notNull,
  };
}

export function namesOf(things: readonly { readonly name: string }[]): string[] {
  return things.map(({ name }) => name);
}

function allNames({ columns, generated }: DiscoveredTable): string[] {
  return [...namesOf(columns), ...namesOf(generated)];
}

function sets(lists: readonly (readonly string[])[]): string[][] {
  return [...new Map(lists.map((names) => [[...names].sort().join("\0"), [...names]])).values()];
}
