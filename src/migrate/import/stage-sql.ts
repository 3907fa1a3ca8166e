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

/** One table of a stage on PostgreSQL: with the line of each row, and some of its columns. */
export interface StagePart {
  readonly name: string;
  readonly columns: readonly string[];
  /** Where these stand among all columns, from the first to before the last. */
  readonly from: number;
  readonly to: number;
}

/** PostgreSQL's tables end at 1,600 columns, and one holds the line. */
const mostColumns = 1_599;

/** What a stage asks of its database. The stage is called `s` in it, its columns `c0`, `c1` and so on; the table that it is for is `t`. */
export class StageSql {
  readonly intake: Intake;
  /** The stage's own, with its schema. */
  readonly name: string;
  /** What the column with a row's line is called. */
  readonly line: string;
  /** Those of the stage, without the line. */
  readonly columns: readonly string[];
  /** The first bears the stage's name: a row counts as long as it is there. SQLite's stages have one only. */
  readonly parts: readonly StagePart[];
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
    this.parts = [...chunks(this.columns, target.side === "postgres" ? mostColumns : this.columns.length)].map(
      (columns, index) => {
        const from = index * mostColumns;
        return { name: index === 0 ? name : `${name}_${index}`, columns, from, to: from + columns.length };
      },
    );
    this.#side = target.side;
    this.target = quote(target.name);
    this.#targetColumns = table.columns.map((column) => quotedOn(target.side, column));
    this.#keyAt = table.key.map((key) => table.columns.findIndex((column) => column.name === key));
  }

  create(): string[] {
    if (this.#side === "postgres") return this.parts.map((part) => this.#createPart(part));
    const key = `CREATE UNIQUE INDEX ${this.name}_key ON ${unqualified(this.name)} (${this.#keyList()})`;
    return [
      `DROP TABLE IF EXISTS ${this.name}`,
      `CREATE TABLE ${this.name} AS SELECT ${this.#named(0, this.columns.length)} FROM ${this.target} WHERE FALSE`,
      ...(this.#keyAt.length === 0 ? [] : [key]),
    ];
  }

  drop(): string {
    return `DROP TABLE ${this.parts.map(({ name }) => name).join(", ")}`;
  }

  #createPart({ name, from, to }: StagePart): string {
    return `CREATE TEMP TABLE ${unqualified(name)} ON COMMIT DROP AS
      SELECT NULL::bigint AS line, ${this.#named(from, to)} FROM ${this.target} WITH NO DATA`;
  }

  /** The target's columns by the stage's names. */
  #named(from: number, to: number): string {
    const columns = this.#targetColumns.slice(from, to);
    return columns.map((column, index) => `${column} AS c${from + index}`).join(", ");
  }

  /** Lets PostgreSQL find lines; SQLite does without. */
  index(): string {
    const index = ({ name }: StagePart) => `CREATE INDEX IF NOT EXISTS ${unqualified(name)}_line ON ${name} (line)`;
    return this.parts.map((part) => `${index(part)}; ANALYZE ${part.name}`).join("; ");
  }

  /** A table like the target, foreign keys left out, called as `scratch` says. */
  createScratch(): string {
    return `CREATE TEMP TABLE ${unqualified(this.name)}_trial (LIKE ${this.target} INCLUDING ALL) ON COMMIT DROP`;
  }

  get scratch(): string {
    return `${this.name}_trial`;
  }

  lines({ from, to }: Lines): string {
    return `SELECT ${this.line} AS line FROM ${this.name} WHERE ${this.line} BETWEEN ${from} AND ${to}`;
  }

  takeOut(lines: readonly number[]): string {
    return this.#takeOut(lines.join(", "));
  }

  /** Those that have the key of a row before them. */
  takeOutDuplicates(): string {
    return this.#takeOut(this.#behindAnother(this.#keyAt, "TRUE"));
  }

  /** Those whose parents are neither in the database nor in one of the stages; null where a column of the foreign key is not carried. */
  takeOutOrphans(foreignKey: ForeignKey, stages: readonly StageSql[], lines: Lines): string | null {
    const condition = this.#orphanCondition(foreignKey, stages);
    if (condition === null) return null;
    return this.#takeOut(`SELECT s.${this.line} FROM ${this.#from("s", lines)} AND ${condition}`);
  }

  /** Those with a unique value that another row has; null where one of its columns is not carried. */
  takeOutCollisions(unique: readonly string[]): string | null {
    const at = this.#placesOf(unique);
    if (at === null) return null;
    const same = at.map((index) => `t.${this.#targetColumns[index]} = s.c${index}`).join(" AND ");
    const isItself = this.#keyAt.length === 0 ? "FALSE" : this.#keyMatch();
    const others = `EXISTS (SELECT 1 FROM ${this.target} AS t WHERE ${same} AND NOT (${isItself}))`;
    const given = at.map((index) => `s.c${index} IS NOT NULL`).join(" AND ");
    return this.#takeOut(`SELECT s.line FROM ${this.#from("s")} AND ${others} UNION ${this.#behindAnother(at, given)}`);
  }

  /** How many rows of these lines are not in the table yet, as `n`. */
  absent(lines: Lines): string {
    return `SELECT count(*) AS n FROM ${this.#from("s", lines)}
      AND NOT EXISTS (SELECT 1 FROM ${this.target} AS t WHERE ${this.#keyMatch()})`;
  }

  /** Brings these lines into the table, or into another one like it; a key decides what becomes of a row that is there. */
  merge(lines: Lines, overwrite: boolean, into = this.target): string {
    const columns = this.#targetColumns.join(", ");
    const rows = `SELECT ${this.columns.join(", ")} FROM ${this.#from("s", lines)}`;
    const conflict = this.#keyAt.length === 0 ? "" : this.#onConflict(overwrite);
    // What SQLite's constraints say of conflicts themselves must not let a row go missing.
    if (this.#side === "sqlite") return `INSERT OR ABORT INTO ${into} AS t (${columns}) ${rows} ${conflict}`;
    return `INSERT INTO ${into} AS t (${columns}) OVERRIDING SYSTEM VALUE ${rows} ${conflict}`;
  }

  /**
   * How many rows of these lines are in the table now: `present` in all, `same` ones, and such that are `newer` there. Each is a join of its
   * own: one that hands the columns of both tables on ends at 1,664 of them on PostgreSQL.
   */
  counts(lines: Lines): string {
    const joined = `SELECT count(*) FROM ${this.target} AS t, ${this.#from("s", lines)} AND ${this.#keyMatch()}`;
    return `SELECT (${joined}) AS present, (${joined} AND ${this.#same("s")}) AS same, (${joined} AND ${this.#older() ?? "FALSE"}) AS newer`;
  }

  #takeOut(lines: string): string {
    return `DELETE FROM ${this.name} WHERE ${this.line} IN (${lines}) RETURNING ${this.line} AS line`;
  }

  /** What stands behind FROM for the rows of some lines, or all; a further condition may follow. A stage in parts is put together first. */
  #from(alias: string, lines?: Lines): string {
    const [first, ...others] = this.parts;
    const within = (name: string) =>
      lines === undefined ? "TRUE" : `${name}.${this.line} BETWEEN ${lines.from} AND ${lines.to}`;
    if (first === undefined || others.length === 0) return `${this.name} AS ${alias} WHERE ${within(alias)}`;
    const joins = others.map(({ name }, index) => `JOIN ${name} AS p${index} USING (line)`);
    const selected = `SELECT line, ${this.columns.join(", ")} FROM ${first.name} AS p ${joins.join(" ")}`;
    return `(${selected} WHERE ${within("p")} OFFSET 0) AS ${alias} WHERE TRUE`;
  }

  /** The lines of rows that hold in these columns what one before them holds. */
  #behindAnother(at: readonly number[], condition: string): string {
    const columns = at.map((index) => `s.c${index}`).join(", ");
    return `SELECT line FROM (SELECT s.line, row_number() OVER (PARTITION BY ${columns} ORDER BY s.line) AS n
      FROM ${this.#from("s")} AND ${condition}) AS r WHERE n > 1`;
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
      missing.push(`NOT EXISTS (SELECT 1 FROM ${staged.#from("p")} AND ${pairs.join(" AND ")})`);
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

function unqualified(name: string): string {
  return name.replace(/^.*\./, "");
}
