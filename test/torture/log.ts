import { closeSync, openSync, readFileSync, writeSync } from "node:fs";

export type TableName =
  | "messages"
  | "queries"
  | "documents"
  | "document_collaborators"
  | "user_profiles"
  | "user_analysis_history"
  | "teams"
  | "members";

export type CellValue = string | number | boolean | null;

/** A row as the model names it: by what its writer gave it, not by its id, which is not known before the answer. */
export interface RowName {
  readonly table: TableName;
  readonly row: string;
}

/**
 * What a call does to one column of one row; the column `$` says whether the row exists. `set`: the column has one writer. `any`: it has
 * several. `same`: every answer gives the same. `add`: they count up.
 */
export interface Effect extends RowName {
  readonly column: string;
  readonly value: CellValue;
  readonly how: "set" | "any" | "same" | "add";
}

/** What a call goes through: a function of the four services, the database's `read` and `write`, or nothing of the package. */
export type Via = "service" | "statements" | "console on sqlite" | "console on postgres";

/** What a bot is going to do, and what came of it. */
export type LogLine =
  | {
      readonly is: "intent";
      readonly call: number;
      readonly name: string;
      readonly via: Via;
      readonly effects: readonly Effect[];
    }
  /** `effects` are those that the answer has made known; `nothing`: those of the intent have not come about. */
  | { readonly is: "answer"; readonly call: number; readonly nothing: boolean; readonly effects: readonly Effect[] }
  /** The call failed, and its error says that nothing was done. */
  | { readonly is: "failure"; readonly call: number; readonly code: string; readonly detail: string }
  /** The call failed, and its error says that nobody knows. */
  | { readonly is: "unknown"; readonly call: number; readonly code: string }
  /**
   * An answer that should have shown an acknowledged write, and did not; it was asked for at `began`. At least `wrong` of these rows are not
   * as they were acknowledged.
   */
  | {
      readonly is: "stale";
      readonly what: string;
      readonly route: string;
      readonly began: number;
      readonly rows: readonly RowName[];
      readonly wrong: number;
    }
  /** Seen past the package, and wrong whatever else has happened. */
  | { readonly is: "wrong"; readonly kind: "stale" | "different"; readonly what: string }
  /** A row that the other side must refuse. */
  | { readonly is: "refusable"; readonly table: TableName; readonly key: string }
  /** The database has been opened, or has failed to open. */
  | { readonly is: "opened"; readonly failure: string | null; readonly wantsPostgres: boolean }
  | { readonly is: "event"; readonly event: string; readonly fields: Readonly<Record<string, unknown>> };

/** A line as it stands in the log, with its time in milliseconds since 1970. */
export type Logged = LogLine & { readonly at: number };

/** An append-only log outside the databases. Each line is with the system when `write` returns, so kill -9 keeps it. */
export class LogWriter {
  readonly #file: number;

  constructor(path: string) {
    this.#file = openSync(path, "a");
  }

  /** → the line's time */
  write(line: LogLine): number {
    const at = Date.now();
    writeSync(this.#file, `${JSON.stringify({ at, ...line })}\n`);
    return at;
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** The whole lines of a log; a line that is just being written is left out. */
export function readLog(path: string): Logged[] {
  const lines = readFileSync(path, "utf8").split("\n");
  return lines.slice(0, -1).map((line) => JSON.parse(line) as Logged);
}
