import type { CellValue, Effect, LogLine, LogWriter, TableName } from "./log.js";
import type { Model } from "./model.js";

/** What an answer has made known. */
export interface Learnt {
  readonly nothing?: boolean;
  readonly effects?: readonly Effect[];
}

/** Announces each call in the log before it is made, and writes down what came of it. */
export class Caller {
  readonly #log: LogWriter;
  readonly #model: Model;
  readonly #source: string;
  #calls = 0;
  /** Writes and reads that have had an answer. */
  readonly answered = { writes: 0, reads: 0 };

  constructor(log: LogWriter, model: Model, source: string) {
    this.#log = log;
    this.#model = model;
    this.#source = source;
  }

  /** Tells whether the call was answered; a call that fails is logged and forgotten. */
  async call<T>(
    name: string,
    effects: readonly Effect[],
    work: () => Promise<T>,
    learn: (result: T) => Learnt = () => ({}),
  ): Promise<boolean> {
    const call = this.#calls++;
    this.#write({ is: "intent", call, name, effects });
    try {
      const { nothing = false, effects: more = [] } = learn(await work());
      this.#write({ is: "answer", call, nothing, effects: more });
      this.answered[effects.length === 0 ? "reads" : "writes"] += 1;
      return true;
    } catch (error) {
      this.#write(failureOf(call, error));
      return false;
    }
  }

  stale(what: string, route: string): void {
    this.#write({ is: "stale", what, route });
  }

  #write(line: LogLine): void {
    this.#model.take(this.#source, line);
    this.#log.write(line);
  }
}

/** One writer's value for a column. */
export function set(table: TableName, row: string, values: Readonly<Record<string, CellValue>>): Effect[] {
  return Object.entries(values).map(([column, value]) => ({ table, row, column, value, how: "set" }));
}

export function codeOf(error: unknown): string {
  if (error instanceof Error && "code" in error) return String(error.code);
  return `UNEXPECTED ${String(error)}`;
}

function failureOf(call: number, error: unknown): LogLine {
  const code = codeOf(error);
  if (code === "OUTCOME_UNKNOWN") return { is: "unknown", call, code };
  const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : "";
  return { is: "failure", call, code, detail: `${error instanceof Error ? error.message : String(error)}${cause}` };
}
