import type { Side } from "../../src/engines/engine.js";
import type { FaultPoint } from "../../src/shadow/mirror.js";
import type { Refused } from "../../src/shadow/side-status.js";
import type { AddedColumn } from "./added-columns.js";
import type { DirectTargets } from "./console.js";
import type { Reply, Request } from "./requests.js";

export interface StartOrder {
  readonly do: "start";
  readonly env: NodeJS.ProcessEnv;
  readonly seed: number;
  readonly round: number;
  readonly slot: number;
  readonly slots: number;
  /** How many processes the slot has had in this round. */
  readonly life: number;
  /** Directory of this round's logs, the bot's own file there, and those that its slot has written before. */
  readonly logs: string;
  readonly log: string;
  readonly earlier: readonly string[];
  /** File of the rows that were there before the round. */
  readonly known: string;
  readonly direct: DirectTargets;
  readonly route: string;
  /** Whether its flags ask for PostgreSQL as primary. */
  readonly wantsPostgres: boolean;
  /** Columns that tables have been given since the databases were made. */
  readonly columns: readonly AddedColumn[];
  /** Its lanes keep still until they are told to speak. */
  readonly quiet: boolean;
}

/** Kill the process, or hold its relay, when that next reaches a point of a mirror pass. */
export interface TrapOrder {
  readonly do: "trap";
  readonly point: FaultPoint;
  /** So many times it passes first. */
  readonly skip: number;
  readonly action: "kill" | "hold";
}

export type ToBot =
  | StartOrder
  | TrapOrder
  | { readonly do: "stop" }
  | { readonly do: "speak" }
  /** Both sides have it now. */
  | { readonly do: "know"; readonly column: AddedColumn }
  | { readonly do: "ask"; readonly number: number; readonly request: Request }
  /** Goes on, and forgets a trap that has not been sprung; or keeps the one that was set meanwhile. */
  | { readonly do: "resume" | "resume-and-keep-trap" }
  | { readonly do: "settle"; readonly env: NodeJS.ProcessEnv; readonly log: string };

/** Calls of a bot that have had an answer: writes of any kind, and those of any kind that went through a service. */
export interface Answered {
  readonly writes: number;
  readonly services: number;
}

export type FromBot =
  | { readonly is: "ready" }
  | { readonly is: "started" }
  | { readonly is: "stopped" }
  | ({ readonly is: "answered" } & Answered)
  | { readonly is: "trapped"; readonly point: FaultPoint }
  | { readonly is: "told"; readonly number: number; readonly reply: Reply }
  | { readonly is: "settled"; readonly primary: Side; readonly refused: readonly Refused[] }
  | { readonly is: "unsettled"; readonly status: string };
