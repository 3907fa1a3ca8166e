import type { PoolClient, QueryConfig, QueryResult } from "pg";
import { DualDbError } from "../errors.js";
import type { ExactRow, Statement, Transaction } from "./engine.js";
import { isLost, type Phase, translate } from "./postgres-errors.js";
import { bindValues, exactTypes, type TypeParsers } from "./postgres-types.js";

/** How long the server may be silent beyond the limit that it was told, before the connection is given up. */
const slackMs = 2_000;
const largestTimeout = 2_147_483_647;

/** A query of `pg` with the settings that its types leave out. */
export interface EngineQuery extends QueryConfig {
  /** Client side, in milliseconds. */
  readonly query_timeout: number;
  /** One statement and no more, also where there are no values. */
  readonly queryMode?: "extended";
}

/** One statement as a query of the driver. */
export function engineQuery({ text, values }: Statement, types: TypeParsers, timeoutMs: number): EngineQuery {
  return { text, values: bindValues(values), types, query_timeout: timeoutMs, queryMode: "extended" };
}

/** The first round trip of a transaction; the limits hold on the server and end with the transaction. */
export function beginText(mode: "read" | "write", timeoutMs: number): string {
  const limit = Math.min(Math.ceil(timeoutMs), largestTimeout);
  const kind = mode === "read" ? "REPEATABLE READ READ ONLY" : "READ COMMITTED READ WRITE";
  const settings = ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"];
  return [`BEGIN ISOLATION LEVEL ${kind}`, ...settings.map((name) => `SET LOCAL ${name} = ${limit}`)].join("; ");
}

/** One transaction on one connection: statements one after the other, and the first failure remembered. */
export class Session implements Transaction {
  readonly #client: PoolClient;
  readonly #target: string;
  readonly #limitMs: number;
  #tail: Promise<unknown> = Promise.resolve();
  #failure: DualDbError | null = null;
  #lost = false;
  #state: "open" | "over" = "open";

  constructor(client: PoolClient, target: string, timeoutMs: number) {
    this.#client = client;
    this.#target = target;
    this.#limitMs = Math.min(timeoutMs + slackMs, largestTimeout);
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
    await this.send({ text, query_timeout: this.#limitMs });
  }

  run(statement: Statement, types: TypeParsers): Promise<QueryResult> {
    return this.send(engineQuery(statement, types, this.#limitMs));
  }

  /** Sends a query when the ones before are done; of several in one text, the results are an array. */
  send(query: EngineQuery, phase: Phase = "transaction"): Promise<QueryResult> {
    if (this.#state === "over") return Promise.reject(new DualDbError("QUERY_FAILED", "the transaction is over"));
    const sent = this.#tail.then(() => this.#send(query, phase));
    this.#tail = sent.catch(() => {});
    return sent;
  }

  /** Throws what made the server give up on the transaction; when the connection breaks off, OUTCOME_UNKNOWN in phase `write`. */
  async commit(phase: Phase): Promise<void> {
    await this.#tail;
    if (this.#lost && this.#failure !== null) throw this.#failure;
    const { command } = await this.send({ text: "COMMIT", query_timeout: this.#limitMs }, phase);
    this.#state = "over";
    if (command !== "COMMIT") throw this.#failure ?? rolledBack();
  }

  /** Never throws: without an answer the connection is closed, and the server rolls back by itself. */
  async rollback(): Promise<void> {
    await this.#tail;
    if (this.#state === "over" || this.#lost) return;
    await this.send({ text: "ROLLBACK", query_timeout: this.#limitMs }).catch(() => {
      this.#lost = true;
    });
    this.#state = "over";
  }

  async #send(query: EngineQuery, phase: Phase): Promise<QueryResult> {
    if (this.#lost && this.#failure !== null) throw this.#failure;
    try {
      return await this.#client.query(query);
    } catch (error) {
      const failure = translate(error, this.#target, phase);
      this.#lost ||= isLost(error);
      this.#failure ??= failure;
      throw failure;
    }
  }
}

function rolledBack(): DualDbError {
  return new DualDbError("QUERY_FAILED", "PostgreSQL rolled the transaction back, since a statement in it had failed", {
    side: "postgres",
  });
}
