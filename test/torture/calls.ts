import type { FailedCall } from "./failures.js";
import type { Effect, Logged } from "./log.js";

/** A call that has had an answer, or with a code an error. */
export type EndedCall = Omit<FailedCall, "code"> & {
  readonly name: string;
  readonly code: string | null;
  readonly detail: string;
  readonly effects: readonly Effect[];
};

/** Puts the calls of one log together again. */
export class Calls {
  readonly #slot: number | null;
  readonly #begun = new Map<number, Logged & { readonly is: "intent" }>();
  #wasOpen = false;
  #wantsPostgres = false;

  /** `source` is the log's name, that begins with the number of the bot; a drill's log has that of none. */
  constructor(source: string, lines: readonly Logged[]) {
    this.#slot = lines.some(({ is }) => is === "opened") ? Number(source.split("-")[0]) : null;
  }

  /** The call that this line ends; null where it ends none. */
  take(line: Logged): EndedCall | null {
    if (line.is === "opened") {
      this.#wasOpen = line.failure === null;
      this.#wantsPostgres = line.wantsPostgres;
    }
    if (line.is === "intent") this.#begun.set(line.call, line);
    const intent = "call" in line && line.is !== "intent" ? this.#begun.get(line.call) : undefined;
    if (intent === undefined || !("call" in line) || line.is === "intent") return null;
    const ended = {
      name: intent.name,
      via: intent.via,
      effects: intent.effects,
      isRead: intent.effects.length === 0,
      code: line.is === "answer" ? null : line.code,
      detail: line.is === "failure" ? line.detail : "",
      began: intent.at,
      ended: line.at,
      slot: this.#slot,
      wasOpen: this.#wasOpen || this.#slot === null,
      wantsPostgres: this.#wantsPostgres,
    };
    if (line.is === "answer" && !intent.via.startsWith("console")) this.#wasOpen = true;
    return ended;
  }
}

export function textOf({ name, via, code, detail, began, ended }: EndedCall): string {
  const what = code === null ? "was answered by a side that was not primary" : `${code} ${detail}`;
  return `${name} (${via}) after ${ended - began} ms: ${what}`;
}
