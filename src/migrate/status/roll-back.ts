import type { Latency } from "../../metrics.js";
import { type Sight, stateIn } from "./sight.js";
import { counted } from "./standing.js";

/** What going back to SQLite would cost now. */
export interface RollBack {
  /** false only after `dualdb finalize`. */
  readonly possible: boolean;
  /** Acknowledged writes that would be gone: always 0. */
  readonly lost: 0;
  /** Rows that are carried back first; null where PostgreSQL cannot be asked. */
  readonly rows: number | null;
  /** Milliseconds without writes, estimated; null where it cannot be told. */
  readonly estimatedMs: number | null;
  readonly text: string;
}

/** A change of the primary takes about so many round trips to PostgreSQL; SQLite takes rows at about this rate. */
const roundTrips = 30;
const rowsPerSecond = 5_000;
const commitsMs = 10;

export function rollBackOf(sight: Sight, postgres: Latency | null): RollBack {
  const [left, right] = [stateIn(sight.sqlite), stateIn(sight.postgres)];
  if (left?.finalized === true || right?.finalized === true)
    return { ...nothing, possible: false, rows: null, estimatedMs: null, text: "impossible: finalized" };
  if (left?.primary === "sqlite") return { ...nothing, text: "nothing to do: SQLite is primary" };
  if (left === null && right === null) return { ...nothing, text: "nothing to do: nothing has been moved" };
  return right === null ? leavingBehind() : carryingBack(sight, postgres);
}

const nothing = { possible: true, lost: 0, rows: 0, estimatedMs: 0 } as const;

function carryingBack({ postgres }: Sight, latency: Latency | null): RollBack {
  const { entries, quarantined } = postgres.status?.reachable === true ? postgres.status.journal : noJournal;
  if (quarantined > 0)
    return {
      ...nothing,
      rows: entries,
      estimatedMs: null,
      text: `0 lost, but refused as long as SQLite refuses ${counted(quarantined, "row")}: mend them first`,
    };
  const exact = roundTrips * (latency?.p50 ?? 1) + commitsMs + (entries / rowsPerSecond) * 1_000;
  const estimatedMs = Math.ceil(exact / 10) * 10;
  return {
    ...nothing,
    rows: entries,
    estimatedMs,
    text: `0 lost, ${counted(entries, "row")}, about ${estimatedMs} ms`,
  };
}

const noJournal = { entries: 0, quarantined: 0 };

function leavingBehind(): RollBack {
  const text =
    "PostgreSQL cannot be asked: SQLite would go on at once with what it has, and what PostgreSQL still owes it comes in when it is back";
  return { ...nothing, rows: null, estimatedMs: null, text };
}
