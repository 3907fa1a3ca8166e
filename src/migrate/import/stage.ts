import { reasonOf, refusedBecause } from "../../data/refusal.js";
import {
  type PostgresTransaction,
  type Side,
  type SideTransaction,
  statement,
  type Transaction,
} from "../../engines/engine.js";
import type { DualDbError } from "../../errors.js";
import { noteAlterations } from "./alterations.js";
import type { Intake, IntakeRow } from "./intake.js";
import { insertRows } from "./sqlite-insert.js";
import { StageCopy } from "./stage-copy.js";
import { StageSql, type Window } from "./stage-sql.js";
import type { Tally } from "./tally.js";

/** For SQLite: in a database of the connection's own, or among the others, where it is taken away before the transaction ends. */
export type StageSchema = "temp" | "main";

/**
 * A file's rows in a temporary table beside the one that they are for, so that the database itself finds what stands in their way: which are
 * there already, which are newer, whose parents are missing. Gone with its transaction.
 */
export class Stage {
  readonly tally: Tally;
  readonly #into: SideTransaction;
  readonly sql: StageSql;
  readonly #side: Side;
  readonly #transaction: Transaction;
  readonly #copies: readonly StageCopy[];
  #last = 0;

  /** `schema`: where a SQLite keeps it; a libSQL server makes no temporary tables. */
  constructor(into: SideTransaction, tally: Tally, schema: StageSchema, number: number) {
    const { side, transaction } = into;
    this.tally = tally;
    this.sql = new StageSql(tally.intake, `${side === "sqlite" ? schema : "pg_temp"}.dualdb_import_${number}`);
    this.#into = into;
    this.#side = side;
    this.#transaction = transaction;
    this.#copies = into.side === "postgres" ? this.sql.parts.map((part) => new StageCopy(into.transaction, part)) : [];
  }

  get intake(): Intake {
    return this.tally.intake;
  }

  async create(): Promise<void> {
    for (const text of this.sql.create()) await this.#run(text);
  }

