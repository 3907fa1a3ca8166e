import type { ExactValue } from "../../engines/engine.js";

/** Where a column's conversion says what it could not carry exactly. */
export interface Notes {
  altered(reason: string): void;
  wrapped(reason: string): void;
  /** Returns what stands in the place of the value. */
  refused(reason: string): null;
}

/** Brings a value of a column, NULL excepted, to the other side. The ordinary value costs no more than a look at its type. */
export type Carry = (value: Exclude<ExactValue, null>, notes: Notes) => ExactValue;
