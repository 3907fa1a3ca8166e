import sql from "sql-template-tag";
import type { Engine, Transaction } from "../engines/engine.js";
import { errorFields, hasCode } from "../errors.js";
import type { Logger } from "../logger.js";
import type { RouteName } from "../route.js";

/** What a process counts: things that happened, by name, and errors that it logged, by event and code. */
type Kind = "count" | "error";

interface Increment {
  readonly kind: Kind;
  readonly name: string;
  readonly code: string;
  total: number;
  readonly firstAt: number;
  lastAt: number;
}

/** What is counted, and who is told: known once everything stands. */
export interface TallySources {
  /** Totals of this process, which only grow. */
  readonly counts: () => Readonly<Record<string, number>>;
  /** The route in force. */
  readonly route: () => RouteName;
  /** PostgreSQL, where the databases are together and it answers; else null, and what was counted waits. */
  readonly postgres: () => Promise<Engine | null>;
}

const everyMs = 10_000;
/** Soon after the start, so that somebody who has just restarted the application sees its route. */
const firstMs = 1_000;
const timeoutMs = 2_000;

/**
 * Tells PostgreSQL now and then what this process has counted, for whoever looks from outside. Nobody waits for it, and nothing fails
 * because of it: what cannot be told waits for the next time.
 */
export class Tally {
  readonly #clock: () => number;
  readonly #logger: Logger;
  readonly #waiting = new Map<string, Increment>();
  #told: Readonly<Record<string, number>> = {};
  #step: { readonly id: string; readonly route: RouteName } | null = null;
  #telling: Promise<void> | null = null;
  #sources: TallySources | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(clock: () => number, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  start(sources: TallySources): void {
    this.#sources = sources;
    this.#timer ??= setTimeout(() => this.#tick(), firstMs).unref();
  }

  /** Counts an error that is being logged. */
  logged(fields: object): void {
    const { event, code } = fields as { readonly event?: unknown; readonly code?: unknown };
    this.#add("error", String(event ?? ""), typeof code === "string" ? code : "", 1);
  }

  /** Tells what has been counted since the last time. Never rejects. */
  tell(): Promise<void> {
    this.#telling ??= this.#tell().finally(() => {
      this.#telling = null;
    });
    return this.#telling;
  }

  /** Tells the rest, where PostgreSQL answers. */
  async stop(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    await this.#telling;
    await this.tell();
  }

  #tick(): void {
    this.#timer = setTimeout(() => this.#tick(), everyMs).unref();
    void this.tell();
  }

  async #tell(): Promise<void> {
    const sources = this.#sources;
    if (sources === null) return;
    let taken: readonly Increment[] = [];
    try {
      const postgres = await sources.postgres();
      if (postgres === null) return;
      const step = await this.#present(postgres, sources.route());
      this.#collect(sources.counts());
      taken = [...this.#waiting.values()];
      this.#waiting.clear();
      if (taken.length > 0) await postgres.write([addition(step, taken)], { timeoutMs });
    } catch (error) {
      // What may have arrived is not told twice.
      if (!hasCode(error, "OUTCOME_UNKNOWN")) for (const increment of taken) this.#merge(increment);
      this.#step = null;
      this.#logger.debug({ event: "tally-waits", ...errorFields(error) }, "counters are told later");
    }
  }

  #collect(counts: Readonly<Record<string, number>>): void {
    for (const [name, total] of Object.entries(counts)) this.#add("count", name, "", total - (this.#told[name] ?? 0));
    this.#told = counts;
  }

  #add(kind: Kind, name: string, code: string, total: number): void {
    const now = this.#clock();
    if (total > 0) this.#merge({ kind, name, code, total, firstAt: now, lastAt: now });
  }

  #merge(increment: Increment): void {
    const key = JSON.stringify([increment.kind, increment.name, increment.code]);
    const other = this.#waiting.get(key);
    if (other === undefined) this.#waiting.set(key, { ...increment });
    else {
      other.total += increment.total;
      other.lastAt = Math.max(other.lastAt, increment.lastAt);
    }
  }

  /** The step that this process counts for: the last one if it has the same route, else a new one. */
  async #present(postgres: Engine, route: RouteName): Promise<string> {
    if (this.#step?.route === route) return this.#step.id;
    const id = await postgres.transaction({ mode: "write", timeoutMs }, (transaction) =>
      enterStep(transaction, route, this.#clock()),
    );
    this.#step = { id, route };
    return id;
  }
}

/** The same logger, whose errors are counted. */
export function counted(logger: Logger, tally: Tally): Logger {
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error(fields, message) {
      tally.logged(fields);
      logger.error(fields, message);
    },
  };
}

async function enterStep(transaction: Transaction, route: RouteName, now: number): Promise<string> {
  // Two processes that start at once take the same step.
  await transaction.script("LOCK TABLE dualdb_steps IN SHARE ROW EXCLUSIVE MODE");
  const [last] = await transaction.query(
    sql`SELECT s.id, s.route, s.pair_id IS NOT DISTINCT FROM d.pair_id AS ours FROM dualdb_steps AS s, dualdb_state AS d ORDER BY s.id DESC LIMIT 1`,
  );
  if (last?.route === route && last.ours === true) return String(last.id);
  const [row] = await transaction.query(
    sql`INSERT INTO dualdb_steps (pair_id, route, began_at) SELECT pair_id, ${route}, ${now}::bigint FROM dualdb_state RETURNING id`,
  );
  return String(row?.id);
}

/** In one order for every process, so that two of them never wait for each other. */
function addition(step: string, increments: readonly Increment[]) {
  const column = <T>(of: (increment: Increment) => T) => increments.map(of);
  return sql`INSERT INTO dualdb_counters AS c (step, kind, name, code, total, first_at, last_at)
    SELECT ${step}::bigint, kind, name, code, total, first_at, last_at FROM unnest(${column(({ kind }) => kind)}::text[],
      ${column(({ name }) => name)}::text[], ${column(({ code }) => code)}::text[], ${column(({ total }) => total)}::bigint[],
      ${column(({ firstAt }) => firstAt)}::bigint[], ${column(({ lastAt }) => lastAt)}::bigint[])
      AS i (kind, name, code, total, first_at, last_at) ORDER BY kind, name, code
    ON CONFLICT (step, kind, name, code) DO UPDATE SET total = c.total + excluded.total,
      first_at = LEAST(c.first_at, excluded.first_at), last_at = GREATEST(c.last_at, excluded.last_at)`;
}
