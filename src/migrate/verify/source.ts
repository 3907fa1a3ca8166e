import type { Side } from "../../engines/engine.js";
import { DualDbError } from "../../errors.js";
import { isSettled, type PairState, sourceOfTruth } from "../../shadow/state.js";
import type { Databases, Scene } from "../databases.js";
import { LockedLook, type Look, LookTwice } from "./look.js";

/** The pair that a comparison is about: null where nothing mirrors between the databases, before arming and after `finalize`. */
export function livePair({ states }: Scene): PairState | null {
  return states === null || states.postgres.finalized ? null : states;
}

/**
 * Whose rows count: the primary's, and of databases that are no pair those of `from`, SQLite by default.
 * @throws NOT_PRIMARY where `from` is the shadow of a pair.
 */
export function sourceOf(scene: Scene, from: Side | undefined): Side {
  const pair = livePair(scene);
  if (pair === null) return from ?? (scene.states === null ? "sqlite" : "postgres");
  const primary = sourceOfTruth(pair);
  if (from === undefined || from === primary) return primary;
  throw new DualDbError(
    "NOT_PRIMARY",
    `${from} is the shadow of this pair, and ${primary} the primary: its rows count. Leave out --from, or flip first.`,
    { side: from },
  );
}

/**
 * A pair whose primary is not about to change, and that owes nothing from a roll-back while PostgreSQL was away.
 * @throws NOT_PRIMARY with what has to come first.
 */
export function assertAtRest(states: PairState | null): void {
  if (states === null || isSettled(states)) return;
  const { primary, forced } = states.sqlite;
  const message =
    forced && primary === "sqlite"
      ? "PostgreSQL still owes what was written there before the roll-back to SQLite: that comes in first. Let a process that writes run, with DATABASE_URL set, until dualdb status shows nothing owed, and repeat this."
      : "A change of the primary is half-way: neither side takes writes. Start a process with the flags that you want, and repeat this.";
  throw new DualDbError("NOT_PRIMARY", message);
}

/** How a row that looks wrong is looked at again. */
export function lookOf(scene: Scene, from: Side, { sqlite, postgres }: Databases, timeoutMs: number): Look {
  const pair = livePair(scene);
  return pair === null
    ? new LookTwice(from, sqlite, postgres, timeoutMs)
    : new LockedLook(from, pair, sqlite, postgres, timeoutMs);
}
