import { z } from "zod";
import type { Engine } from "../engines/engine.js";
import { DualDbError, isErrorCode } from "../errors.js";
import { configFor, openEngine } from "../migrate/databases.js";
import { type Beginning, LiveRun } from "../migrate/live-run.js";
import type { ToolOptions } from "../migrate/options.js";
import type { Run } from "../migrate/runs.js";
import type { RunReport } from "./run.js";

/** What other processes know of a run by: the command in PostgreSQL's list of runs. */
const command = "http";

/** What they know of it. */
const known = z.object({
  run: z.string(),
  dryRun: z.boolean(),
  progress: z
    .object({ step: z.string(), table: z.string().nullable(), rows: z.number(), total: z.number().nullable() })
    .nullable(),
  code: z.string().nullable(),
});

/** A run as PostgreSQL remembers it, for the other processes of a pair, and for this one when it has been started anew. */
export class RunMemory {
  readonly #postgres: Engine;
  readonly #live: LiveRun;

  /**
   * null where nothing can be remembered: the databases are no pair, or PostgreSQL cannot be asked, which the run will say itself.
   * @throws RUN_UNDER_WAY where another process is at it.
   */
  static async open(options: ToolOptions, report: () => RunReport): Promise<RunMemory | null> {
    const postgres = await connect(options);
    if (postgres === null) return null;
    const begun = await begin(postgres, options, report);
    if (begun.live !== null) return new RunMemory(postgres, begun.live);
    await postgres.close();
    if (begun.other !== null) throw underWay(known.safeParse(begun.other).data?.run ?? null);
    return null;
  }

  private constructor(postgres: Engine, live: LiveRun) {
    this.#postgres = postgres;
    this.#live = live;
  }

  /** Unix time in milliseconds, by the clock that is the same for every process. */
  get beganAt(): number {
    return this.#live.beganAt;
  }

  async end(state: RunReport["state"]): Promise<void> {
    try {
      await this.#live.end(state);
    } finally {
      await this.#postgres.close();
    }
  }
}

/** @throws RUN_UNDER_WAY */
export function underWay(run: string | null): DualDbError {
  return new DualDbError("RUN_UNDER_WAY", "A run is under way.", { details: { run } });
}

/** The last of the runs over HTTP, as far as PostgreSQL remembers it. */
export function lastRemembered(runs: readonly Run[]): RunReport | null {
  const [last] = runs.filter((run) => run.command === command).sort((left, right) => right.beganAt - left.beganAt);
  const facts = known.safeParse(last?.facts);
  if (last === undefined || !facts.success) return null;
  const { outcome: state, beganAt } = last;
  const { run: id, dryRun, progress, code } = facts.data;
  return {
    id,
    here: false,
    dryRun,
    state,
    beganAt,
    endedAt: state === "running" ? null : last.endedAt,
    progress,
    doctor: null,
    copy: null,
    verify: null,
    error: code === null ? null : { code: isErrorCode(code) ? code : "UNEXPECTED" },
  };
}

/** One connection: what the run itself does has others. null where no variable names a PostgreSQL, or they are wrong. */
async function connect(options: ToolOptions): Promise<Engine | null> {
  try {
    const config = configFor(options);
    if (config.postgres === null) return null;
    return await openEngine("postgres", { ...config, postgres: { ...config.postgres, poolSize: 1 } }, options);
  } catch (error) {
    if (error instanceof DualDbError) return null;
    throw error;
  }
}

async function begin(postgres: Engine, options: ToolOptions, report: () => RunReport): Promise<Beginning> {
  try {
    return await LiveRun.begin(postgres, command, () => factsOf(report(), options));
  } catch (error) {
    if (error instanceof DualDbError) return { live: null, other: null };
    await postgres.close();
    throw error;
  }
}

function factsOf({ id, dryRun, progress, error }: RunReport, { tables }: ToolOptions): Run["facts"] {
  const facts: z.infer<typeof known> = { run: id, dryRun, progress, code: error?.code ?? null };
  return { tables: tables ?? null, ...facts };
}
