import { hash } from "./random.js";

/** Who a row belongs to in a round: only this lane of this bot changes it, so that its last acknowledged value is known. */
export interface Owner {
  readonly round: number;
  readonly slot: number;
  readonly lane: number;
  /** How many bots the round has. */
  readonly slots: number;
}

export const lanes = 3;

/** Rows that all bots work on; each lane has a column, and users, of its own there. */
export const shared = {
  documents: ["shared-0", "shared-1", "shared-2"],
  columns: [
    "omega_thoughts",
    "eye_color",
    "eye_shape",
    "nose_shape",
    "skin_tone",
    "body_type",
    "posture",
    "hair_color",
    "hair_style",
  ],
} as const;

export function sharedUser(number: number): string {
  return `40000000000000000${number}`;
}

export function privateUser({ slot, lane }: Owner, number: number): string {
  return `6${slot}${lane}00000000000000${number}`;
}

/** The user whose messages a lane saves in a round. */
export function userOf({ round, slot, lane }: Owner): string {
  return `3${slot}${lane}${String(round).padStart(15, "0")}`;
}

/** What the names of a lane's rows of this round begin with; `life` counts the processes of the slot. */
export function prefixOf({ round, slot, lane }: Owner, life: number): string {
  return `r${round}s${slot}l${lane}p${life}`;
}

/** Rows of this round belong to who made them; older ones are dealt out anew in each round. */
export function isMine({ round, slot, lane, slots }: Owner, row: string): boolean {
  if (row.startsWith("shared-")) return false;
  if (row.startsWith(`r${round}s`)) return row.startsWith(`r${round}s${slot}l${lane}p`);
  return hash(`${round}/${row}`) % (slots * lanes) === slot * lanes + lane;
}
