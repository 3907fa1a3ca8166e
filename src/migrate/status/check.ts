import type { Side } from "../../engines/engine.js";
import type { Sight } from "./sight.js";

/** One thing that has to be so before a step is taken. */
export interface Check {
  readonly name: CheckName;
  /** null: it cannot be told. */
  readonly ok: boolean | null;
  /** What was found, and where it is amiss, what to do. */
  readonly detail: string;
}

export type CheckName =
  | "reachable"
  | "schema"
  | "pair"
  | "primary"
  | "tables"
  | "columns"
  | "mirrored"
  | "foreign-keys"
  | "counts"
  | "verify"
  | "quarantine"
  | "owed"
  | "shadow-errors"
  | "errors"
  | "latency"
  | "search"
  | "json-indexes";

/** What a check finds, before it has its name. */
export type Judgement = Omit<Check, "name">;

/** What a gate asks for beyond its list of checks. */
export interface Limits {
  /** How old the last verify may be, in milliseconds. */
  readonly verifyWithinMs: number;
  /** The side that has to be primary already; null where either will do. */
  readonly primary: Side | null;
}

/** Judges what is seen. */
export type Judge = (sight: Sight, limits: Limits) => Judgement | Promise<Judgement>;

export function fine(detail: string): Judgement {
  return { ok: true, detail };
}

export function amiss(detail: string): Judgement {
  return { ok: false, detail };
}

export function untold(detail: string): Judgement {
  return { ok: null, detail };
}
