import sql from "sql-template-tag";
import { v7 } from "uuid";
import type { Engine, ExactRow, Transaction } from "../engines/engine.js";
import { codes, DualDbError, errorFields } from "../errors.js";
import { type Logger, silentLogger } from "../logger.js";
import type { ToolOptions } from "./options.js";

/**
 * `done`: and equal, where it compared. `differs`: something differs or was set aside. `interrupted`: somebody asked for an end, or the process
 * is gone. `running`: only a run over HTTP is remembered before it ends.
 */
export type Outcome = "running" | "done" | "differs" | "failed" | "interrupted";

/** What a command has done on a pair. */
export interface Run {
  /** `verify`, `copy`, `repair`, `import`, `finalize`, `http` … */
  readonly command: string;
  readonly outcome: Outcome;
  /** Unix times in milliseconds; of one that is running, its last sign of life. */
  readonly beganAt: number;
  readonly endedAt: number;
  /** Counts and names, never a row's value: part of the command's result, or the error's `code`. `tables` is null where it was about all. */
  readonly facts: { readonly tables: readonly string[] | null } & Readonly<Record<string, unknown>>;
}

const timeoutMs = 5_000;

/** A run that has given no sign of life for so long has lost its process. */
export const silentMs = 15_000;

/** Unix time in milliseconds by PostgreSQL's clock, which is the same for every process. */
export const postgresNow = sql`(extract(epoch FROM clock_timestamp()) * 1000)::bigint`;

/**
 * Remembers a run in PostgreSQL, for `dualdb status` and its gates, where the databases are a pair; else it leaves no trace. The run has
 * been done whatever becomes of this, so a failure is only logged. Resolves to whether it is remembered.
 */
export async function recordRun(postgres: Engine, run: Run, logger: Logger = silentLogger): Promise<boolean> {
  try {
    const [result] = await postgres.write([entry(run)], { timeoutMs, toTheEnd: true });
    return result?.changes === 1;
  } catch (error) {
    if (!(error instanceof DualDbError)) throw error;
    const fields = { event: "run-not-recorded", command: run.command, ...errorFields(error) };
    logger.warn(fields, "dualdb status will not know of this run");
    return false;
  }
}

/**
 * Does the work of a command; where that does not come to its end, a pair's PostgreSQL remembers why. `postgres` is null where the databases
 * are no pair. Wrong usage is no run.
 */
export async function recordingFailure<T>(
  command: string,
  postgres: Engine | null,
  { tables, clock = Date.now, logger }: Pick<ToolOptions, "tables" | "clock" | "logger">,
  work: () => Promise<T>,
): Promise<T> {
  const beganAt = clock();
  try {
    return await work();
  } catch (error) {
    const { code } = errorFields(error);
    const outcome = code === "INTERRUPTED" ? "interrupted" : "failed";
    const run = { command, outcome, beganAt, endedAt: clock(), facts: { tables: tables ?? null, code } } as const;
    if (postgres !== null && !isWrongUsage(error)) await recordRun(postgres, run, logger);
    throw error;
  }
}

function isWrongUsage(error: unknown): boolean {
  return error instanceof DualDbError && (codes[error.code].exit === 2 || error.code === "FINALIZED");
}

/** All runs, those whose process is gone among the interrupted ones. */
const standing = sql`SELECT id, pair_id, command, began_at, ended_at, facts, CASE WHEN outcome = 'running'
  AND ended_at < ${postgresNow} - ${silentMs}::bigint THEN 'interrupted' ELSE outcome END AS outcome FROM dualdb_runs`;

/** The last run of each command on this pair, by outcome and tables, the latest first. */
export async function lastRuns(transaction: Transaction): Promise<Run[]> {
  const rows = await transaction.query(
    sql`SELECT * FROM (SELECT DISTINCT ON (r.command, r.outcome, r.facts -> 'tables') r.id, r.command, r.outcome, r.began_at, r.ended_at,
        r.facts FROM (${standing}) AS r JOIN dualdb_state AS s ON s.pair_id = r.pair_id
        ORDER BY r.command, r.outcome, r.facts -> 'tables', r.ended_at DESC, r.id DESC) AS l ORDER BY ended_at DESC, id DESC`,
  );
  return rows.map(runOf);
}

/** Two databases that are no pair, or none any more but by name, have nothing to remember it by. */
function entry({ command, outcome, beganAt, endedAt, facts }: Run) {
  return sql`INSERT INTO dualdb_runs (id, pair_id, command, outcome, began_at, ended_at, facts)
    SELECT ${v7()}, pair_id, ${command}, ${outcome}, ${beganAt}::bigint, ${endedAt}::bigint, ${JSON.stringify(facts)}::jsonb
    FROM dualdb_state WHERE pair_id IS NOT NULL`;
}

function runOf(row: ExactRow): Run {
  return {
    command: String(row.command),
    outcome: String(row.outcome) as Outcome,
    beganAt: Number(row.began_at),
    endedAt: Number(row.ended_at),
    facts: JSON.parse(String(row.facts)) as Run["facts"],
  };
}
