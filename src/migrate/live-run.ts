import sql from "sql-template-tag";
import { v7 } from "uuid";
import type { Engine, Transaction } from "../engines/engine.js";
import { type Outcome, postgresNow, type Run, silentMs } from "./runs.js";

/** How a run that others see stands: part of its facts. */
export type LiveFacts = Run["facts"];

/** What came of trying to begin. */
export type Beginning =
  | { readonly live: LiveRun; readonly other: null }
  /** Another process is at it: its run. */
  | { readonly live: null; readonly other: LiveFacts }
  /** The databases are no pair, and remember nothing. */
  | { readonly live: null; readonly other: null };

const timeoutMs = 5_000;
/** Several of them fit into the time after which it is taken for gone. */
const everyMs = 3_000;

/**
 * A run on a pair that every process can see while it goes on, and of which there is one at a time: a row in PostgreSQL that its process
 * touches every few seconds. A lock would have to be a session's, which PgBouncer gives to others, or keep a transaction open as long as the
 * run takes; a row needs neither, and says how far the run has come.
 */
export class LiveRun {
  /** Unix time in milliseconds. */
  readonly beganAt: number;
  readonly #postgres: Engine;
  readonly #id: string;
  readonly #facts: () => LiveFacts;
  #timer: NodeJS.Timeout | null = null;
  #touching: Promise<void> = Promise.resolve();

  /** `facts`: as they are by then, whenever it is asked. */
  static async begin(postgres: Engine, command: string, facts: () => LiveFacts): Promise<Beginning> {
    const id = v7();
    const found = await postgres.transaction({ mode: "write", timeoutMs }, async (transaction) => {
      // Two that begin at once: the second sees the first.
      await transaction.script("LOCK TABLE dualdb_runs IN SHARE ROW EXCLUSIVE MODE");
      const other = await aliveNow(transaction, command);
      return other === null
        ? { other, beganAt: await enter(transaction, id, command, facts()) }
        : { other, beganAt: null };
    });
    if (found.other !== null) return { live: null, other: found.other };
    if (found.beganAt === null) return { live: null, other: null };
    return { live: new LiveRun(postgres, id, found.beganAt, facts), other: null };
  }

  private constructor(postgres: Engine, id: string, beganAt: number, facts: () => LiveFacts) {
    this.#postgres = postgres;
    this.#id = id;
    this.beganAt = beganAt;
    this.#facts = facts;
    this.#timer = setInterval(() => this.#touch(), everyMs).unref();
  }

  /** Remembers how it ended, where PostgreSQL can be told. */
  async end(outcome: Outcome): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    await this.#touching;
    await this.#tell(outcome);
  }

  /** The sign of life that does not get through is followed by another. */
  #touch(): void {
    this.#touching = this.#touching.then(() => this.#tell("running")).catch(() => undefined);
  }

  async #tell(outcome: Outcome): Promise<void> {
    const facts = JSON.stringify(this.#facts());
    const touched = sql`UPDATE dualdb_runs SET outcome = ${outcome}, ended_at = ${postgresNow}, facts = ${facts}::jsonb WHERE id = ${this.#id}`;
    await this.#postgres.write([touched], { timeoutMs, toTheEnd: true });
  }
}

/** The run of that command that is under way; those that have broken off are marked so. */
async function aliveNow(transaction: Transaction, command: string): Promise<LiveFacts | null> {
  await transaction.execute(
    sql`UPDATE dualdb_runs SET outcome = 'interrupted' WHERE command = ${command} AND outcome = 'running' AND ended_at < ${postgresNow} - ${silentMs}::bigint`,
  );
  const [alive] = await transaction.query(
    sql`SELECT r.facts FROM dualdb_runs AS r JOIN dualdb_state AS s ON s.pair_id = r.pair_id WHERE r.command = ${command}
      AND r.outcome = 'running' ORDER BY r.began_at DESC LIMIT 1`,
  );
  return alive === undefined ? null : (JSON.parse(String(alive.facts)) as LiveFacts);
}

/** null where the databases are no pair. */
async function enter(transaction: Transaction, id: string, command: string, facts: LiveFacts): Promise<number | null> {
  const [entered] = await transaction.query(
    sql`INSERT INTO dualdb_runs (id, pair_id, command, outcome, began_at, ended_at, facts)
      SELECT ${id}, s.pair_id, ${command}, 'running', t.now, t.now, ${JSON.stringify(facts)}::jsonb
      FROM dualdb_state AS s, (SELECT ${postgresNow} AS now) AS t WHERE s.pair_id IS NOT NULL RETURNING began_at`,
  );
  return entered === undefined ? null : Number(entered.began_at);
}
