import type { Index, TablePair } from "../../data/catalogue/discover.js";
import type { ConvertedRow } from "../../data/conversion/convert.js";
import { OwnInput } from "../../data/conversion/own-input.js";
import type { Finding } from "../../data/finding.js";
import { isRefusal, reasonOf, refusedBecause } from "../../data/refusal.js";
import { rowsOf } from "../../data/rows/rows.js";
import { type Column, type Kind, nameOn, quotedOn, type Table } from "../../data/table.js";
import type { Engine, ExactValue, Transaction } from "../../engines/engine.js";
import type { DualDbError } from "../../errors.js";
import { rolledBack } from "./rolled-back.js";

/** Text that may be more than a b-tree entry holds, 2,704 bytes after compression. */
const longForBtree = 2_600;
/** Text that may make a search vector of more than 1 MB: each word costs more there than in the text. */
const longForSearch = 200_000;
/** With fewer columns any row fits into a page of 8 KiB: a large value leaves 18 bytes there. */
const columnsInAPage = 400;
const trialName = "dualdb_trial";
const uniqueViolation = "23505";

/**
 * Asks PostgreSQL itself about rows that only it can judge: large values under an index or in a search vector, CHECK constraints, and
 * types that its own input has to understand. They go into a temporary copy of the empty table, and the transaction is rolled back.
 */
export class Trial {
  readonly #postgres: Engine;
  readonly #table: Table;
  readonly #target: Table;
  readonly #every: boolean;
  readonly #btree: ReadonlySet<number>;
  readonly #search: ReadonlySet<number>;
  readonly #making: readonly string[];
  readonly #own: OwnInput;

  /** `making`: the SQL that makes the table, where it is not there yet. */
  constructor(postgres: Engine, { table, postgres: target }: TablePair, making: readonly string[]) {
    this.#postgres = postgres;
    this.#making = making;
    this.#table = table;
    this.#target = { ...table, postgresName: trialName };
    this.#own = new OwnInput(table);
    const isWide = table.columns.length > columnsInAPage;
    this.#every = isWide || target.checks.length > 0 || table.columns.some(({ kind }) => kind === "other");
    this.#btree = textColumns(table, columnsOf(target.indexes.filter(({ method }) => method !== "gin")));
    this.#search =
      target.indexes.some(({ method }) => method === "gin") || target.generated.length > 0
        ? textColumns(table, null)
        : new Set();
  }

  /** The rows that PostgreSQL refuses, each with its reason, and those of which its own input makes something else. */
  async findings(rows: readonly ConvertedRow[]): Promise<ReadonlyMap<ConvertedRow, readonly Finding[]>> {
    const found = new Map<ConvertedRow, readonly Finding[]>();
    const doubtful = this.#every ? rows : rows.filter((row) => this.#isDoubtful(row.values));
    if (doubtful.length === 0) return found;
    await rolledBack(this.#postgres, async (transaction) => {
      for (const text of this.#making) await transaction.script(text);
      await transaction.script(
        `CREATE TEMPORARY TABLE ${trialName} (LIKE ${quotedOn("postgres", this.#table)} INCLUDING ALL) ON COMMIT DROP`,
      );
      await this.#try(transaction, doubtful, found);
      await this.#read(transaction, doubtful, found);
    });
    return found;
  }

