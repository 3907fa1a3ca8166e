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

/**
 * What a call does to one column of one row. A row is named by what its writer gave it, not by its id, which is not known before the
 * answer; the column `$` says whether the row exists. `set`: the column has one writer. `any`: it has several. `same`: every answer gives the same. `add`: they count up.
 */
export interface Effect {
  readonly table: TableName;
  readonly row: string;
  readonly column: string;
  readonly value: CellValue;
  readonly how: "set" | "any" | "same" | "add";
}

/** A line of a bot's log: what it is going to do, and what came of it. */
export type LogLine =
  | { readonly is: "intent"; readonly call: number; readonly name: string; readonly effects: readonly Effect[] }
  /** `effects` are those that the answer has made known; `nothing`: those of the intent have not come about. */
  | { readonly is: "answer"; readonly call: number; readonly nothing: boolean; readonly effects: readonly Effect[] }
  /** The call failed, and its error says that nothing was done. */
  | { readonly is: "failure"; readonly call: number; readonly code: string; readonly detail: string }
  /** The call failed, and its error says that nobody knows. */
  | { readonly is: "unknown"; readonly call: number; readonly code: string }
  /** A read that should have seen an acknowledged write, and did not. */
  | { readonly is: "stale"; readonly what: string; readonly route: string }
  /** Seen past the package, and wrong whatever else has happened. */
  | { readonly is: "wrong"; readonly kind: "stale" | "different"; readonly what: string }
  /** A row that the other side must refuse. */
  | { readonly is: "refusable"; readonly table: TableName; readonly key: string }
  | { readonly is: "event"; readonly event: string; readonly fields: Readonly<Record<string, unknown>> };

/** An append-only log outside the databases. Each line is with the system when `write` returns, so kill -9 keeps it. */
export class LogWriter {
  readonly #file: number;

  constructor(path: string) {
    this.#file = openSync(path, "a");
  }

  write(line: LogLine): void {
    writeSync(this.#file, `${JSON.stringify(line)}\n`);
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** The whole lines of a log; a line that is just being written is left out. */
export function readLog(path: string): LogLine[] {
  const lines = readFileSync(path, "utf8").split("\n");
  return lines.slice(0, -1).map((line) => JSON.parse(line) as LogLine);
}
