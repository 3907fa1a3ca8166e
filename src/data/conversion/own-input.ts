import { type ExactValue, statement, type Transaction } from "../../engines/engine.js";
import { typeOfColumn, typesByKind } from "../catalogue/postgres-type.js";
import { isSameLiteral } from "../equality/same-literal.js";
import type { Finding } from "../finding.js";
import { readable } from "../rows/postgres-expression.js";
import type { Column, Table } from "../table.js";
import type { ConvertedRow } from "./convert.js";
import { textOf } from "./text-column.js";
import { isTimeType } from "./time-column.js";

/** Whether only PostgreSQL's own input understands what a column gets, since no rule of ours does: arrays, ranges, intervals, money. */
export function hasOwnInput(column: Column): boolean {
  const { name } = typeOfColumn(column);
  return column.kind === "other" && !isTimeType(name) && name !== "time without time zone" && name !== "uuid";
}

/** What of a row PostgreSQL's own input has to understand, a text or NULL for each such column. */
export interface OwnTexts {
  readonly key: string;
  readonly texts: readonly (string | null)[];
}

/**
 * Finds out what PostgreSQL's own input makes of texts: it rounds, cuts, drops a zone, or goes round at the end of a range, without a word.
 * To be asked of rows that PostgreSQL has taken: what it does not understand is an error.
 */
export class OwnInput {
  readonly #table: Table;
  readonly #columns: readonly { readonly column: Column; readonly at: number }[];

  constructor(table: Table) {
    this.#table = table;
    this.#columns = table.columns.flatMap((column, at) => (hasOwnInput(column) ? [{ column, at }] : []));
  }

  /** Whether the table has such columns: else there is nothing to ask. */
  get isNeeded(): boolean {
    return this.#columns.length > 0;
  }

  /** null where the row has nothing but NULL in such columns. */
  textsOf({ key, values }: Pick<ConvertedRow, "key" | "values">): OwnTexts | null {
    const texts = this.#columns.map(({ at }) => {
      const value = values[at] ?? null;
      return value === null ? null : textOf(value);
    });
    return texts.every((text) => text === null) ? null : { key, texts };
  }

  /** A finding for each value that is not certainly the same in PostgreSQL, row by row. */
  async findings(transaction: Transaction, rows: readonly (OwnTexts | null)[]): Promise<readonly Finding[][]> {
    const printed = await this.#printed(transaction, rows);
    return rows.map((row) =>
      this.#columns.flatMap(({ column }, index) => {
        const text = row?.texts[index] ?? null;
        const other = text === null ? undefined : printed[index]?.get(text);
        if (row === null || text === null || other === undefined || isSame(column, text, other)) return [];
        return [this.#finding(row.key, column)];
      }),
    );
  }

  /** The rows' values with what PostgreSQL prints in the place of such texts. */
  async asPrinted(
    transaction: Transaction,
    rows: readonly Pick<ConvertedRow, "key" | "values">[],
  ): Promise<readonly (readonly ExactValue[])[]> {
    const printed = await this.#printed(
      transaction,
      rows.map((row) => this.textsOf(row)),
    );
    return rows.map(({ values }) => {
      const read = [...values];
      for (const [index, { at }] of this.#columns.entries()) {
        const value = values[at] ?? null;
        read[at] = value === null ? null : (printed[index]?.get(textOf(value)) ?? value);
      }
      return read;
    });
  }

  /** What PostgreSQL prints in the place of these rows' texts, for each of the columns: in one round trip. */
  async #printed(transaction: Transaction, rows: readonly (OwnTexts | null)[]): Promise<ReadonlyMap<string, string>[]> {
    const given = this.#columns.map((_, index) => distinct(rows.map((row) => row?.texts[index] ?? null)));
    const size = Math.max(0, ...given.map(({ length }) => length));
    if (size === 0) return given.map(() => new Map());
    const document = Array.from({ length: size }, (_, row) =>
      Object.fromEntries(given.map((texts, index) => [`c${index}`, texts[row]])),
    );
    const found = await transaction.query(statement(this.#text(), [JSON.stringify(document)]));
    return given.map((texts, index) => {
      return new Map(texts.map((text, row) => [text, String(found[row]?.[`c${index}`] ?? text)]));
    });
  }

  /** Each text goes through its type's input, limits and all, as with COPY; a cast would cut it to the limits. */
  #text(): string {
    const columns = this.#columns.map(({ column }, index) => ({ ...column, postgresName: `c${index}` }));
    const types = columns.map((column) => `${column.postgresName} ${typeOf(column)}`);
    const names = columns.map(({ postgresName }) => postgresName);
    const selected = columns.map((column) => `${readable(column, "r")} AS ${column.postgresName}`);
    return `SELECT ${selected.join(", ")} FROM ROWS FROM (json_to_recordset($1::json) AS (${types.join(", ")}))
      WITH ORDINALITY AS r (${names.join(", ")}, n) ORDER BY n`;
  }

  #finding(key: string, column: Column): Finding {
    const reason = `PostgreSQL's ${typeOf(column)} makes another text of it`;
    return { table: this.#table.name, key, column: column.name, reason, action: "altered" };
  }
}

/** The same of rows that PostgreSQL has taken, as one list. */
export async function ownAlterations(
  transaction: Transaction,
  table: Table,
  rows: readonly Pick<ConvertedRow, "key" | "values">[],
): Promise<readonly Finding[]> {
  const own = new OwnInput(table);
  const found = await own.findings(
    transaction,
    rows.map((row) => own.textsOf(row)),
  );
  return found.flat();
}

function distinct(texts: readonly (string | null)[]): string[] {
  return [...new Set(texts)].filter((text) => text !== null);
}

function typeOf({ type, kind }: Column): string {
  return type ?? typesByKind[kind];
}

/** Types whose input takes several spellings and loses nothing. */
const lossless = /^(inet|cidr|macaddr|int[48](multi)?range)$/;

function isSame(column: Column, given: string, printed: string): boolean {
  return lossless.test(typeOfColumn(column).name) || isSameLiteral(given, printed);
}
