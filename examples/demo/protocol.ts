import type { Side } from "dualdb";

/** What somebody says in a channel. */
export interface ChatMessage {
  readonly userId: string;
  readonly username: string;
  readonly channelId: string;
  readonly channelName: string;
  readonly content: string;
  /** Milliseconds since 1970. */
  readonly timestamp: number;
}

/** What the bot does besides saving the message: it answers, is asked something, or somebody edits a shared document. */
export type Extra = "nothing" | "reply" | "query" | "document";

/** What the demo tells a bot. */
export type Order =
  | { readonly kind: "message"; readonly message: ChatMessage; readonly extra: Extra }
  | { readonly kind: "stop" };

/** What a bot tells the demo. */
export type News = { readonly kind: "open" } | { readonly kind: "report"; readonly report: Report };

/** A bot's `status()`, cut down to what the screen shows. */
export interface Report {
  /** Milliseconds since 1970 when it was asked for. */
  readonly at: number;
  readonly primary: Side;
  /** Rows that the other side is owed; null before the two databases are a pair, and while the primary cannot be asked. */
  readonly owed: number | null;
  /** Rows that the other side has refused. */
  readonly refused: readonly { readonly table: string; readonly key: string; readonly reason: string }[];
  /** What keeps the relay from going on. */
  readonly failure: string | null;
  readonly reads: { readonly fenced: number; readonly owed: number; readonly failedOver: number };
}

/** One line of the log that the bots keep outside the databases. Each call has a line when it begins and one when it ends. */
export interface LogLine {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** `stale` is a read that did not find what had been acknowledged before. */
  readonly event: "begun" | "acknowledged" | "failed" | "stale";
  readonly effect: "save" | "delete" | "count" | "read";
  readonly table: string;
  /** The row's id, for profiles the user's; null where the call makes the id and has not ended. */
  readonly key: string | null;
  /** The error's code, of a call that failed. */
  readonly code?: string;
}
