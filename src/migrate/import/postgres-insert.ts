import { isRefusal, reasonOf } from "../../data/refusal.js";
import { encodeRow, piecesOf } from "../../data/rows/copy-text.js";
import type { PostgresTransaction } from "../../engines/engine.js";
import type { IntakeRow } from "./intake.js";

/** Why PostgreSQL does not take a row: codes and names, never a value. */
export interface Refused {
  readonly column: string;
  readonly reason: string;
}

/** Brings rows into a table by COPY; `into` names it and its columns. Resolves to the lines that were refused; all others are there. */
export async function copyRows(
  transaction: PostgresTransaction,
  into: string,
  rows: readonly IntakeRow[],
  numbered: boolean,
): Promise<Map<number, Refused>> {
  const refused = new Map<number, Refused>();
  await new Copy(transaction, into, numbered, refused).run(rows);
  return refused;
}

export function encode({ line, values }: IntakeRow, numbered: boolean): string {
  return numbered ? `${line}\t${encodeRow(values)}` : encodeRow(values);
}

class Copy {
  readonly #transaction: PostgresTransaction;
  readonly #text: string;
  readonly #numbered: boolean;
  readonly #refused: Map<number, Refused>;

  constructor(transaction: PostgresTransaction, into: string, numbered: boolean, refused: Map<number, Refused>) {
    this.#transaction = transaction;
    this.#text = `COPY ${into} FROM STDIN`;
    this.#numbered = numbered;
    this.#refused = refused;
  }

  async run(rows: readonly IntakeRow[]): Promise<void> {
    if (rows.length === 0) return;
    await this.#transaction.script("SAVEPOINT dualdb_rows");
    try {
      await this.#transaction.copyIn(this.#text, piecesOf(rows.map((row) => encode(row, this.#numbered))));
      await this.#transaction.script("RELEASE SAVEPOINT dualdb_rows");
    } catch (error) {
      if (!isRefusal(error)) throw error;
      await this.#transaction.script("ROLLBACK TO SAVEPOINT dualdb_rows; RELEASE SAVEPOINT dualdb_rows");
      const [only] = rows;
      if (rows.length === 1 && only !== undefined)
        this.#refused.set(only.line, { column: error.column ?? "", reason: reasonOf(error) });
      else for (const part of around(rows, error.details.line)) await this.run(part);
    }
  }
}

/** The row at fault, counted from 1, by itself, and what is before and behind it; where nobody knows it, halves. */
function around(rows: readonly IntakeRow[], line: unknown): (readonly IntakeRow[])[] {
  const at = typeof line === "number" && line >= 1 && line <= rows.length ? line - 1 : null;
  if (at === null) return [rows.slice(0, Math.ceil(rows.length / 2)), rows.slice(Math.ceil(rows.length / 2))];
  return [rows.slice(0, at), rows.slice(at, at + 1), rows.slice(at + 1)];
}
