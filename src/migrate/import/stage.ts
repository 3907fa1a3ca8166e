import { chunks } from "../../data/chunks.js";
import { refusedBecause } from "../../data/refusal.js";
import { type ForeignKey, quote, quotedOn } from "../../data/table.js";
import { type Side, type SideTransaction, statement, type Transaction } from "../../engines/engine.js";
import type { DualDbError } from "../../errors.js";
import type { Intake, IntakeRow } from "./intake.js";
import { copyRows } from "./postgres-insert.js";
import { changeTimeOf, isLater, isSame } from "./rule.js";
import { insertRows } from "./sqlite-insert.js";
import type { Tally } from "./tally.js";

/** Lines of a file, both ends included. */
export interface Window {
  readonly from: number;
  readonly to: number;
}

/** For SQLite: in a database of the connection's own, or among the others, where it is taken away before the transaction ends. */
export type StageSchema = "temp" | "main";

/**
 * A file's rows in a temporary table beside the one that they are for, so that the database itself finds what stands in their way: which are
 * there already, which are newer, whose parents are missing. Gone with its transaction.
 */
export class Stage {
  readonly intake: Intake;
  readonly tally: Tally;
  readonly #into: SideTransaction;
  readonly #side: Side;
  readonly #transaction: Transaction;
  readonly #schema: StageSchema | "pg_temp";
  readonly #name: string;
  readonly #target: string;
  readonly #columns: readonly string[];
  readonly #keyAt: readonly number[];
  #last = 0;

  /** `schema`: where a SQLite keeps it; a libSQL server makes no temporary tables. */
  constructor(into: SideTransaction, tally: Tally, schema: StageSchema, number: number) {
    const { intake } = tally;
    this.intake = intake;
    this.tally = tally;
    this.#into = into;
    this.#side = into.side;
    this.#transaction = into.transaction;
    this.#schema = this.#side === "sqlite" ? schema : "pg_temp";
    this.#name = `${this.#schema}.dualdb_import_${number}`;
    this.#target = quote(intake.target.name);
    this.#columns = intake.table.columns.map((column) => quotedOn(this.#side, column));
    this.#keyAt = intake.table.key.map((name) => intake.table.columns.findIndex((column) => column.name === name));
  }

  get line(): string {
    return this.#side === "sqlite" ? "_rowid_" : "line";
  }

