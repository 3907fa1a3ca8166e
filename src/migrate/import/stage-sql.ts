import { chunks } from "../../data/chunks.js";
import { type ForeignKey, quote, quotedOn } from "../../data/table.js";
import type { Side } from "../../engines/engine.js";
import type { Intake } from "./intake.js";
import { changeTimeOf, isLater, isSame } from "./rule.js";

/** Lines of a file, both ends included. */
export interface Window {
  readonly from: number;
  readonly to: number;
}

/** Lines by their numbers, or by SQL that stands for those. */
export interface Lines {
  readonly from: number | string;
  readonly to: number | string;
}

/** What a stage asks of its database. The stage is called `s` in it, its columns `c0`, `c1` and so on; the table that it is for is `t`. */
export class StageSql {
  readonly intake: Intake;
  /** The stage's own, with its schema. */
  readonly name: string;
  /** What the column with a row's line is called. */
  readonly line: string;
  /** Those of the stage, without the line. */
  readonly columns: readonly string[];
  /** The table that it is for, as an SQL identifier. */
  readonly target: string;
  readonly #side: Side;
  /** Those of the target, in the same order. */
  readonly #targetColumns: readonly string[];
  readonly #keyAt: readonly number[];

  constructor(intake: Intake, name: string) {
    const { table, target } = intake;
    this.intake = intake;
    this.name = name;
    this.line = target.side === "sqlite" ? "_rowid_" : "line";
    this.columns = table.columns.map((_, index) => `c${index}`);
    this.#side = target.side;
    this.target = quote(target.name);
    this.#targetColumns = table.columns.map((column) => quotedOn(target.side, column));
    this.#keyAt = table.key.map((key) => table.columns.findIndex((column) => column.name === key));
  }

