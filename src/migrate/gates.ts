import { DualDbError } from "../errors.js";
import type { ToolOptions } from "./options.js";
import { endIfAsked } from "./progress.js";
import { type Check, type CheckName, type Judge, type Judgement, type Limits, untold } from "./status/check.js";
import { errors, jsonIndexes, latency, shadowErrors } from "./status/conduct.js";
import { counts, foreignKeys, owed, quarantine, search, verify } from "./status/contents.js";
import { type Sight, withSight } from "./status/sight.js";
import { columns, mirrored, pair, primary, reachable, schema, tables } from "./status/standing.js";

/** A step that is worth a look before it is taken. */
export type GateName = "shadow" | "read" | "postgres" | "finalize";

/** Whether a step may be taken, and why not. */
export interface GateReport {
  readonly gate: GateName;
  /** true: all checks are met. false: one is not. null: none has failed, but one cannot be told. */
  readonly open: boolean | null;
  readonly checks: readonly Check[];
}

interface Gate extends Limits {
  readonly checks: readonly CheckName[];
}

const hourMs = 3_600_000;
const always: readonly CheckName[] = [
  "reachable",
  "schema",
  "pair",
  "primary",
  "tables",
  "columns",
  "mirrored",
  "foreign-keys",
];
const whileShadowed: readonly CheckName[] = [
  ...always,
  "counts",
  "verify",
  "quarantine",
  "owed",
  "shadow-errors",
  "errors",
  "latency",
  "search",
  "json-indexes",
];

/** Which checks belong to which step. */
export const gates: Readonly<Record<GateName, Gate>> = {
  shadow: { checks: always, primary: null, verifyWithinMs: 0 },
  read: { checks: whileShadowed, primary: null, verifyWithinMs: 7 * 24 * hourMs },
  postgres: { checks: whileShadowed, primary: null, verifyWithinMs: 24 * hourMs },
  finalize: { checks: whileShadowed, primary: "postgres", verifyWithinMs: 24 * hourMs },
};

const judges: Readonly<Record<CheckName, Judge>> = {
  reachable,
  schema,
  pair,
  primary,
  tables,
  columns,
  mirrored,
  "foreign-keys": foreignKeys,
  counts,
  verify,
  quarantine,
  owed,
  "shadow-errors": shadowErrors,
  errors,
  latency,
  search,
  "json-indexes": jsonIndexes,
};

/**
 * Whether a step may be taken: `shadow` (USE_POSTGRES_SHADOW), `read` (USE_POSTGRES_READ), `postgres` (USE_POSTGRES_PRIMARY),
 * `finalize`. Changes nothing.
 * @throws CONFIG_INVALID, INTERRUPTED. DATABASE_UNAVAILABLE, DATABASE_UNUSABLE, ACCESS_DENIED where SQLite cannot be opened
 */
export async function gate(name: GateName, options: ToolOptions = {}): Promise<GateReport> {
  return withSight({ ...options, onlyRead: true }, (sight) => judge(name, sight));
}

/** The same for what has been seen already. */
export async function judge(name: GateName, sight: Sight): Promise<GateReport> {
  const { checks: names, ...limits } = gates[name];
  const checks: Check[] = [];
  for (const check of names) {
    endIfAsked(sight.options.signal);
    checks.push({ name: check, ...(await untoldOnFailure(judges[check], sight, limits)) });
  }
  return { gate: name, open: verdictOf(checks), checks };
}

function verdictOf(checks: readonly Check[]): boolean | null {
  if (checks.some(({ ok }) => ok === false)) return false;
  return checks.some(({ ok }) => ok === null) ? null : true;
}

/** What keeps a check from looking is no verdict. */
async function untoldOnFailure(check: Judge, sight: Sight, limits: Limits): Promise<Judgement> {
  try {
    return await check(sight, limits);
  } catch (error) {
    if (!(error instanceof DualDbError) || error.code === "INTERRUPTED") throw error;
    return untold(`cannot be told (${error.code}${error.table === undefined ? "" : `, ${error.table}`})`);
  }
}