  async #read(
    transaction: Transaction,
    rows: readonly ConvertedRow[],
    found: Map<ConvertedRow, readonly Finding[]>,
  ): Promise<void> {
    const taken = rows.filter((row) => !found.has(row));
    const texts = taken.map((row) => this.#own.textsOf(row));
    const altered = await this.#own.findings(transaction, texts);
    for (const [index, row] of taken.entries()) found.set(row, altered[index] ?? []);
  }

  /** All at once, and where that fails in halves, until the offending rows stand alone. */
  async #try(
    transaction: Transaction,
    rows: readonly ConvertedRow[],
    found: Map<ConvertedRow, readonly Finding[]>,
  ): Promise<void> {
    const error = await this.#refusal(
      transaction,
      rows.map(({ values }) => values),
    );
    const [only, ...others] = rows;
    if (error === null || only === undefined) return;
    if (others.length === 0) {
      // Duplicates are looked for by themselves, over the whole table.
      if (error.details.sqlState !== uniqueViolation) found.set(only, [await this.#finding(transaction, only, error)]);
      return;
    }
    const middle = Math.ceil(rows.length / 2);
    await this.#try(transaction, rows.slice(0, middle), found);
    await this.#try(transaction, rows.slice(middle), found);
  }

  /** What PostgreSQL says against these rows; null where it takes them. */
  async #refusal(transaction: Transaction, rows: readonly (readonly ExactValue[])[]): Promise<DualDbError | null> {
    await transaction.script("SAVEPOINT dualdb_try");
    try {
      await rowsOf("postgres").upsert(transaction, this.#target, rows);
      await transaction.script("RELEASE SAVEPOINT dualdb_try");
      return null;
    } catch (error) {
      if (!isRefusal(error)) throw error;
      await transaction.script("ROLLBACK TO SAVEPOINT dualdb_try");
      return error;
    }
  }

  /** Where neither PostgreSQL nor its catalogue names the column, it is the one without whose value the row would be taken. */
  async #finding(transaction: Transaction, row: ConvertedRow, error: DualDbError): Promise<Finding> {
    const about = (column: string, type: string | undefined): Finding => ({
      table: this.#table.name,
      key: row.key,
      column,
      reason: this.#reasonFor(error, type),
      action: "refused",
    });
    const { column: named } = refusedBecause(this.#table, error);
    if (named !== "" || error.details.limit === "page") return about(named, undefined);
    for (const [index, column] of longestFirst(this.#table, row)) {
      if (row.values[index] === null || this.#table.key.includes(column.name)) continue;
      const without = row.values.with(index, column.notNull ? (standIns[column.kind] ?? null) : null);
      if ((await this.#refusal(transaction, [without])) === null) return about(column.name, column.type);
    }
    return about("", undefined);
  }

  /** With the type's name, which the operator knows, and without the name of the copy. */
  #reasonFor(error: DualDbError, type: string | undefined): string {
    const reason = reasonOf(error).replaceAll(trialName, nameOn("postgres", this.#table));
    return type === undefined ? reason : reason.replace("the column's type", type);
  }

  #isDoubtful(values: readonly ExactValue[]): boolean {
    return values.some((value, index) => {
      if (typeof value !== "string") return false;
      return (
        (this.#btree.has(index) && isLonger(value, longForBtree)) ||
        (this.#search.has(index) && isLonger(value, longForSearch))
      );
    });
  }
}

/** A row that is refused for its size is so for its longest value, and each attempt with that takes its time. */
function longestFirst(table: Table, { values }: ConvertedRow): [number, Column][] {
  const lengths = values.map((value) => (typeof value === "string" ? value.length : 0));
  return [...table.columns.entries()].sort(([left], [right]) => (lengths[right] ?? 0) - (lengths[left] ?? 0));
}

/** What a column that is NOT NULL takes in place of its value. */
const standIns: Partial<Record<Kind, ExactValue>> = {
  text: "",
  integer: 0n,
  bigint: 0n,
  real: 0,
  numeric: 0n,
  boolean: false,
  json: "{}",
};

function columnsOf(indexes: readonly Index[]): Set<string | null> {
  return new Set(indexes.flatMap(({ columns }) => columns.map(({ column }) => column)));
}

/** Places of the columns that hold text, of these names; all of them where an expression may use any. */
function textColumns(table: Table, names: ReadonlySet<string | null> | null): Set<number> {
  const wanted = table.columns.flatMap((column, index) => {
    const isText = column.kind === "text" || column.kind === "json" || column.kind === "other";
    const isNamed = names === null || names.has(null) || names.has(nameOn("postgres", column));
    return isText && isNamed ? [index] : [];
  });
  return new Set(wanted);
}

/** A character is at most three bytes for each unit of JavaScript's. */
function isLonger(text: string, bytes: number): boolean {
  return text.length * 3 > bytes && Buffer.byteLength(text) > bytes;
}