  get #unqualified(): string {
    return this.name.replace(/^.*\./, "");
  }

  create(): string[] {
    const name = this.#unqualified;
    const selected = this.#targetColumns.map((column, index) => `${column} AS c${index}`).join(", ");
    const from = `FROM ${this.target}`;
    if (this.#side === "postgres")
      return [
        `CREATE TEMP TABLE ${name} ON COMMIT DROP AS SELECT NULL::bigint AS line, ${selected} ${from} WITH NO DATA`,
      ];
    const key = `CREATE UNIQUE INDEX ${this.name}_key ON ${name} (${this.#keyList()})`;
    return [
      `DROP TABLE IF EXISTS ${this.name}`,
      `CREATE TABLE ${this.name} AS SELECT ${selected} ${from} WHERE FALSE`,
      ...(this.#keyAt.length === 0 ? [] : [key]),
    ];
  }

  drop(): string {
    return `DROP TABLE ${this.name}`;
  }

  /** Lets PostgreSQL find lines; SQLite does without. */
  index(): string {
    return `CREATE INDEX IF NOT EXISTS ${this.#unqualified}_line ON ${this.name} (line); ANALYZE ${this.name}`;
  }

  /** A table like the target, foreign keys left out, called as `scratch` says. */
  createScratch(): string {
    return `CREATE TEMP TABLE ${this.#unqualified}_trial (LIKE ${this.target} INCLUDING ALL) ON COMMIT DROP`;
  }

  get scratch(): string {
    return `pg_temp.${this.#unqualified}_trial`;
  }

  lines({ from, to }: Lines): string {
    return `SELECT ${this.line} AS line FROM ${this.name} WHERE ${this.line} BETWEEN ${from} AND ${to}`;
  }

  takeOut(lines: readonly number[]): string {
    return `DELETE FROM ${this.name} WHERE ${this.line} IN (${lines.join(", ")})`;
  }

  /** Those that have the key of a row before them. */
  takeOutDuplicates(): string {
    const twice = `SELECT line FROM (SELECT line, row_number() OVER (PARTITION BY ${this.#keyList()} ORDER BY line) AS n FROM ${this.name}) AS r WHERE n > 1`;
    return `DELETE FROM ${this.name} WHERE line IN (${twice}) RETURNING line`;
  }

  /** Those whose parents are neither in the database nor in one of the stages; null where a column of the foreign key is not carried. */
  takeOutOrphans(foreignKey: ForeignKey, stages: readonly StageSql[], { from, to }: Window): string | null {
    const condition = this.#orphanCondition(foreignKey, stages);
    if (condition === null) return null;
    return `DELETE FROM ${this.name} AS s WHERE s.${this.line} BETWEEN ${from} AND ${to} AND ${condition} RETURNING ${this.line} AS line`;
  }

  /** Those with a unique value that another row has; null where one of its columns is not carried. */
  takeOutCollisions(unique: readonly string[]): string | null {
    const at = this.#placesOf(unique);
    if (at === null) return null;
    const same = at.map((index) => `t.${this.#targetColumns[index]} = s.c${index}`).join(" AND ");
    const isItself = this.#keyAt.length === 0 ? "FALSE" : this.#keyMatch();
    const others = `EXISTS (SELECT 1 FROM ${this.target} AS t WHERE ${same} AND NOT (${isItself}))`;
    const list = at.map((index) => `c${index}`);
    const twice = `s.line IN (SELECT line FROM (SELECT line, row_number() OVER (PARTITION BY ${list.join(", ")} ORDER BY line) AS n
      FROM ${this.name} WHERE ${list.map((name) => `${name} IS NOT NULL`).join(" AND ")}) AS r WHERE n > 1)`;
    return `DELETE FROM ${this.name} AS s WHERE ${others} OR ${twice} RETURNING line`;
  }

  /** How many rows of these lines are not in the table yet, as `n`. */
  absent({ from, to }: Window): string {
    return `SELECT count(*) AS n FROM ${this.name} AS s WHERE s.${this.line} BETWEEN ${from} AND ${to}
      AND NOT EXISTS (SELECT 1 FROM ${this.target} AS t WHERE ${this.#keyMatch()})`;
  }

  /** Brings these lines into the table, or into another one like it; a key decides what becomes of a row that is there. */
  merge({ from, to }: Lines, overwrite: boolean, into = this.target): string {
    const columns = this.#targetColumns.join(", ");
    const lines = `SELECT ${this.columns.join(", ")} FROM ${this.name} AS s WHERE s.${this.line} BETWEEN ${from} AND ${to}`;
    const conflict = this.#keyAt.length === 0 ? "" : this.#onConflict(overwrite);
    // What SQLite's constraints say of conflicts themselves must not let a row go missing.
    if (this.#side === "sqlite") return `INSERT OR ABORT INTO ${into} AS t (${columns}) ${lines} ${conflict}`;
    return `INSERT INTO ${into} AS t (${columns}) OVERRIDING SYSTEM VALUE ${lines} ${conflict}`;
  }

  /** How many rows of these lines are in the table now: `present` in all, `same` ones, and such that are `newer` there. */
  counts({ from, to }: Window): string {
    return `SELECT count(*) AS present, ${countIf(this.#same("s"))} AS same, ${countIf(this.#older() ?? "FALSE")} AS newer
      FROM ${this.name} AS s JOIN ${this.target} AS t ON ${this.#keyMatch()} WHERE s.${this.line} BETWEEN ${from} AND ${to}`;
  }

  #onConflict(overwrite: boolean): string {
    const others = this.#targetColumns.filter((_, index) => !this.#keyAt.includes(index));
    const set = others.map((column) => `${column} = excluded.${column}`).join(", ");
    const wanted = overwrite
      ? `NOT (${this.#same("excluded")})`
      : this.#newer((index) => `excluded.${this.#targetColumns[index]}`);
    const change = others.length === 0 || wanted === null ? "NOTHING" : `UPDATE SET ${set} WHERE ${wanted}`;
    const key = this.#keyAt.map((index) => this.#targetColumns[index]).join(", ");
    return `ON CONFLICT (${key}) DO ${change}`;
  }

  #orphanCondition({ columns, parent, parentColumns }: ForeignKey, stages: readonly StageSql[]): string | null {
    const at = this.#placesOf(columns);
    if (at === null) return null;
    const given = at.map((index) => `s.c${index} IS NOT NULL`);
    const match = parentColumns.map((name, index) => `p.${quote(name)} = s.c${at[index]}`);
    const missing = [`NOT EXISTS (SELECT 1 FROM ${quote(parent)} AS p WHERE ${match.join(" AND ")})`];
    const staged = stages.find(({ intake }) => intake.target.name === parent);
    const stagedAt = staged === undefined ? null : staged.#placesOf(parentColumns);
    if (staged !== undefined && stagedAt !== null) {
      const pairs = stagedAt.map((index, place) => `p.c${index} = s.c${at[place]}`);
      missing.push(`NOT EXISTS (SELECT 1 FROM ${staged.name} AS p WHERE ${pairs.join(" AND ")})`);
    }
    return [...given, ...missing].join(" AND ");
  }

  /** Where columns of the target stand; null where one of them is not carried. */
  #placesOf(names: readonly string[]): readonly number[] | null {
    const at = names.map((name) => this.intake.indexOf(name));
    return at.every((index) => index !== undefined) ? at : null;
  }

  #keyList(): string {
    return this.#keyAt.map((index) => `c${index}`).join(", ");
  }

  #keyMatch(): string {
    return this.#keyAt.map((index) => `t.${this.#targetColumns[index]} = s.c${index}`).join(" AND ");
  }

  #same(source: "s" | "excluded"): string {
    const given = (index: number) => (source === "s" ? `s.c${index}` : `excluded.${this.#targetColumns[index]}`);
    const parts = this.intake.table.columns.map((column, index) =>
      isSame(this.#side, column, `t.${this.#targetColumns[index]}`, given(index)),
    );
    return all(parts);
  }

  /** That the file's row is the newer one; null where nothing tells. */
  #newer(given: (index: number) => string): string | null {
    const column = changeTimeOf(this.intake);
    if (column === null) return null;
    const index = this.intake.table.columns.indexOf(column);
    return isLater(this.#side, column, given(index), `t.${this.#targetColumns[index]}`);
  }

  /** That the file's row is the older one, and not the same. */
  #older(): string | null {
    const column = changeTimeOf(this.intake);
    if (column === null) return null;
    const index = this.intake.table.columns.indexOf(column);
    return isLater(this.#side, column, `t.${this.#targetColumns[index]}`, `s.c${index}`);
  }
}

/** SQLite limits how deep conditions go, so many are taken in groups. */
function all(conditions: readonly string[]): string {
  if (conditions.length <= 50) return conditions.map((condition) => `(${condition})`).join(" AND ") || "TRUE";
  return [...chunks(conditions, 50)].map((part) => `(${all(part)})`).join(" AND ");
}

function countIf(condition: string): string {
  return `COALESCE(sum(CASE WHEN ${condition} THEN 1 ELSE 0 END), 0)`;
}