  async create(): Promise<void> {
    const name = this.#name.replace(/^.*\./, "");
    const selected = this.#columns.map((column, index) => `${column} AS c${index}`).join(", ");
    if (this.#side === "sqlite") {
      const key = this.#keyAt.map((index) => `c${index}`).join(", ");
      await this.#run(`DROP TABLE IF EXISTS ${this.#name}`);
      await this.#run(`CREATE TABLE ${this.#name} AS SELECT ${selected} FROM ${this.#target} WHERE FALSE`);
      await this.#run(`CREATE UNIQUE INDEX ${this.#name}_key ON ${name} (${key})`);
    } else
      await this.#run(
        `CREATE TEMP TABLE ${name} ON COMMIT DROP AS SELECT NULL::bigint AS line, ${selected} FROM ${this.#target} WITH NO DATA`,
      );
  }

  async drop(): Promise<void> {
    await this.#run(`DROP TABLE ${this.#name}`);
  }

  /** Takes rows in; what PostgreSQL's types refuse, and a key that the file has had before, is set aside. */
  async add(rows: readonly IntakeRow[]): Promise<void> {
    const columns = this.#columns.map((_, index) => `c${index}`);
    this.#last = Math.max(this.#last, rows.at(-1)?.line ?? 0);
    if (this.#into.side === "sqlite") {
      const into = { name: this.#name, columns: [this.line, ...columns], table: this.intake.table, numbered: true };
      const written = await insertRows(this.#transaction, into, rows, "INSERT OR IGNORE");
      if (written < rows.length) await this.#setAsideMissing(rows);
      return;
    }
    const refused = await copyRows(this.#into.transaction, `${this.#name} (line, ${columns.join(", ")})`, rows, true);
    for (const [line, { column, reason }] of refused) this.tally.setAside(line, this.#named(column), reason);
  }

  /** Sets aside what has the key of a row before it. */
  async setAsideDuplicates(): Promise<void> {
    if (this.#side === "sqlite") return;
    const key = this.#keyAt.map((index) => `c${index}`).join(", ");
    const twice = `SELECT line FROM (SELECT line, row_number() OVER (PARTITION BY ${key} ORDER BY line) AS n FROM ${this.#name}) AS r WHERE n > 1`;
    await this.#setAside(`DELETE FROM ${this.#name} WHERE line IN (${twice}) RETURNING line`, "", duplicate);
  }

  /** Sets aside rows whose parents are neither in the database nor among these stages. Tells how many. */
  async setAsideOrphans(stages: readonly Stage[]): Promise<number> {
    let found = 0;
    for (const foreignKey of this.intake.target.foreignKeys) {
      const condition = this.#orphanCondition(foreignKey, stages);
      if (condition === null) continue;
      for (const { from, to } of this.windows()) {
        const text = `DELETE FROM ${this.#name} AS s WHERE s.${this.line} BETWEEN ${from} AND ${to} AND ${condition} RETURNING ${this.line} AS line`;
        found += await this.#setAside(
          text,
          this.#listed(foreignKey.columns),
          `no row in ${foreignKey.parent} that it points to`,
        );
      }
    }
    return found;
  }

  /** Sets aside rows with a unique value that another row has. Tells how many. */
  async setAsideCollisions(): Promise<number> {
    const { uniques, keys } = this.intake.target;
    let found = 0;
    for (const unique of [...uniques, ...keys.slice(1)]) {
      const at = unique.map((name) => this.intake.indexOf(name));
      if (at.some((index) => index === undefined)) continue;
      const same = at.map((index) => `t.${this.#columns[index ?? 0]} = s.c${index}`).join(" AND ");
      const others = `EXISTS (SELECT 1 FROM ${this.#target} AS t WHERE ${same} AND NOT (${this.#keyMatch("t", "s")}))`;
      const list = at.map((index) => `c${index}`);
      const twice = `s.line IN (SELECT line FROM (SELECT line, row_number() OVER (PARTITION BY ${list.join(", ")} ORDER BY line) AS n
        FROM ${this.#name} WHERE ${list.map((name) => `${name} IS NOT NULL`).join(" AND ")}) AS r WHERE n > 1)`;
      const text = `DELETE FROM ${this.#name} AS s WHERE ${others} OR ${twice} RETURNING line`;
      found += await this.#setAside(text, this.#listed(unique), "a unique value that another row has");
    }
    return found;
  }

  /** Takes a line out that the database has refused. */
  async refuse(line: number, error: DualDbError): Promise<void> {
    const { column, reason } = refusedBecause(this.intake.table, error);
    await this.#run(`DELETE FROM ${this.#name} WHERE ${this.line} = ${line}`);
    this.tally.setAside(line, column, reason);
  }

  /** All lines, in parts that do not hold up the event loop where the database works inside this process. */
  *windows(size = this.#side === "sqlite" ? 400 : this.#last): Generator<Window> {
    for (let from = 1; from <= this.#last; from += size) yield { from, to: Math.min(this.#last, from + size - 1) };
  }

  /** How many rows of these lines are not in the table yet. */
  async absent({ from, to }: Window): Promise<number> {
    const text = `SELECT count(*) AS n FROM ${this.#name} AS s WHERE s.${this.line} BETWEEN ${from} AND ${to}
      AND NOT EXISTS (SELECT 1 FROM ${this.#target} AS t WHERE ${this.#keyMatch("t", "s")})`;
    const [row] = await this.#query(text);
    return Number(row?.n);
  }

  /** The statement that brings these lines into the table, or into another one like it. */
  mergeText({ from, to }: Window, overwrite: boolean, into = this.#target): string {
    const select = this.#columns.map((_, index) => `s.c${index}`).join(", ");
    const key = this.#keyAt.map((index) => this.#columns[index]).join(", ");
    const others = this.#columns.filter((_, index) => !this.#keyAt.includes(index));
    const set = others.map((column) => `${column} = excluded.${column}`).join(", ");
    const wanted = overwrite
      ? `NOT (${this.#same("excluded")})`
      : this.#newer((index) => `excluded.${this.#columns[index]}`);
    const change = others.length === 0 || wanted === null ? "NOTHING" : `UPDATE SET ${set} WHERE ${wanted}`;
    const overriding = this.#side === "postgres" ? "OVERRIDING SYSTEM VALUE" : "";
    return `INSERT INTO ${into} AS t (${this.#columns.join(", ")}) ${overriding} SELECT ${select} FROM ${this.#name} AS s
      WHERE s.${this.line} BETWEEN ${from} AND ${to} ON CONFLICT (${key}) DO ${change}`;
  }

  /** Counts what became of these lines, of which `written` were inserted or replaced and `absent` were not there before. */
  async count({ from, to }: Window, written: number, absent: number): Promise<void> {
    const [row] = await this.#query(`SELECT count(*) AS present, ${countIf(this.#same("s"))} AS same,
      ${countIf(this.#older() ?? "FALSE")} AS newer FROM ${this.#name} AS s JOIN ${this.#target} AS t ON ${this.#keyMatch("t", "s")}
      WHERE s.${this.line} BETWEEN ${from} AND ${to}`);
    const [present, same, newer] = [Number(row?.present), Number(row?.same), Number(row?.newer)];
    const inserted = Math.min(absent, written);
    this.tally.inserted += inserted;
    this.tally.replaced += written - inserted;
    this.tally.equal += same - written;
    this.tally.newer += newer;
    this.tally.kept += present - same - newer;
  }

  /** A table in which the database may refuse what it would refuse in the real one, foreign keys left out. */
  async scratch(): Promise<string> {
    const name = `${this.#name.replace(/^.*\./, "")}_trial`;
    await this.#run(
      `DROP TABLE IF EXISTS pg_temp.${name}; CREATE TEMP TABLE ${name} (LIKE ${this.#target} INCLUDING ALL) ON COMMIT DROP`,
    );
    return `pg_temp.${name}`;
  }

  /** A column of the table that the stage calls by its place. */
  #named(column: string): string {
    const [, index] = /^c(\d+)$/.exec(column) ?? [];
    return this.intake.table.columns[Number(index)]?.name ?? "";
  }

  /** Columns of the target, by the names of the file's table. */
  #listed(names: readonly string[]): string {
    return names.map((name) => this.intake.table.columns[this.intake.indexOf(name) ?? -1]?.name ?? name).join(", ");
  }

  async #setAsideMissing(rows: readonly IntakeRow[]): Promise<void> {
    const [from, to] = [rows[0]?.line ?? 0, rows.at(-1)?.line ?? 0];
    const found = await this.#query(
      `SELECT ${this.line} AS line FROM ${this.#name} WHERE ${this.line} BETWEEN ${from} AND ${to}`,
    );
    const there = new Set(found.map(({ line }) => Number(line)));
    for (const { line } of rows) if (!there.has(line)) this.tally.setAside(line, "", duplicate);
  }

  async #setAside(text: string, column: string, reason: string): Promise<number> {
    const rows = await this.#query(text);
    for (const { line } of rows) this.tally.setAside(Number(line), column, reason);
    return rows.length;
  }

  /** null where a column of the foreign key is not carried. */
  #orphanCondition({ columns, parent, parentColumns }: ForeignKey, stages: readonly Stage[]): string | null {
    const at = columns.map((name) => this.intake.indexOf(name));
    if (at.some((index) => index === undefined)) return null;
    const given = at.map((index) => `s.c${index} IS NOT NULL`);
    const match = parentColumns.map((name, index) => `p.${quote(name)} = s.c${at[index]}`);
    const missing = [`NOT EXISTS (SELECT 1 FROM ${quote(parent)} AS p WHERE ${match.join(" AND ")})`];
    const staged = stages.find(({ intake }) => intake.target.name === parent);
    const stagedAt = parentColumns.map((name) => staged?.intake.indexOf(name));
    if (staged !== undefined && stagedAt.every((index) => index !== undefined)) {
      const pairs = stagedAt.map((index, place) => `p.c${index} = s.c${at[place]}`);
      missing.push(`NOT EXISTS (SELECT 1 FROM ${staged.#name} AS p WHERE ${pairs.join(" AND ")})`);
    }
    return [...given, ...missing].join(" AND ");
  }

  #keyMatch(left: string, right: string): string {
    return this.#keyAt.map((index) => `${left}.${this.#columns[index]} = ${right}.c${index}`).join(" AND ");
  }

  #same(source: "s" | "excluded"): string {
    const given = (index: number) => (source === "s" ? `s.c${index}` : `excluded.${this.#columns[index]}`);
    const parts = this.intake.table.columns.map((column, index) =>
      isSame(this.#side, column, `t.${this.#columns[index]}`, given(index)),
    );
    return all(parts);
  }

  /** That the file's row is the newer one; null where nothing tells. */
  #newer(given: (index: number) => string): string | null {
    const column = changeTimeOf(this.intake);
    if (column === null) return null;
    const index = this.intake.table.columns.indexOf(column);
    return isLater(this.#side, column, given(index), `t.${this.#columns[index]}`);
  }

  /** That the file's row is the older one, and not the same. */
  #older(): string | null {
    const column = changeTimeOf(this.intake);
    if (column === null) return null;
    const index = this.intake.table.columns.indexOf(column);
    return isLater(this.#side, column, `t.${this.#columns[index]}`, `s.c${index}`);
  }

  async #run(text: string): Promise<void> {
    await this.#transaction.script(text);
  }

  #query(text: string) {
    return this.#transaction.query(statement(text));
  }
}

const duplicate = "a key that the file has had before";

/** SQLite limits how deep conditions go, so many are taken in groups. */
function all(conditions: readonly string[]): string {
  if (conditions.length <= 50) return conditions.map((condition) => `(${condition})`).join(" AND ") || "TRUE";
  return [...chunks(conditions, 50)].map((part) => `(${all(part)})`).join(" AND ");
}

function countIf(condition: string): string {
  return `COALESCE(sum(CASE WHEN ${condition} THEN 1 ELSE 0 END), 0)`;
}
