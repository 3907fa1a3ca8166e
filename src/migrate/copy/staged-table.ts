import { chunks } from "../../data/chunks.js";
import { keyExpression } from "../../data/key.js";
import { type RefusedBecause, refusedAsDuplicate, refusedAsOrphan } from "../../data/refusal.js";
import { type Column, columnOf, type ForeignKey, quote, quotedOn, type Table } from "../../data/table.js";
import { statement, type Transaction } from "../../engines/engine.js";
import { mergeText } from "./merge-text.js";
import { keyOf, orphanCondition, same, takes } from "./obstacle.js";
import { columnsPointedTo, parked } from "./parking.js";
import { columnNamed, type TargetTable, type UniqueKey } from "./target-table.js";

/** A row that cannot go, by its place in the stage and by its key. */
export interface Misfit extends RefusedBecause {
  readonly n: number;
  readonly key: string;
}

/** Some rows of a stage, as a condition on those that are called `alias` there. */
export type Part = (alias: string) => string;

export const everyRow: Part = () => "TRUE";

/** The stage's own column: the order in which the rows came. */
export const ordinal = "dualdb_n";

/** Where a stage is made: a libSQL server makes no temporary tables, so there it is taken away before the transaction ends. */
export type StageSchema = "temp" | "main";

/**
 * Rows of one table beside the table that they are for, so that the database itself finds what stands in their way, all of it at once.
 * What refuses a row by itself, its types and CHECKs, refuses it here on PostgreSQL; nothing does on SQLite.
 */
export class StagedTable {
  readonly target: TargetTable;
  /** The stage as a table that rows can be loaded into. */
  readonly stage: Table;
  readonly #transaction: Transaction;
  readonly #schema: StageSchema;
  readonly #name: string;
  /** Columns that some foreign key points to. */
  #pointedTo: ReadonlySet<string> = new Set();

