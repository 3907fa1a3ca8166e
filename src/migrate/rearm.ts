import { existsSync } from "node:fs";
import { basename } from "node:path";
import type { Config } from "../config.js";
import type { Engine, Side } from "../engines/engine.js";
import { DualDbError } from "../errors.js";
import { silentLogger } from "../logger.js";
import { migrate, requireSchema } from "../schema/migrations.js";
import { Journal } from "../shadow/journal.js";
import { rearm as rearmPair } from "../shadow/rearm.js";
import { configFor, withDatabases } from "./databases.js";
import type { ToolOptions } from "./options.js";

export interface RearmOptions extends Omit<ToolOptions, "tables" | "epochs"> {
  /** The side whose rows count, and that is primary from then on. */
  readonly primary: Side;
  /** The name of the other database, typed by whoever means it: it loses what it alone has. See `nameToConfirm`. */
  readonly confirm: string;
}

/** What making the pair anew has done. */
export interface RearmReport {
  readonly primary: Side;
  /** The SQLite file that was made, since there was none; null where there was one. */
  readonly created: string | null;
  /** Tables whose rows the other side is owed now. */
  readonly armed: readonly string[];
  /** Tables that are not mirrored, with the reason. */
  readonly unmirrored: readonly { readonly table: string; readonly reason: string }[];
  /** Rows that the other side is owed. */
  readonly owed: number;
}

/**
 * Makes a pair of two databases that have lost sight of each other, after one was restored from a backup or got lost. The rows of `primary`
 * count: the other side is owed every one of them, and the application's shadow, or `copy`, brings them. A SQLite file that is not there is
 * made where PostgreSQL is to be primary. Doing it twice is the same as once.
 * @throws VALIDATION_FAILED unless `confirm` is the other database's name. CONFIG_INVALID, DATABASE_UNAVAILABLE, SCHEMA_MISSING, FINALIZED,
 * DATABASE_BUSY: nothing has been changed then.
 */
export async function rearm(options: RearmOptions): Promise<RearmReport> {
  const { primary, clock = Date.now, logger = silentLogger } = options;
  const config = configFor(options);
  assertConfirmed(config, primary, options.confirm);
  const { file } = config.sqlite;
  const created = file !== null && primary === "postgres" && !existsSync(file) ? file : null;
  return withDatabases({ ...options, createFile: created !== null }, async ({ sqlite, postgres }) => {
    await requireSchema(postgres);
    await migrate({ engine: sqlite, timeoutMs: config.migrationTimeoutMs, logger, allowUnknown: true });
    const { armed, pairing } = await rearmPair(sqlite, postgres, primary, clock);
    const owed = await owedBy(primary === "sqlite" ? sqlite : postgres);
    return { primary, created, armed, unmirrored: pairing.unmirrored, owed };
  });
}

/** What has to be typed before the rows of `primary` may replace the other side's: the SQLite file's name, or the PostgreSQL database's. */
export function nameToConfirm({ sqlite, postgres }: Config, primary: Side): string {
  if (primary === "sqlite") return postgres?.database ?? "";
  return sqlite.file === null ? new URL(sqlite.url).host : basename(sqlite.file);
}

function assertConfirmed(config: Config, primary: Side, confirm: string): void {
  const name = nameToConfirm(config, primary);
  if (confirm === name) return;
  const which = primary === "sqlite" ? "PostgreSQL database" : "SQLite database";
  throw new DualDbError(
    "VALIDATION_FAILED",
    `Nothing was changed: what was typed is not the name of the ${which} whose rows are given up, which is "${name}".`,
  );
}

async function owedBy(engine: Engine): Promise<number> {
  const summary = await engine.transaction({ mode: "read" }, (reader) => new Journal(engine.side).summary(reader));
  return summary.entries;
}
