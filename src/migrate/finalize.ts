import type { Engine } from "../engines/engine.js";
import { DualDbError, hasCode, isErrorCode } from "../errors.js";
import { type DisarmPoint, disarm } from "../shadow/disarm.js";
import { openEngine } from "./databases.js";
import { type ExportReport, exportData } from "./export.js";
import { judge } from "./gates.js";
import type { ToolOptions } from "./options.js";
import { endIfAsked } from "./progress.js";
import { recordRun } from "./runs.js";
import type { Check } from "./status/check.js";
import { type Sight, stateIn, withSight } from "./status/sight.js";

export interface FinalizeOptions extends Omit<ToolOptions, "tables"> {
  /** The name of the PostgreSQL database, typed by whoever means it. */
  readonly confirm: string;
  /** Where SQLite's rows are exported to; `migration-data` by default. */
  readonly directory?: string | undefined;
}

/** What ending the way back has done. */
export interface FinalizeReport {
  /** The PostgreSQL database that goes on alone, as a person may read it. */
  readonly database: string;
  /** SQLite's rows as they were last, with checksums; null where a former run had finished all that counts. */
  readonly exported: ExportReport | null;
  /** The checks of the gate, all of them met; none where a former run had passed it. */
  readonly checks: readonly Check[];
  /** true where a former run had already made PostgreSQL go on alone. */
  readonly already: boolean;
}

/**
 * Ends the way back: exports SQLite's rows with checksums, takes triggers and journals off both databases, and marks them. From then on
 * the application runs on PostgreSQL alone, with USE_POSTGRES_PRIMARY on, and never opens SQLite; with the flag off it is refused. What a
 * crash leaves, a second run finishes.
 * @throws VALIDATION_FAILED unless `confirm` is the database's name. GATE_CLOSED or GATE_UNTOLD, with `details.checks`, unless the gate
 * `finalize` is open. FILE_UNUSABLE, DATABASE_BUSY, INTERRUPTED: nothing has been ended then.
 */
export async function finalize(options: FinalizeOptions): Promise<FinalizeReport> {
  return finalizeWith(options, () => undefined);
}

/** The same, stopped at a point by a test. */
export async function finalizeWith(
  options: FinalizeOptions,
  reached: (point: DisarmPoint) => Promise<void> | void,
): Promise<FinalizeReport> {
  return withSight(options, async (sight) => {
    const { engine } = sight.postgres;
    assertConfirmed(sight, options.confirm);
    if (engine === null || stateIn(sight.postgres) === null) throw unseen(sight);
    const run = new Finalizing(sight, engine, options);
    return stateIn(sight.postgres)?.finalized === true ? run.finish() : run.run(reached);
  });
}

class Finalizing {
  readonly #sight: Sight;
  readonly #postgres: Engine;
  readonly #options: FinalizeOptions;
  readonly #clock: () => number;

  constructor(sight: Sight, postgres: Engine, options: FinalizeOptions) {
    this.#sight = sight;
    this.#postgres = postgres;
    this.#options = options;
    this.#clock = options.clock ?? Date.now;
  }

  async run(reached: (point: DisarmPoint) => Promise<void> | void): Promise<FinalizeReport> {
    const beganAt = this.#clock();
    const checks = stateIn(this.#sight.sqlite)?.finalized === true ? [] : await this.#pass();
    endIfAsked(this.#options.signal);
    const exported = await exportData({ ...this.#options, from: "sqlite" });
    endIfAsked(this.#options.signal);
    await disarm(this.#sight.sqlite.engine, this.#postgres, this.#clock, reached);
    const facts = { tables: null, exported: exported.tables.map(({ table, rows }) => ({ table, rows })) };
    const run = { command: "finalize", outcome: "done", beganAt, endedAt: this.#clock(), facts } as const;
    await recordRun(this.#postgres, run, this.#options.logger);
    return { database: String(this.#sight.names.postgres), exported, checks, already: false };
  }

  /** PostgreSQL goes on alone already; a crash may have left triggers in SQLite, which may be gone as well. */
  async finish(): Promise<FinalizeReport> {
    const sqlite = await openEngine("sqlite", this.#sight.config, this.#options).catch(goneIsFine);
    try {
      if (sqlite !== null) await disarm(sqlite, this.#postgres, this.#clock);
    } finally {
      await sqlite?.close();
    }
    return { database: String(this.#sight.names.postgres), exported: null, checks: [], already: true };
  }

  async #pass(): Promise<readonly Check[]> {
    const { open, checks } = await judge("finalize", this.#sight);
    if (open === true) return checks;
    const unmet = checks.filter(({ ok }) => ok !== true);
    const list = unmet.map(({ name, detail }) => `\n- ${name}: ${detail}`).join("");
    const what = open === false ? "is not open" : "cannot be told to be open";
    const message = `Nothing was ended: the gate "finalize" ${what}:${list}`;
    throw new DualDbError(open === false ? "GATE_CLOSED" : "GATE_UNTOLD", message, { details: { checks: unmet } });
  }
}

function assertConfirmed({ config }: Sight, confirm: string): void {
  if (config.postgres === null)
    throw new DualDbError("CONFIG_INVALID", "No PostgreSQL is named: set DATABASE_URL, or give --pg.");
  if (confirm === config.postgres.database) return;
  throw new DualDbError(
    "VALIDATION_FAILED",
    `Nothing was ended: what was typed is not the name of the PostgreSQL database, which is "${config.postgres.database}".`,
  );
}

function unseen({ postgres: { status } }: Sight): DualDbError {
  const why = status?.reachable === false ? status.error : null;
  if (why?.code === "SCHEMA_MISSING") return new DualDbError("SCHEMA_MISSING", why.message, { side: "postgres" });
  const code = why !== null && isErrorCode(why.code) ? why.code : "DATABASE_UNAVAILABLE";
  const message = `Nothing was ended: ${why?.message ?? "PostgreSQL cannot be asked"}`;
  return new DualDbError(code, message, { side: "postgres" });
}

function goneIsFine(error: unknown): null {
  if (error instanceof DualDbError && !hasCode(error, "INTERRUPTED")) return null;
  throw error;
}
