/** A value that cannot be carried exactly, and what was done about it. Never holds the value itself. */
export interface Finding {
  readonly table: string;
  /** The row's key, as the journal spells it. */
  readonly key: string;
  readonly column: string;
  readonly reason: string;
  /** `altered`: carried with a change; `wrapped`: carried in a reversible form; `refused`: not carried, the row stays owed. */
  readonly action: "altered" | "wrapped" | "refused";
}
