import type { Engine, Side } from "../engines/engine.js";
import { hasCode } from "../errors.js";
import { readPostgresState, readSqliteState } from "../shadow/state.js";

/** The primary of the pair that a database belongs to, as that side knows it; null where it belongs to none. */
export async function primaryOf(engine: Engine): Promise<Side | null> {
  try {
    const { pairId, primary } = await engine.transaction<{ pairId: string | null; primary: Side }>(
      { mode: "read", timeoutMs: 60_000 },
      engine.side === "sqlite" ? readSqliteState : readPostgresState,
    );
    return pairId === null ? null : primary;
  } catch (error) {
    if (hasCode(error, "SCHEMA_MISSING")) return null;
    throw error;
  }
}
