import type { PoolClient, QueryConfig, QueryResult } from "pg";
import { DualDbError } from "../errors.js";
import type { CopyChunks, ExactRow, PostgresTransaction, Statement } from "./engine.js";
import { receiveCopy, SourceFailure, sendCopy } from "./postgres-copy.js";
import { isLost, type Phase, translate } from "./postgres-errors.js";
import type { Interruption } from "./postgres-interruption.js";
import { bindValues, exactTypes, type TypeParsers } from "./postgres-types.js";

/** How long the server may be silent beyond the limit that it was told, before the connection is given up. */
const slackMs = 2_000;
const largestTimeout = 2_147_483_647;
const mostParameters = 65_535;

/** A query of `pg` with the settings that its types leave out. */
export interface EngineQuery extends QueryConfig {
  /** Client side, in milliseconds. */
  readonly query_timeout: number;
  /** One statement and no more, also where there are no values. */
  readonly queryMode?: "extended";
}

/**
 * One statement as a query of the driver.
 * @throws QUERY_FAILED for more parameters than the protocol can count: the driver would send nonsense.
 */
export function engineQuery({ text, values }: Statement, types: TypeParsers, timeoutMs: number): EngineQuery {
  if (values.length > mostParameters) throw tooManyParameters(values.length);
  return { text, values: bindValues(values), types, query_timeout: timeoutMs, queryMode: "extended" };
}

/** How long an answer is waited for where the server has been told a limit. */
export function answerLimit(timeoutMs: number): number {
  return Math.min(timeoutMs + slackMs, largestTimeout);
}

/** The first round trip of a transaction; the limits hold on the server and end with the transaction. */
export function beginText(mode: "read" | "write", timeoutMs: number): string {
  const kind = mode === "read" ? "REPEATABLE READ READ ONLY" : "READ COMMITTED READ WRITE";
  return `BEGIN ISOLATION LEVEL ${kind}; ${limits(timeoutMs)}`;
}

/** A wait for a lock ends as one, and not as a statement that takes too long: the server is there, and somebody holds the lock. */
function limits(timeoutMs: number): string {
  const limit = limitOf(timeoutMs);
  const statement = { statement_timeout: limitOf(timeoutMs + slackMs / 2) };
  return settings({ ...statement, lock_timeout: limit, idle_in_transaction_session_timeout: limit });
}

function limitOf(timeoutMs: number): number {
  return Math.min(Math.ceil(timeoutMs), largestTimeout);
}

/** Until the end of the transaction. */
function settings(values: Readonly<Record<string, number | string>>): string {
  return Object.entries(values)
    .map(([name, value]) => `SET LOCAL ${name} = ${value}`)
    .join("; ");
}

/** A database may be set to other ways of printing. */
const exactOutput = { bytea_output: "hex", extra_float_digits: 1 };

/** One transaction on one connection: statements one after the other, and the first failure remembered. */
export class Session implements PostgresTransaction {
  readonly #client: PoolClient;
  readonly #target: string;
  readonly #timeoutMs: number;
  readonly #limitMs: number;
  readonly #interruption: Interruption;
  #tail: Promise<unknown> = Promise.resolve();
  #failure: DualDbError | null = null;
  #lost = false;
  #state: "open" | "over" = "open";

  constructor(client: PoolClient, target: string, timeoutMs: number, interruption: Interruption) {
    this.#client = client;
    this.#target = target;
    this.#timeoutMs = timeoutMs;
    this.#limitMs = answerLimit(timeoutMs);
    this.#interruption = interruption;
  }

  /** Whether the connection is of no more use. */
  get lost(): boolean {
    return this.#lost;
  }

  async query(statement: Statement): Promise<ExactRow[]> {
    return (await this.run(statement, exactTypes)).rows;
  }

  async execute(statement: Statement): Promise<number> {
    return (await this.run(statement, exactTypes)).rowCount ?? 0;
  }

