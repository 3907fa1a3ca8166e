import { isAboutStatementSql } from "../../data/refusal.js";
import { literal } from "../../data/table.js";
import { statement, type Transaction } from "../../engines/engine.js";
import { caughtError } from "../../engines/postgres-errors.js";
import type { DualDbError } from "../../errors.js";
import type { Tried } from "./portions.js";
import type { Window } from "./stage-sql.js";

/** What is tried, in PL/pgSQL. */
export interface Trial {
  /** What its names begin with, in a schema of the session. */
  readonly name: string;
  /** Its variables. */
  readonly declare?: string;
  /** A SELECT of the `line`s from `dualdb_from` to `dualdb_to`. */
  readonly lines: string;
  /** What is done for `dualdb_line`, a writing statement at its end. It may say in `dualdb_at` which column it has come to. */
  readonly work: string;
}

/**
 * Tries rows one by one, inside PostgreSQL: many of them in one call, whatever it says of each. It is a function of the session, which is
 * made and dropped in one transaction.
 */
export class Sieve {
  readonly #transaction: Transaction;
  readonly #name: string;

  private constructor(transaction: Transaction, name: string) {
    this.#transaction = transaction;
    this.#name = name;
  }

  static async open(transaction: Transaction, trial: Trial): Promise<Sieve> {
    const name = `${trial.name}_sieve`;
    await transaction.script(functionText(name, trial));
    return new Sieve(transaction, name);
  }

  /** What was done for the rows that are not refused stays done. */
  async try({ from, to }: Window): Promise<Tried> {
    const refused = new Map<number, DualDbError>();
    let written = 0;
    for (const row of await this.#transaction.query(statement(`SELECT * FROM ${this.#name}(${from}, ${to})`))) {
      if (row.dualdb_line === null) written = Number(row.dualdb_written);
      else refused.set(Number(row.dualdb_line), caughtError(row, "dualdb_"));
    }
    return { written, refused };
  }

  async close(): Promise<void> {
    await this.#transaction.script(`DROP FUNCTION ${this.#name}`);
  }
}

/** It returns a row for each line that is refused, and one at the end with how many rows were written. What is no row's fault ends it. */
function functionText(name: string, { declare = "", lines, work }: Trial): string {
  const results = ["state", "table", "column", "constraint", "detail"].map((result) => `dualdb_${result} text`);
  const body = `#variable_conflict use_column
    DECLARE
      dualdb_total bigint := 0;
      dualdb_at text := '';
      ${declare}
    BEGIN
      FOR dualdb_line IN ${lines} ORDER BY line LOOP
        BEGIN
          ${work};
          GET DIAGNOSTICS dualdb_written = ROW_COUNT;
          dualdb_total := dualdb_total + dualdb_written;
        EXCEPTION WHEN OTHERS THEN
          GET STACKED DIAGNOSTICS dualdb_state = RETURNED_SQLSTATE, dualdb_table = TABLE_NAME, dualdb_column = COLUMN_NAME,
            dualdb_constraint = CONSTRAINT_NAME, dualdb_detail = PG_EXCEPTION_DETAIL;
          IF ${isAboutStatementSql("dualdb_state")} THEN RAISE; END IF;
          IF dualdb_column = '' THEN dualdb_column := dualdb_at; END IF;
          RETURN NEXT;
        END;
      END LOOP;
      dualdb_line := NULL;
      dualdb_written := dualdb_total;
      RETURN NEXT;
    END`;
  return `CREATE FUNCTION ${name}(dualdb_from bigint, dualdb_to bigint)
    RETURNS TABLE (dualdb_line bigint, dualdb_written bigint, ${results.join(", ")}) LANGUAGE plpgsql AS ${literal(body)}`;
}