  async drop(): Promise<void> {
    for (const copy of this.#copies) await copy.close();
    await this.#run(this.sql.drop());
  }

  /** Takes rows in; what PostgreSQL's types refuse, and a key that the file has had before, is set aside. */
  async add(rows: readonly IntakeRow[]): Promise<void> {
    this.#last = Math.max(this.#last, rows.at(-1)?.line ?? 0);
    if (this.#into.side === "postgres") await this.#copy(this.#into.transaction, rows);
    else await this.#insert(rows);
  }

  async #insert(rows: readonly IntakeRow[]): Promise<void> {
    const { name, line, columns } = this.sql;
    const into = { name, columns: [line, ...columns], table: this.intake.table, numbered: true };
    const written = await insertRows(this.#transaction, into, rows, "INSERT OR IGNORE");
    if (written < rows.length) await this.#setAsideMissing(rows);
  }

  /** What one part refuses must not be in those before it. */
  async #copy(transaction: PostgresTransaction, rows: readonly IntakeRow[]): Promise<void> {
    let left = rows;
    for (const [index, copy] of this.#copies.entries()) {
      const refused = await copy.add(left);
      if (refused.size === 0) continue;
      for (const [line, error] of refused) this.tally.setAside(line, this.#named(error.column ?? ""), reasonOf(error));
      if (index > 0) await this.#run(this.sql.takeOut([...refused.keys()]));
      left = left.filter(({ line }) => !refused.has(line));
    }
    await noteAlterations(transaction, this.tally, left);
  }

  /** Sets aside what has the key of a row before it. */
  async setAsideDuplicates(): Promise<void> {
    if (this.#side === "postgres" && this.#hasKey) await this.#setAside(this.sql.takeOutDuplicates(), "", duplicate);
  }

  /** Sets aside rows whose parents are neither in the database nor among these stages. Tells how many. */
  async setAsideOrphans(stages: readonly Stage[]): Promise<number> {
    const texts = stages.map(({ sql }) => sql);
    let found = 0;
    for (const foreignKey of this.intake.target.foreignKeys)
      for (const window of this.#side === "sqlite" ? this.windows(linesAtOnce) : [this.all]) {
        const text = this.sql.takeOutOrphans(foreignKey, texts, window);
        if (text === null) break;
        const reason = `no row in ${foreignKey.parent} that it points to`;
        found += await this.#setAside(text, this.#listed(foreignKey.columns), reason);
      }
    return found;
  }

  /** Sets aside rows with a unique value that another row has. Tells how many. */
  async setAsideCollisions(): Promise<number> {
    const { uniques, keys } = this.intake.target;
    let found = 0;
    for (const unique of [...uniques, ...keys.slice(1)]) {
      const text = this.sql.takeOutCollisions(unique);
      if (text !== null)
        found += await this.#setAside(text, this.#listed(unique), "a unique value that another row has");
    }
    return found;
  }

  /** Takes lines out that the database has refused. */
  async refuse(refused: ReadonlyMap<number, DualDbError>): Promise<void> {
    if (refused.size === 0) return;
    for (const [line, error] of refused) {
      const { column, reason } = refusedBecause(this.intake.table, error);
      this.tally.setAside(line, column, reason);
    }
    await this.#run(this.sql.takeOut([...refused.keys()]));
  }

  get all(): Window {
    return { from: 1, to: this.#last };
  }

  /** All lines, in parts of so many. */
  *windows(size: number): Generator<Window> {
    for (let from = 1; from <= this.#last; from += size) yield { from, to: Math.min(this.#last, from + size - 1) };
  }

  /** How many rows of these lines are not in the table yet, where a key can tell. */
  async absent(window: Window): Promise<number> {
    if (!this.#hasKey) return Number.POSITIVE_INFINITY;
    const [row] = await this.#query(this.sql.absent(window));
    return Number(row?.n);
  }

  /** Counts what became of these lines, of which `written` were inserted or replaced and `absent` were not there before. */
  async count(window: Window, written: number, absent: number): Promise<void> {
    const inserted = Math.min(absent, written);
    this.tally.inserted += inserted;
    this.tally.replaced += written - inserted;
    if (!this.#hasKey) return;
    const [row] = await this.#query(this.sql.counts(window));
    const [present, same, newer] = [Number(row?.present), Number(row?.same), Number(row?.newer)];
    this.tally.equal += same - written;
    this.tally.newer += newer;
    this.tally.kept += present - same - newer;
  }

  get #hasKey(): boolean {
    return this.intake.table.key.length > 0;
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
    const found = await this.#query(this.sql.lines({ from: rows[0]?.line ?? 0, to: rows.at(-1)?.line ?? 0 }));
    const there = new Set(found.map(({ line }) => Number(line)));
    for (const { line } of rows) if (!there.has(line)) this.tally.setAside(line, "", duplicate);
  }

  async #setAside(text: string, column: string, reason: string): Promise<number> {
    const rows = await this.#query(text);
    for (const { line } of rows) this.tally.setAside(Number(line), column, reason);
    return rows.length;
  }

  async #run(text: string): Promise<void> {
    await this.#transaction.script(text);
  }

  #query(text: string) {
    return this.#transaction.query(statement(text));
  }
}

/** Lines that SQLite, which works inside this process, looks at before the event loop gets a turn. */
export const linesAtOnce = 400;

/** Where the tables point to each other, what hangs on a row that was set aside goes with it. Tells how many. */
export async function setAsideOrphans(stages: readonly Stage[], isCyclic: boolean): Promise<number> {
  let all = 0;
  for (let found = -1; found !== 0; ) {
    found = 0;
    for (const stage of stages) found += await stage.setAsideOrphans(stages);
    all += found;
    if (!isCyclic) break;
  }
  return all;
}

const duplicate = "a key that the file has had before";
