import { encodeRow, piecesOf } from "../../data/rows/copy-text.js";
import type { PostgresTransaction } from "../../engines/engine.js";
import type { DualDbError } from "../../errors.js";
import type { IntakeRow } from "./intake.js";
import { inPortions } from "./portions.js";
import { attempt } from "./savepoint.js";
import { Sieve, type Trial } from "./sieve.js";
import type { StagePart } from "./stage-sql.js";

/**
 * Brings rows into a part of a stage by COPY. Where a type of PostgreSQL refuses a value, the rows come as text, and each of them is tried by
 * itself, column by column.
 */
export class StageCopy {
  readonly #transaction: PostgresTransaction;
  readonly #part: StagePart;
  #sieve: Sieve | null = null;

  constructor(transaction: PostgresTransaction, part: StagePart) {
    this.#transaction = transaction;
    this.#part = part;
  }

  /** Resolves to the lines that were refused; all others are there. */
  async add(rows: readonly IntakeRow[]): Promise<ReadonlyMap<number, DualDbError>> {
    const [first, last] = [rows[0], rows.at(-1)];
    const copied = await attempt(this.#transaction, () => this.#copy(this.#part.name, rows));
    if ("done" in copied || first === undefined || last === undefined) return new Map();
    this.#sieve ??= await this.#open();
    const unreadable = await this.#copyTexts(rows);
    const { refused } = await this.#sieve.try({ from: first.line, to: last.line });
    await this.#transaction.script(`TRUNCATE ${textsOf(this.#part)}`);
    return new Map([...unreadable, ...refused]);
  }

  async close(): Promise<void> {
    await this.#sieve?.close();
  }

  async #open(): Promise<Sieve> {
    const texts = this.#part.columns.map((column) => `${column} text`).join(", ");
    const name = textsOf(this.#part).replace("pg_temp.", "");
    await this.#transaction.script(`CREATE TEMP TABLE ${name} (line bigint PRIMARY KEY, ${texts}) ON COMMIT DROP`);
    return Sieve.open(this.#transaction, trialOf(this.#part));
  }

  /** Text may be refused, too: by the encoding of the database. */
  async #copyTexts(rows: readonly IntakeRow[]): Promise<Map<number, DualDbError>> {
    const { refused } = await inPortions(this.#transaction, { from: 1, to: rows.length }, rows.length, ({ from, to }) =>
      this.#copy(textsOf(this.#part), rows.slice(from - 1, to)),
    );
    return new Map([...refused].map(([at, error]) => [rows[at - 1]?.line ?? 0, error]));
  }

  #copy(into: string, rows: readonly IntakeRow[]): Promise<number> {
    const { columns, from, to } = this.#part;
    const lines = rows.map(({ line, values }) => `${line}\t${encodeRow(values.slice(from, to))}`);
    return this.#transaction.copyIn(`COPY ${into} (line, ${columns.join(", ")}) FROM STDIN`, piecesOf(lines));
  }
}

function textsOf({ name }: StagePart): string {
  return `${name}_texts`;
}

/** An assignment takes a text as COPY does: too long for its column it is not cut. */
function trialOf(part: StagePart): Trial {
  const { name, columns } = part;
  const assignments = columns.map(
    (column) => `dualdb_at := '${column}'; dualdb_row.${column} := dualdb_text.${column};`,
  );
  return {
    name: textsOf(part),
    declare: `dualdb_text record; dualdb_row ${name};`,
    lines: `SELECT line FROM ${textsOf(part)} WHERE line BETWEEN dualdb_from AND dualdb_to`,
    work: `SELECT * INTO STRICT dualdb_text FROM ${textsOf(part)} WHERE line = dualdb_line;
      dualdb_row.line := dualdb_line; ${assignments.join(" ")}
      INSERT INTO ${name} SELECT dualdb_row.*`,
  };
}
