import type { Config } from "../../config.js";
import type { Engine, Side } from "../../engines/engine.js";
import { DualDbError, hasCode } from "../../errors.js";
import { withEngine } from "../databases.js";
import type { ToolOptions } from "../options.js";
import { primaryOf } from "../primary.js";

/** The side to fill where nobody names one: the primary of a pair, else PostgreSQL where one is configured, else SQLite. */
export async function defaultSide(config: Config, options: ToolOptions): Promise<Side> {
  const otherwise = config.postgres === null ? "sqlite" : "postgres";
  try {
    const look = { ...options, onlyRead: true };
    return await withEngine("sqlite", config, look, async (engine) => (await primaryOf(engine)) ?? otherwise);
  } catch (error) {
    if (otherwise === "postgres" && hasCode(error, "DATABASE_UNAVAILABLE")) return otherwise;
    throw error;
  }
}

/** Whether the database belongs to a pair. @throws NOT_PRIMARY where it follows the other side of that pair */
export async function assertPrimary(engine: Engine): Promise<boolean> {
  const primary = await primaryOf(engine);
  if (primary === null || primary === engine.side) return primary !== null;
  const [here, there] = engine.side === "sqlite" ? ["SQLite", "PostgreSQL"] : ["PostgreSQL", "SQLite"];
  throw new DualDbError(
    "NOT_PRIMARY",
    `${here} follows ${there}, which is the primary of this pair: import into that with --to ${primary}, and the rows come over by themselves.`,
    { side: engine.side },
  );
}