  constructor(transaction: Transaction, target: TargetTable, number: number, schema: StageSchema) {
    this.target = target;
    this.#transaction = transaction;
    this.#schema = schema;
    this.#name = `dualdb_staged_${number}`;
    const { table } = target;
    this.stage = { ...table, ...(target.side === "sqlite" ? { name: this.#name } : { postgresName: this.#name }) };
  }

  /** `stages`: those of all tables whose rows may point to each other. */
  async create(stages: readonly StagedTable[]): Promise<void> {
    const { side } = this.target;
    await this.#transaction.script(side === "sqlite" ? this.#sqliteText(stages) : this.#postgresText());
    if (this.target.uniques.length > 0) this.#pointedTo = await columnsPointedTo(this.#transaction, this.target);
  }

  async drop(): Promise<void> {
    await this.#transaction.script(`DROP TABLE ${this.#name}`);
  }

  /** To be called when the rows are there: how many may then come to the planner as a surprise. */
  async analyze(): Promise<void> {
    if (this.target.side === "postgres") await this.#transaction.script(`ANALYZE ${this.#name}`);
  }

  /** The number of the last row; 0 where there is none. */
  async last(): Promise<number> {
    const [row] = await this.#query(`SELECT COALESCE(max(${ordinal}), 0) AS n FROM ${this.#name}`);
    return Number(row?.n);
  }

  async keys(part: Part): Promise<{ readonly n: number; readonly key: string }[]> {
    const rows = await this.#query(`SELECT ${this.#identity("s")} FROM ${this.#name} AS s WHERE ${part("s")}`);
    return rows.map(identityOf);
  }

  /** How large the values of some columns are, each the largest in these rows, by SQLite's names of the columns. */
  async sizes(part: Part, columns: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const { side, table } = this.target;
    const sizes = columns.map((name, index) => {
      const column = quotedOn(side, columnOf(table, name));
      return `COALESCE(max(length(CAST(s.${column} AS text))), 0) AS c${index}`;
    });
    const [row] = await this.#query(`SELECT ${sizes.join(", ")} FROM ${this.#name} AS s WHERE ${part("s")}`);
    return new Map(columns.map((name, index) => [name, Number(row?.[`c${index}`])]));
  }

  async remove(rows: readonly { readonly n: number }[]): Promise<void> {
    for (const some of chunks(rows, 5_000))
      await this.#transaction.script(
        `DELETE FROM ${this.#name} WHERE ${ordinal} IN (${some.map(({ n }) => n).join(", ")})`,
      );
  }

  /** Rows whose parents are neither in the database nor among these stages. */
  async orphans(stages: readonly StagedTable[]): Promise<Misfit[]> {
    const { table, side, foreignKeys } = this.target;
    const found: Misfit[] = [];
    for (const foreignKey of foreignKeys) {
      const staged = parentIn(stages, foreignKey);
      const parents = [quote(foreignKey.parent), ...(staged === undefined ? [] : [staged.#name])];
      const condition = orphanCondition(foreignKey, parents);
      found.push(...(await this.#misfits(condition, refusedAsOrphan(table, side, foreignKey.columns))));
    }
    return found;
  }

  /** Rows with a unique value that is held by a row of the target which is not going to let go of it. */
  async blocked(): Promise<Misfit[]> {
    const found: Misfit[] = [];
    for (const { name, columns } of this.target.uniques) {
      const goes = `EXISTS (SELECT 1 FROM ${this.#name} AS m WHERE ${this.#movesOn(columns)})`;
      const condition = `EXISTS (SELECT 1 FROM ${this.#target} AS t WHERE ${takes(this.target, columns)} AND NOT ${goes})`;
      found.push(...(await this.#misfits(condition, this.#duplicate({ name, columns }))));
    }
    return found;
  }

  /** Rows with a unique value that a row before them has. */
  async duplicates(): Promise<Misfit[]> {
    const found: Misfit[] = [];
    for (const { name, columns } of this.target.uniques) {
      const list = columns.map(quote);
      const whole = list.map((column) => `${column} IS NOT NULL`).join(" AND ");
      const places = `SELECT ${ordinal}, row_number() OVER (PARTITION BY ${list.join(", ")} ORDER BY ${ordinal}) AS place
        FROM ${this.#name} WHERE ${whole}`;
      const condition = `s.${ordinal} IN (SELECT ${ordinal} FROM (${places}) AS r WHERE place > 1)`;
      found.push(...(await this.#misfits(condition, this.#duplicate({ name, columns }))));
    }
    return found;
  }

  /**
   * Statements that have rows of the target let go of a unique value which another row of the stage takes, as far as their own new ones
   * are in the stage: the first step of two, since the order in which rows are written cannot be told.
   */
  parkTexts(holders: Part, takers: Part): string[] {
    return this.target.uniques.flatMap(({ columns }) => {
      const change = parked(this.target, columns, this.#pointedTo, { name: this.#name, number: ordinal });
      if (change === null) return [];
      const taker = `SELECT 1 FROM ${this.#name} AS s WHERE ${takes(this.target, columns)} AND ${takers("s")}`;
      return `UPDATE ${this.#target} AS t SET ${change} FROM ${this.#name} AS m
        WHERE ${this.#movesOn(columns)} AND ${holders("m")} AND EXISTS (${taker})`;
    });
  }

  /** The statement that brings these rows into the table. */
  mergeText(part: Part): string {
    const { side, table } = this.target;
    const columns = table.columns.map((column) => `s.${quotedOn(side, column)}`).join(", ");
    return mergeText(side, table, `SELECT ${columns} FROM ${this.#name} AS s WHERE ${part("s")}`);
  }

  /** The SELECTs of the pairs of rows of which the second has to be there before the first, or together with it: `n` and `m`. */
  dependencies(stages: readonly StagedTable[]): { readonly on: StagedTable; readonly text: string }[] {
    const select = `SELECT s.${ordinal} AS n, m.${ordinal} AS m FROM ${this.#name} AS s`;
    const parents = this.target.foreignKeys.flatMap((foreignKey) => {
      const on = parentIn(stages, foreignKey);
      if (on === undefined) return [];
      return [{ on, text: `${select} JOIN ${on.#name} AS m ON ${pointsTo("m", foreignKey)}` }];
    });
    const holders = this.target.uniques.map(({ columns }) => ({
      on: this,
      text: `${select} JOIN ${this.#target} AS t ON ${takes(this.target, columns)} JOIN ${this.#name} AS m ON ${same("m", "t", keyOf(this.target))}`,
    }));
    return [...parents, ...holders];
  }

  get #target(): string {
    return quotedOn(this.target.side, this.target.table);
  }

  get #columns(): readonly Column[] {
    return this.target.table.columns;
  }

  #postgresText(): string {
    const like = `LIKE ${this.#target} INCLUDING CONSTRAINTS INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING IDENTITY`;
    return `CREATE TEMPORARY TABLE ${this.#name} (${like}, ${ordinal} bigserial, PRIMARY KEY (${keyOf(this.target).join(", ")})) ON COMMIT DROP`;
  }

  #sqliteText(stages: readonly StagedTable[]): string {
    const columns = this.#columns.map((column) => `${quote(column.name)} ${column.sqliteType ?? ""}`);
    const pointers = stages
      .flatMap(({ target }) => target.foreignKeys)
      .filter((foreignKey) => parentIn(stages, foreignKey) === this);
    const lookedUp = [
      ...this.target.uniques.map(({ columns: names }) => names),
      ...pointers.map(({ parentColumns }) => parentColumns),
    ];
    const schema = this.#schema;
    return [
      `DROP TABLE IF EXISTS ${schema}.${this.#name}`,
      `CREATE TABLE ${schema}.${this.#name} (${ordinal} INTEGER PRIMARY KEY, ${columns.join(", ")}, UNIQUE (${keyOf(this.target).join(", ")}))`,
      ...lookedUp.map(
        (names, index) =>
          `CREATE INDEX ${schema}.${this.#name}_${index} ON ${this.#name} (${names.map(quote).join(", ")})`,
      ),
    ].join("; ");
  }

  /** That `m` is the row of the stage which `t` becomes, and has another value there. */
  #movesOn(columns: readonly string[]): string {
    const all = (alias: string) => `(${columns.map((name) => `${alias}.${quote(name)}`).join(", ")})`;
    return `${same("m", "t", keyOf(this.target))} AND ${all("m")} IS DISTINCT FROM ${all("t")}`;
  }

  #duplicate(unique: UniqueKey): RefusedBecause {
    return refusedAsDuplicate(this.target.table, this.target.side, unique);
  }

  async #misfits(condition: string, because: RefusedBecause): Promise<Misfit[]> {
    return (await this.keys(() => condition)).map((row) => ({ ...row, ...because }));
  }

  #identity(alias: string): string {
    const { side, table } = this.target;
    return `${alias}.${ordinal} AS n, ${keyExpression(side, table, alias)} AS row_key`;
  }

  #query(text: string) {
    return this.#transaction.query(statement(text));
  }
}

function parentIn(stages: readonly StagedTable[], { parent, parentColumns }: ForeignKey): StagedTable | undefined {
  return stages.find(({ target }) => {
    const isHere = quotedOn(target.side, target.table) === quote(parent);
    return isHere && parentColumns.every((name) => columnNamed(target, name) !== undefined);
  });
}

/** That `s` points to the row of that alias. */
function pointsTo(parent: string, { columns, parentColumns }: Pick<ForeignKey, "columns" | "parentColumns">): string {
  const same = columns.map((name, index) => `${parent}.${quote(parentColumns[index] ?? name)} = s.${quote(name)}`);
  return same.join(" AND ");
}

function identityOf(row: { readonly n?: unknown; readonly row_key?: unknown }) {
  return { n: Number(row.n), key: String(row.row_key) };
}