  async script(text: string): Promise<void> {
    await this.send(this.#query(text));
  }

  run(statement: Statement, types: TypeParsers): Promise<QueryResult> {
    return this.send(engineQuery(statement, types, this.#limitMs));
  }

  /** Sends a query when the ones before are done; of several in one text, the results are an array. */
  send(query: EngineQuery, phase: Phase = "transaction"): Promise<QueryResult> {
    if (this.#state === "over") return Promise.reject(over());
    const sent = this.#tail.then(() => this.#send(query, phase));
    this.#tail = sent.catch(() => {});
    return sent;
  }

  async copyIn(text: string, source: CopyChunks): Promise<number> {
    const endTurn = await this.#turn();
    try {
      const before = settings({ statement_timeout: 0 });
      const after = settings({ statement_timeout: limitOf(this.#timeoutMs) });
      const data = () => sendCopy(this.#client, `${before}; ${text}; ${after}`, source, this.#limitMs);
      return await this.#interruption.during(this.#client, data);
    } catch (error) {
      throw error instanceof SourceFailure ? error.cause : this.#note(error, "transaction");
    } finally {
      endTurn();
    }
  }

  async *copyOut(text: string): AsyncGenerator<Uint8Array, void> {
    const endTurn = await this.#turn();
    const watch = this.#interruption.watch(this.#client);
    try {
      await this.#send(this.#query(settings({ statement_timeout: 0, ...exactOutput })), "transaction");
      yield* receiveCopy(this.#client, text, this.#limitMs);
      await this.#send(this.#query(settings({ statement_timeout: limitOf(this.#timeoutMs) })), "transaction");
    } catch (error) {
      throw this.#note(this.#interruption.explained(error), "transaction");
    } finally {
      await watch.end();
      endTurn();
    }
  }

  /** Throws what made the server give up on the transaction; when the connection breaks off, OUTCOME_UNKNOWN in phase `write`. */
  async commit(phase: Phase): Promise<void> {
    await this.#tail;
    if (this.#lost && this.#failure !== null) throw this.#failure;
    const { command } = await this.send(this.#query("COMMIT"), phase);
    this.#state = "over";
    if (command !== "COMMIT") throw this.#failure ?? rolledBack();
  }

  /** Never throws: without an answer the connection is closed, and the server rolls back by itself. */
  async rollback(): Promise<void> {
    await this.#tail;
    if (this.#state === "over" || this.#lost) return;
    await this.send(this.#query("ROLLBACK")).catch(() => {
      this.#lost = true;
    });
    this.#state = "over";
  }

  /** Waits for everything before; what comes after waits until the result is called. */
  async #turn(): Promise<() => void> {
    if (this.#state === "over") throw over();
    const before = this.#tail;
    let endTurn = () => {};
    this.#tail = new Promise<void>((resolve) => {
      endTurn = resolve;
    });
    await before;
    return endTurn;
  }

  #query(text: string): EngineQuery {
    return { text, query_timeout: this.#limitMs };
  }

  async #send(query: EngineQuery, phase: Phase): Promise<QueryResult> {
    if (this.#lost && this.#failure !== null) throw this.#failure;
    try {
      return await this.#interruption.during(this.#client, () => this.#client.query(query));
    } catch (error) {
      throw this.#note(error, phase);
    }
  }

  #note(error: unknown, phase: Phase): DualDbError {
    const failure = translate(error, this.#target, phase);
    this.#lost ||= isLost(error);
    this.#failure ??= failure;
    return failure;
  }
}

function tooManyParameters(count: number): DualDbError {
  const message = `a statement has ${count} parameters, and PostgreSQL takes ${mostParameters} at most: write fewer rows at once; nothing was sent`;
  return new DualDbError("QUERY_FAILED", message, { side: "postgres" });
}

function over(): DualDbError {
  return new DualDbError("QUERY_FAILED", "the transaction is over", { side: "postgres" });
}

function rolledBack(): DualDbError {
  return new DualDbError("QUERY_FAILED", "PostgreSQL rolled the transaction back, since a statement in it had failed", {
    side: "postgres",
  });
}
