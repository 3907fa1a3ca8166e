import sql from "sql-template-tag";
import type { ExactRow, Transaction } from "../../engines/engine.js";

/** What the application's processes have counted of one thing since the step began. */
export interface Counter {
  /** `error`: a line that was logged as one; `name` is its event, and `code` the error's, if it had one. */
  readonly kind: "count" | "error";
  readonly name: string;
  readonly code: string;
  readonly total: number;
  /** Unix times in milliseconds. */
  readonly firstAt: number;
  readonly lastAt: number;
}

/** The route that the application has last taken, and what its processes have counted on it. */
export interface StepRecord {
  readonly route: string;
  /** Unix time in milliseconds. */
  readonly since: number;
  readonly counters: readonly Counter[];
}

/** null where no process has told of one yet. */
export async function presentStep(transaction: Transaction): Promise<StepRecord | null> {
  const [step] = await transaction.query(
    sql`SELECT s.id, s.route, s.began_at FROM dualdb_steps AS s JOIN dualdb_state AS d ON d.pair_id = s.pair_id
      ORDER BY s.id DESC LIMIT 1`,
  );
  if (step === undefined) return null;
  const counters = await transaction.query(
    sql`SELECT kind, name, code, total, first_at, last_at FROM dualdb_counters WHERE step = ${step.id} ORDER BY kind, name, code`,
  );
  return { route: String(step.route), since: Number(step.began_at), counters: counters.map(counterOf) };
}

/** How often something has been counted. */
export function totalOf(step: StepRecord, name: string): number {
  return step.counters.find((counter) => counter.kind === "count" && counter.name === name)?.total ?? 0;
}

function counterOf(row: ExactRow): Counter {
  return {
    kind: row.kind === "error" ? "error" : "count",
    name: String(row.name),
    code: String(row.code),
    total: Number(row.total),
    firstAt: Number(row.first_at),
    lastAt: Number(row.last_at),
  };
}
