import { refusedAsOrphan, refusedBecause } from "../../data/refusal.js";
import type { PlainFormat } from "../../data/rows/plain-format.js";
import type { ForeignKey, Table } from "../../data/table.js";
import { columnOf, nameOn, quote, quotedOn } from "../../data/table.js";
import { type PostgresTransaction, statement } from "../../engines/engine.js";
import { type DualDbError, hasCode } from "../../errors.js";
import { Lines, type PlainData } from "./lines.js";

/** What became of the lines of one batch. */
export interface Loaded {
  /** Rows that were inserted or changed. */
  readonly written: number;
  /** Lines that PostgreSQL does not take, by their index, with the reason: codes and names, never a value. */
  readonly refused: ReadonlyMap<number, Refused>;
}

export interface Refused {
  readonly column: string;
  readonly reason: string;
}

/** `insert` is for a table that was empty: straight into it. `merge` leaves rows alone that are there already and equal. */
export type LoadMode = "insert" | "merge";

/**
 * Brings data of COPY into one table, in a transaction of somebody else. Lines that PostgreSQL refuses are found and left out; everything
 * else is in the table when it is done. What SQLite has written itself is all or nothing: its refusal comes out, and the transaction
 * goes on.
 */
export class PostgresLoad {
  readonly #table: Table;
  /** PostgreSQL's own, by PostgreSQL's names. */
  readonly #foreignKeys: readonly ForeignKey[];

  constructor(table: Table, foreignKeys: readonly ForeignKey[]) {
    this.#table = table;
    this.#foreignKeys = foreignKeys;
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
      if (!isAboutRows(error)) throw error;
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
      if (isAboutRows(error)) await transaction.script(`ROLLBACK TO ${savepoint}; RELEASE ${savepoint}`);
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
    const orphans = error.details.sqlState === foreignKeyViolated ? await this.#orphans(transaction, part) : [];
    for (const { index, columns } of orphans)
      if (!refused.has(index)) refused.set(index, this.#orphaned(columns, error));
    if (orphans.length > 0)
      return this.#load(transaction, part.without(orphans.map(({ index }) => index)), mode, refused);
    const [only] = part.indexes;
    if (part.size === 1 && only !== undefined) {
      refused.set(only, refusedBecause(this.#table, error));
      return 0;
    }
    let written = 0;
    for (const piece of part.around(error.details.line)) written += await this.#load(transaction, piece, mode, refused);
    return written;
  }

  #insert(transaction: PostgresTransaction, data: Part | PlainData, format: PlainFormat | null): Promise<number> {
    return transaction.copyIn(copyText(this.#table, quotedOn("postgres", this.#table), format), data.pieces());
  }

  async #merge(transaction: PostgresTransaction, data: Part | PlainData, format: PlainFormat | null): Promise<number> {
    await transaction.script(`TRUNCATE ${stage}`);
    const staged = await transaction.copyIn(copyText(this.#table, stage, format), data.pieces());
    if (staged !== data.size)
      throw new Error(`${this.#table.name}: of ${data.size} rows PostgreSQL has read ${staged}`);
    const text = mergeText(this.#table, stage);
    return transaction.execute(statement(text));
  }

  /** The lines whose parents are not there. */
  async #orphans(transaction: PostgresTransaction, part: Part): Promise<OrphanedLine[]> {
    const outside = this.#foreignKeys.filter(({ parent }) => parent !== nameOn("postgres", this.#table));
    if (outside.length === 0) return [];
    await transaction.script(stageText(this.#table));
    await transaction.copyIn(copyText(this.#table, stage, null, [ordinal]), part.numbered());
    const text = outside.map(orphansText).join(" UNION ALL ");
    const rows = await transaction.query(statement(text));
    return rows.map(({ n, k }) => ({ index: Number(n), columns: outside[Number(k)]?.columns ?? [] }));
  }

  /** PostgreSQL names the foreign key of one of them. */
  #orphaned(columns: readonly string[], error: DualDbError): Refused {
    const told = refusedBecause(this.#table, error);
    const found = refusedAsOrphan(this.#table, columns);
    return found.column === told.column ? told : found;
  }
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

  without(indexes: readonly number[]): Part {
    const left = new Set(indexes);
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

/** A line whose parent is not there, and the columns of that foreign key. */
interface OrphanedLine {
  readonly index: number;
  readonly columns: readonly string[];
}

/** What a row can cause, as opposed to a fault of ours or of the database: then no row is to blame. */
export function isAboutRows(error: unknown): error is DualDbError {
  if (hasCode(error, "VALUE_REFUSED", "CONSTRAINT_VIOLATED")) return true;
  return hasCode(error, "QUERY_FAILED") && /^(P0001|21|44)/.test(String(error.details.sqlState));
}

/** With the types and their limits, and no constraint. */
function stageText(table: Table): string {
  return `DROP TABLE IF EXISTS ${stage}; CREATE TEMPORARY TABLE dualdb_stage ON COMMIT DROP AS
    SELECT NULL::int AS ${ordinal}, ${columnNames(table).join(", ")} FROM ${quotedOn("postgres", table)} WITH NO DATA`;
}

function copyText(table: Table, into: string, plain: PlainFormat | null, before: readonly string[] = []): string {
  const columns = [...before, ...columnNames(table)].join(", ");
  return `COPY ${into} (${columns}) FROM STDIN ${plain?.options ?? ""}`;
}

/** Rows that are there and equal are not touched, so they do not count as changed. */
export function mergeText(table: Table, from: string): string {
  const names = columnNames(table);
  const key = table.key.map((name) => quotedOn("postgres", columnOf(table, name)));
  const others = table.columns.filter(({ name, isFixed }) => !table.key.includes(name) && isFixed !== true);
  const set = others.map((column) => quotedOn("postgres", column)).map((name) => `${name} = excluded.${name}`);
  const differs = others.map(
    (column) => `${comparable(column, "t")} IS DISTINCT FROM ${comparable(column, "excluded")}`,
  );
  const change = others.length === 0 ? "NOTHING" : `UPDATE SET ${set.join(", ")} WHERE ${differs.join(" OR ")}`;
  return `INSERT INTO ${quotedOn("postgres", table)} AS t (${names.join(", ")}) OVERRIDING SYSTEM VALUE
    SELECT ${names.join(", ")} FROM ${from} ON CONFLICT (${key.join(", ")}) DO ${change}`;
}

/** Some types have no `=`, or one that takes different spellings for the same. */
function comparable(column: Table["columns"][number], alias: string): string {
  const name = `${alias}.${quotedOn("postgres", column)}`;
  if (column.kind === "text") return `${name}::text COLLATE "C"`;
  return column.kind === "other" || column.type === "json" ? `${name}::text` : name;
}

function orphansText({ columns, parent, parentColumns }: ForeignKey, index: number): string {
  const given = columns.map((name) => `s.${quote(name)} IS NOT NULL`);
  const same = columns.map((name, index) => `p.${quote(parentColumns[index] ?? name)} = s.${quote(name)}`);
  return `SELECT s.${ordinal} AS n, ${index} AS k FROM ${stage} AS s WHERE ${given.join(" AND ")}
    AND NOT EXISTS (SELECT 1 FROM ${quote(parent)} AS p WHERE ${same.join(" AND ")})`;
}

function columnNames(table: Table): string[] {
  return table.columns.map((column) => quotedOn("postgres", column));
}
