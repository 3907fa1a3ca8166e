import {
  isExclusion,
  isRefusal,
  type RefusedBecause,
  refusedAsDuplicate,
  refusedAsOrphan,
  refusedBecause,
  refusedForSize,
} from "../../data/refusal.js";
import type { PlainFormat } from "../../data/rows/plain-format.js";
import { nameOn, quote, quotedOn, type Table } from "../../data/table.js";
import { type PostgresTransaction, statement } from "../../engines/engine.js";
import type { DualDbError } from "../../errors.js";
import { Lines, type PlainData } from "./lines.js";
import { mergeText } from "./merge-text.js";
import { orphanCondition, takerCondition } from "./obstacle.js";
import type { TargetTable } from "./target-table.js";

/** What became of the lines of one batch. */
export interface Loaded {
  /** Rows that were inserted or changed. */
  readonly written: number;
  /** Lines that PostgreSQL does not take, by their index, with the reason: codes and names, never a value. */
  readonly refused: ReadonlyMap<number, Refused>;
}

export interface Refused extends RefusedBecause {
  /** Whether it is for a unique value that another row has, which may let go of it yet. */
  readonly isTaken: boolean;
}

/** `insert` is for a table that was empty: straight into it. `merge` leaves rows alone that are there already and equal. */
export type LoadMode = "insert" | "merge";

/**
 * Brings data of COPY into one table, in a transaction of somebody else. Lines that PostgreSQL refuses are found and left out; everything
 * else is in the table when it is done. What SQLite has written itself is all or nothing: its refusal comes out, and the transaction
 * goes on.
 */
export class PostgresLoad {
  readonly #target: TargetTable;
  readonly #table: Table;

  constructor(target: TargetTable) {
    this.#target = target;
    this.#table = target.table;
  }

