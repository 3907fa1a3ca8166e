import { closeSync, openSync, readSync } from "node:fs";
import type { LogLine } from "./protocol.js";

/** How often a counter was raised: for certain, and at most. */
export interface Raised {
  readonly acknowledged: number;
  readonly begun: number;
}

/** What the bots' log promises about the databases. */
export class Ledger {
  readonly #file: number;
  readonly #buffer = Buffer.alloc(1 << 16);
  #position = 0;
  #rest = "";
  #begun = 0;
  #ended = 0;
  #lastAt: number | null = null;
  #longestPauseMs = 0;
  #acknowledged = 0;
  #stale = 0;
  readonly #failures = new Map<string, number>();
  readonly #present = new Map<string, Set<string>>();
  readonly #absent = new Map<string, Set<string>>();
  readonly #raised = new Map<string, { acknowledged: number; begun: number }>();

  constructor(path: string) {
    this.#file = openSync(path, "a+");
  }

  /** Writes that were acknowledged so far. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** Calls that began and never ended: those of a bot that was killed. */
  get unanswered(): number {
    return this.#begun - this.#ended;
  }

  /** Reads that missed what had been acknowledged before. */
  get stale(): number {
    return this.#stale;
  }

  /** Calls that threw, by code. */
  get failures(): ReadonlyMap<string, number> {
    return this.#failures;
  }

  /** Rows that must be there, by table. */
  get present(): ReadonlyMap<string, ReadonlySet<string>> {
    return this.#present;
  }

  /** Rows whose deletion was acknowledged, by table. */
  get absent(): ReadonlyMap<string, ReadonlySet<string>> {
    return this.#absent;
  }

  /** Messages counted, by user. */
  get raised(): ReadonlyMap<string, Raised> {
    return this.#raised;
  }

  /** The longest time between two acknowledged writes since this was last asked, in milliseconds; the time since the last one counts. */
  takeLongestPause(now: number): number {
    this.catchUp();
    const longest = Math.max(this.#longestPauseMs, this.#lastAt === null ? 0 : now - this.#lastAt);
    this.#longestPauseMs = 0;
    return longest;
  }

  /** Reads what the bots have written since the last time. */
  catchUp(): void {
    for (;;) {
      const length = readSync(this.#file, this.#buffer, 0, this.#buffer.length, this.#position);
      if (length === 0) return;
      this.#position += length;
      const lines = (this.#rest + this.#buffer.toString("utf8", 0, length)).split("\n");
      this.#rest = lines.pop() ?? "";
      for (const line of lines) this.#take(JSON.parse(line) as LogLine);
    }
  }

  close(): void {
    closeSync(this.#file);
  }

  #take(line: LogLine): void {
    if (line.event === "stale") this.#stale += 1;
    if (line.event === "failed") this.#failures.set(line.code ?? "?", (this.#failures.get(line.code ?? "?") ?? 0) + 1);
    if (line.effect === "read") return;
    if (line.event === "begun") this.#begin(line);
    else this.#ended += 1;
    if (line.event === "acknowledged") this.#acknowledge(line);
  }

  /** A deletion that has begun may have happened. */
  #begin({ effect, table, key }: LogLine): void {
    this.#begun += 1;
    if (key === null) return;
    if (effect === "delete") this.#present.get(table)?.delete(key);
    if (effect === "count") this.#raise(key).begun += 1;
  }

  #acknowledge({ at, effect, table, key }: LogLine): void {
    this.#acknowledged += 1;
    if (this.#lastAt !== null) this.#longestPauseMs = Math.max(this.#longestPauseMs, at - this.#lastAt);
    this.#lastAt = Math.max(at, this.#lastAt ?? at);
    if (key === null) return;
    if (effect === "save") add(this.#present, table, key);
    if (effect === "delete") add(this.#absent, table, key);
    if (effect === "count") this.#raise(key).acknowledged += 1;
  }

  #raise(key: string): { acknowledged: number; begun: number } {
    const raised = this.#raised.get(key) ?? { acknowledged: 0, begun: 0 };
    this.#raised.set(key, raised);
    return raised;
  }
}

function add(sets: Map<string, Set<string>>, table: string, key: string): void {
  const set = sets.get(table) ?? new Set();
  sets.set(table, set.add(key));
}
