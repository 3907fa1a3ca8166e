import { openSync, writeSync } from "node:fs";
import { DualDbError } from "dualdb";
import type { LogLine } from "./protocol.js";

type Effect = LogLine["effect"];

/**
 * What the bot has asked its database for, and what it was told: one file for all bots, outside the databases. A line is with the
 * operating system before the next call begins, so that kill -9 takes none of them away.
 */
export class CallLog {
  readonly #file: number;

  constructor(path: string) {
    this.#file = openSync(path, "a");
  }

  /** A call that makes a row and resolves to its id; null when it failed. */
  save(table: string, call: () => Promise<string>): Promise<string | null> {
    return this.#call("save", table, null, call, (id) => id);
  }

  /** A call that changes a row; false means that there was no such row. */
  async change(table: string, key: string, call: () => Promise<unknown>): Promise<void> {
    if ((await this.#call("save", table, key, call)) === false) this.#write("stale", "read", table, key);
  }

  async delete(table: string, key: string, call: () => Promise<unknown>): Promise<void> {
    await this.#call("delete", table, key, call);
  }

  /** A call that adds one to the row's counter. */
  async count(table: string, key: string, call: () => Promise<unknown>): Promise<void> {
    await this.#call("count", table, key, call);
  }

  /** A read of a row that has been acknowledged. */
  async find(table: string, key: string, read: () => Promise<unknown>): Promise<void> {
    try {
      if ((await read()) === null) this.#write("stale", "read", table, key);
    } catch (error) {
      this.#write("failed", "read", table, key, codeOf(error));
    }
  }

  async #call<T>(
    effect: Effect,
    table: string,
    key: string | null,
    call: () => Promise<T>,
    keyOf: (result: T) => string | null = () => key,
  ): Promise<T | null> {
    this.#write("begun", effect, table, key);
    try {
      const result = await call();
      this.#write("acknowledged", effect, table, keyOf(result));
      return result;
    } catch (error) {
      this.#write("failed", effect, table, key, codeOf(error));
      return null;
    }
  }

  #write(event: LogLine["event"], effect: Effect, table: string, key: string | null, code?: string): void {
    const line: LogLine = { at: Date.now(), event, effect, table, key, ...(code === undefined ? {} : { code }) };
    writeSync(this.#file, `${JSON.stringify(line)}\n`);
  }
}

function codeOf(error: unknown): string {
  return error instanceof DualDbError ? error.code : String(error);
}
