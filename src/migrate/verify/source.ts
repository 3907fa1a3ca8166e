import type { Side } from "../../engines/engine.js";
import { DualDbError } from "../../errors.js";
import { type PairState, sourceOfTruth } from "../../shadow/state.js";
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

/** How a row that looks wrong is looked at again. */
export function lookOf(scene: Scene, from: Side, { sqlite, postgres }: Databases, timeoutMs: number): Look {
  const pair = livePair(scene);
  return pair === null
    ? new LookTwice(from, sqlite, postgres, timeoutMs)
    : new LockedLook(from, pair, sqlite, postgres, timeoutMs);
}
