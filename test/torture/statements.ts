import type { DualDatabase } from "../../src/database.js";

/** A statement as it goes through a bot's channel: text values only, other values stand in the text. */
export interface PlainStatement {
  readonly sql: string;
  readonly text: string;
  readonly values: readonly string[];
}

export type WriteStatement = Parameters<DualDatabase["write"]>[0];

/** A statement with its own text for each side. */
export function statement({ sql, text, values }: PlainStatement): WriteStatement {
  return { sql, text, values } as unknown as WriteStatement;
}

/** One text that both sides understand, with `?` for each value. */
export function plain(sql: string, ...values: readonly string[]): PlainStatement {
  let number = 0;
  return { sql, text: sql.replaceAll("?", () => `$${++number}`), values };
}

export function both(sql: string, ...values: readonly string[]): WriteStatement {
  return statement(plain(sql, ...values));
}
