import type { Side } from "../../engines/engine.js";

/** Something about a database, and not about a row, that stands in the way or will be missed. */
export interface Problem {
  /** `error`: something cannot be carried until it is mended. `warning`: it can, but look. `note`: worth knowing. */
  readonly severity: "error" | "warning" | "note";
  readonly side: Side;
  /** null where it is about the whole database. */
  readonly table: string | null;
  readonly column: string | null;
  readonly problem: string;
  /** What does not work before it is mended; null where it stops nothing. */
  readonly stops: string | null;
  /** What to do about it. */
  readonly next: string;
}
