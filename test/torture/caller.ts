import type { CellValue, Effect, LogLine, LogWriter, RowName, TableName, Via } from "./log.js";
import type { Model } from "./model.js";

/** What an answer has made known. */
export interface Learnt {
  readonly nothing?: boolean;
  readonly effects?: readonly Effect[];
}

/** A call to make: through what, what it does as far as its maker knows, and what its answer tells. */
export interface Call<T> {
  readonly name: string;
  readonly via: Via;
  readonly effects: readonly Effect[];
  work(): Promise<T>;
  /** `began`: when it was made. */
  learn?(result: T, began: number): Learnt;
}

/** Announces each call in the log before it is made, and writes down what came of it. */
export class Caller {
  readonly #log: LogWriter;
  readonly #model: Model;
  readonly #source: string;
  readonly #route: string;
  #calls = 0;
  /** Calls that have had an answer: writes of any kind, reads, and those of either kind that went through a service. */
  readonly answered = { writes: 0, reads: 0, services: 0 };

  constructor(log: LogWriter, model: Model, source: string, route: string) {
    this.#log = log;
    this.#model = model;
    this.#source = source;
    this.#route = route;
  }

  /** Tells whether the call was answered; a call that fails is logged and forgotten. */
  async call<T>({ name, via, effects, work, learn = () => ({}) }: Call<T>): Promise<boolean> {
    const call = this.#calls++;
    const began = this.#write({ is: "intent", call, name, via, effects });
    try {
      const { nothing = false, effects: more = [] } = learn(await work(), began);
      this.#write({ is: "answer", call, nothing, effects: more });
      this.answered[effects.length === 0 ? "reads" : "writes"] += 1;
      if (via === "service") this.answered.services += 1;
      return true;
    } catch (error) {
      this.#write(failureOf(call, error));
      return false;
    }
  }

  /** An answer to a call made at `began` in which at least `wrong` of these rows are not as they were acknowledged. */
  stale(what: string, began: number, rows: readonly RowName[], wrong = 1): void {
    const named = rows.map(({ table, row }) => ({ table, row }));
    this.#write({ is: "stale", what, route: this.#route, began, rows: named, wrong });
  }

  #write(line: LogLine): number {
    this.#model.take(this.#source, line);
    return this.#log.write(line);
  }
}

/** One writer's value for a column. */
export function set(table: TableName, row: string, values: Readonly<Record<string, CellValue>>): Effect[] {
  return Object.entries(values).map(([column, value]) => ({ table, row, column, value, how: "set" }));
}

/** A value for a column that several write to. */
export function anybody(table: TableName, row: string, values: Readonly<Record<string, CellValue>>): Effect[] {
  return Object.entries(values).map(([column, value]) => ({ table, row, column, value, how: "any" }));
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
