import { areEqualSince } from "../verify/verdicts.js";
import { amiss, fine, type Judge, type Judgement, untold } from "./check.js";
import { duration } from "./duration.js";
import { explainJsonIndexes } from "./json-indexes.js";
import { sampledTable, sampleReads } from "./latency.js";
import { answers, type Sight, tableNamesIn } from "./sight.js";
import { counted, withPairing } from "./standing.js";
import { type Counter, type StepRecord, totalOf } from "./steps.js";

const mostShadowErrors = 0.01;
const slowestReadMs = 100;

/** Failures that say where they come from: the other database was away, or somebody else was at work. */
const explained = new Set(["DATABASE_UNAVAILABLE", "DATABASE_BUSY", "OUTCOME_UNKNOWN", "NOT_PRIMARY"]);

/**
 * Since the last step, the mirror has failed for less than one row in a hundred, and for no reason that nobody knows. A time in which
 * the other side was away counts as one failure, however often it was tried.
 */
export const shadowErrors: Judge = (sight) => {
  const { step } = sight;
  if (step === null) return notTold(sight);
  const failures = step.counters.filter(({ kind, name }) => kind === "error" && name === "relay-failed");
  const unexplained = failures.filter((failure) => !explained.has(failure.code) && isOpen(failure, sight));
  if (unexplained.length > 0)
    return amiss(`the relay failed for another reason than an outage (${listOf(unexplained)})`);
  const errors = totalOf(step, "refused") + failures.reduce((sum, { total }) => sum + total, 0);
  const all = totalOf(step, "mirrored") + errors;
  const share = all === 0 ? 0 : errors / all;
  const text = `${errors.toLocaleString("en")} of ${counted(all, "row")} since ${sinceText(step, sight.now)}`;
  return share < mostShadowErrors ? fine(text) : amiss(`${text}: 1 % is too much`);
};

/** No error was logged since the last step, but for those after which a verify has found every table equal. */
export const errors: Judge = (sight) => {
  const { step } = sight;
  if (step === null) return notTold(sight);
  const open = step.counters.filter((counter) => counter.kind === "error" && isOpen(counter, sight));
  if (open.length === 0) return fine(`none since ${sinceText(step, sight.now)}`);
  const last = Math.max(...open.map(({ lastAt }) => lastAt));
  return amiss(
    `${listOf(open)}, the last ${duration(sight.now - last)} ago: look at the log, then run npx dualdb verify`,
  );
};

function notTold({ postgres }: Sight): Judgement {
  if (!answers(postgres.status)) return untold("PostgreSQL, which remembers it, cannot be asked");
  return untold("no process has told of its work yet: start the application with USE_POSTGRES_SHADOW=true");
}

/** PostgreSQL answers fast enough. */
export const latency: Judge = (sight) =>
  withPairing(sight, async (pairing) => {
    const table = sampledTable(pairing);
    if (table === null || sight.postgres.engine === null) return untold("there is no table to read");
    const { p95 } = await sampleReads(sight.postgres.engine, table);
    const text = `PostgreSQL's reads of ${table.name}: p95 ${p95.toFixed(1)} ms`;
    return p95 < slowestReadMs ? fine(text) : amiss(`${text}, where less than ${slowestReadMs} ms is asked for`);
  });

/** Queries for what is inside of JSON go through the indexes that were made for them: by the user, since the package's own look at no JSON. */
export const jsonIndexes: Judge = async ({ postgres: { engine, status } }) => {
  if (engine === null || status?.reachable !== true) return untold("PostgreSQL cannot be asked");
  const indexes = await explainJsonIndexes(engine);
  const unused = indexes.filter(({ used }) => !used);
  if (unused.length > 0)
    return amiss(`PostgreSQL does not use ${unused.map(({ index }) => index).join(", ")}: is it valid? REINDEX it`);
  return fine(indexes.length === 0 ? "nothing to check: no JSONB column has an index" : `${indexes.length} used`);
};

/**
 * Whether the error may have done something that nobody has seen. What is counted names no table, and each of these errors says that
 * something may not have arrived; so it is settled when every table has been found equal by a verify that began after it.
 */
function isOpen({ lastAt }: Counter, sight: Sight): boolean {
  const tables = tableNamesIn(sight);
  return tables.length === 0 || !areEqualSince(tables, sight.runs, lastAt);
}

function listOf(counters: readonly Counter[]): string {
  return counters
    .map(({ name, code, total }) => `${total.toLocaleString("en")} × ${name}${code === "" ? "" : ` ${code}`}`)
    .join(", ");
}

function sinceText({ route, since }: StepRecord, now: number): string {
  return `the step to ${route}, ${duration(now - since)} ago`;
}