  async run(transaction: PostgresTransaction, data: Lines | PlainData, mode: LoadMode): Promise<Loaded> {
    // Else a refusal would come at COMMIT, when nobody can tell the row any more.
    const prepare = ["SET CONSTRAINTS ALL IMMEDIATE", ...(mode === "merge" ? [stageText(this.#table)] : [])];
    await transaction.script([...prepare, savepoint].join("; "));
    const refused = new Map<number, Refused>();
    if (!(data instanceof Lines)) return { written: await this.#write(transaction, data, mode, data.format), refused };
    return { written: await this.#attempt(transaction, new Part(data), mode, refused), refused };
  }

  async #load(
    transaction: PostgresTransaction,
    part: Part,
    mode: LoadMode,
    refused: Map<number, Refused>,
  ): Promise<number> {
    if (part.size === 0) return 0;
    await transaction.script(savepoint);
    return this.#attempt(transaction, part, mode, refused);
  }

  async #attempt(
    transaction: PostgresTransaction,
    part: Part,
    mode: LoadMode,
    refused: Map<number, Refused>,
  ): Promise<number> {
    try {
      return await this.#write(transaction, part, mode, null);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      return this.#withoutRefused(transaction, part, mode, refused, error);
    }
  }

  /** All of the rows behind the savepoint, or none: then the transaction goes on from there. */
  async #write(
    transaction: PostgresTransaction,
    data: Part | PlainData,
    mode: LoadMode,
    format: PlainFormat | null,
  ): Promise<number> {
    try {
      const write =
        mode === "insert" ? this.#insert(transaction, data, format) : this.#merge(transaction, data, format);
      const written = await write;
      await transaction.script(`RELEASE ${savepoint}`);
      return written;
    } catch (error) {
      data.end();
      if (isRefusal(error)) await transaction.script(`ROLLBACK TO ${savepoint}; RELEASE ${savepoint}`);
      throw error;
    }
  }

  async #withoutRefused(
    transaction: PostgresTransaction,
    part: Part,
    mode: LoadMode,
    refused: Map<number, Refused>,
    error: DualDbError,
  ): Promise<number> {
    const alike = await this.#alike(transaction, part, mode, error);
    for (const [index, because] of alike) refused.set(index, because);
    if (alike.size > 0) return this.#load(transaction, part.without(alike), mode, refused);
    const [only] = part.indexes;
    if (part.size === 1 && only !== undefined) {
      refused.set(only, { ...this.#refusedAlone(part, only, error), isTaken: isExclusion(error) });
      return 0;
    }
    let written = 0;
    for (const piece of part.around(error.details.line)) written += await this.#load(transaction, piece, mode, refused);
    return written;
  }

  #refusedAlone(part: Part, index: number, error: DualDbError): RefusedBecause {
    const because = refusedBecause(this.#table, error);
    if (because.candidates === undefined) return because;
    const cells = part.line(index).split("\t");
    const places = new Map(this.#table.columns.map(({ name }, place) => [name, place]));
    return refusedForSize(because, (column) => cells[places.get(column) ?? -1]?.length ?? 0);
  }

  #insert(transaction: PostgresTransaction, data: Part | PlainData, format: PlainFormat | null): Promise<number> {
    return transaction.copyIn(copyText(this.#table, quotedOn("postgres", this.#table), format), data.pieces());
  }

  async #merge(transaction: PostgresTransaction, data: Part | PlainData, format: PlainFormat | null): Promise<number> {
    await transaction.script(`TRUNCATE ${stage}`);
    const staged = await transaction.copyIn(copyText(this.#table, stage, format), data.pieces());
    if (staged !== data.size)
      throw new Error(`${this.#table.name}: of ${data.size} rows PostgreSQL has read ${staged}`);
    return transaction.execute(
      statement(mergeText("postgres", this.#table, `SELECT ${columnNames(this.#table).join(", ")} FROM ${stage}`)),
    );
  }

  /** All lines that are refused for the same reason as the first of them, where PostgreSQL can be asked for those at once. */
  async #alike(
    transaction: PostgresTransaction,
    part: Part,
    mode: LoadMode,
    error: DualDbError,
  ): Promise<Map<number, Refused>> {
    const { sqlState } = error.details;
    const conditions =
      sqlState === foreignKeyViolated
        ? this.#orphans(error)
        : sqlState === uniqueViolated && mode === "merge"
          ? this.#takers()
          : [];
    const found = new Map<number, Refused>();
    if (conditions.length === 0) return found;
    await transaction.script(stageText(this.#table));
    await transaction.copyIn(copyText(this.#table, stage, null, [ordinal]), part.numbered());
    for (const { condition, refused } of conditions) {
      const rows = await transaction.query(statement(`SELECT s.${ordinal} AS n FROM ${stage} AS s WHERE ${condition}`));
      for (const { n } of rows) if (!found.has(Number(n))) found.set(Number(n), refused);
    }
    return found;
  }

  /** Lines whose parents are not there. */
  #orphans(error: DualDbError): Alike[] {
    const told = refusedBecause(this.#table, error);
    const outside = this.#target.foreignKeys.filter(({ parent }) => parent !== nameOn("postgres", this.#table));
    return outside.map((foreignKey) => {
      const found = refusedAsOrphan(this.#table, "postgres", foreignKey.columns);
      // PostgreSQL names the foreign key of one of them.
      return {
        condition: orphanCondition(foreignKey, [quote(foreignKey.parent)]),
        refused: { ...(found.column === told.column ? told : found), isTaken: false },
      };
    });
  }

  /** Lines with a unique value that another row of the table has. */
  #takers(): Alike[] {
    return this.#target.uniques.map((unique) => ({
      condition: takerCondition(this.#target, unique.columns),
      refused: { ...refusedAsDuplicate(this.#table, "postgres", unique), isTaken: true },
    }));
  }
}

/** Lines that are alike: a condition on `s`, the stage, and what is said of them. */
interface Alike {
  readonly condition: string;
  readonly refused: Refused;
}

/** Some lines of a batch, or all of them, also those that are still to be made. */
class Part {
  readonly #lines: Lines;
  readonly #indexes: readonly number[] | null;

  constructor(lines: Lines, indexes: readonly number[] | null = null) {
    this.#lines = lines;
    this.#indexes = indexes;
  }

  get indexes(): readonly number[] {
    return this.#indexes ?? Array.from({ length: this.#lines.size }, (_, index) => index);
  }

  get size(): number {
    return this.#indexes?.length ?? this.#lines.size;
  }

  end(): void {
    this.#lines.end();
  }

  pieces(): AsyncGenerator<Uint8Array, void> {
    const lines = this.#indexes === null ? this.#lines : Lines.of(this.#each((index) => this.#lines.at(index)));
    return lines.pieces();
  }

  /** Each line behind its index. */
  async *numbered(): AsyncGenerator<Uint8Array, void> {
    yield* Lines.of(this.#each((index) => `${index}\t${this.#lines.at(index)}`)).pieces();
  }

  line(index: number): string {
    return this.#lines.at(index);
  }

  without(left: { has(index: number): boolean }): Part {
    return this.#of(this.indexes.filter((index) => !left.has(index)));
  }

  /** The line at fault, counted from 1, by itself, and what is before and behind it; where nobody knows it, halves. */
  around(line: unknown): Part[] {
    const at = typeof line === "number" && line >= 1 && line <= this.size ? line - 1 : null;
    const middle = Math.ceil(this.size / 2);
    const cuts = at === null ? [0, middle, this.size] : [0, at, at + 1, this.size];
    return cuts.slice(1).map((end, index) => this.#of(this.indexes.slice(cuts[index], end)));
  }

  *#each(line: (index: number) => string): Iterable<string> {
    for (const index of this.indexes) yield line(index);
  }

  #of(indexes: readonly number[]): Part {
    return new Part(this.#lines, indexes);
  }
}

const stage = "pg_temp.dualdb_stage";
const savepoint = "SAVEPOINT dualdb_part";
const ordinal = "dualdb_n";
const foreignKeyViolated = "23503";
const uniqueViolated = "23505";

/** With the types and their limits, and no constraint. */
function stageText(table: Table): string {
  return `DROP TABLE IF EXISTS ${stage}; CREATE TEMPORARY TABLE dualdb_stage ON COMMIT DROP AS
    SELECT NULL::int AS ${ordinal}, ${columnNames(table).join(", ")} FROM ${quotedOn("postgres", table)} WITH NO DATA`;
}

function copyText(table: Table, into: string, plain: PlainFormat | null, before: readonly string[] = []): string {
  const columns = [...before, ...columnNames(table)].join(", ");
  return `COPY ${into} (${columns}) FROM STDIN ${plain?.options ?? ""}`;
}

function columnNames(table: Table): string[] {
  return table.columns.map((column) => quotedOn("postgres", column));
}
