import { setTimeout as delay } from "node:timers/promises";
import type { QueryResult } from "pg";
import type { PostgresConfig } from "../config.js";
import type { Column } from "../data/table.js";
import { DualDbError } from "../errors.js";
import type { Logger } from "../logger.js";
import {
  type EngineStatistics,
  type ExactRow,
  type PostgresEngine,
  type PostgresTransaction,
  type ReadOptions,
  type Row,
  type Statement,
  statement,
  type TransactionOptions,
  type WriteOptions,
  type WriteResult,
} from "./engine.js";
import { type AcquireOptions, Connections } from "./postgres-connections.js";
import { isCollision, isEndedBefore, isLost, isTimeout, translate } from "./postgres-errors.js";
import { Interruption } from "./postgres-interruption.js";
import { onlyAsPrimary } from "./postgres-primary.js";
import { type KnownSelect, parametersOf, type Shape, selectRows, shapeOf } from "./postgres-select.js";
import { answerLimit, beginText, type EngineQuery, engineQuery, Session } from "./postgres-session.js";
import { exactTypes, RecordTypes, roundComputed } from "./postgres-types.js";

/**
 * How often a statement is sent when it is known that the connection before did not take it: each time on one that was opened since, for
 * what ended one connection has mostly ended all of them, and those that rest have not heard it yet.
 */
const freshAttempts = 3;
const collisionAttempts = 12;
const longestPauseMs = 500;
const stateText = 'SELECT "primary", changed_at FROM dualdb_state';

export interface PostgresOptions {
  readonly config: PostgresConfig;
  readonly logger: Logger;
  /** Ends a wait for a lock, or anything else that takes its time, with INTERRUPTED, whenever it comes. */
  readonly signal?: AbortSignal | undefined;
}

/** PostgreSQL behind `pg`. Neither connects nor loads the driver before the first call. */
export function openPostgres(options: PostgresOptions): PostgresEngine {
  return new PgEngine(options);
}

interface SendOptions extends AcquireOptions, Pick<WriteOptions, "toTheEnd"> {}

class PgEngine implements PostgresEngine {
  readonly side = "postgres";
  readonly #connections: Connections;
  readonly #interruption: Interruption;
  readonly #timeoutMs: number;
  readonly #types = new RecordTypes();
  readonly #shapes = new WeakMap<readonly Column[], Shape | null>();
  #schema: Promise<string> | null = null;
  /** When PostgreSQL became primary, as of the last look; null before the first. */
  #primarySince: string | null = null;

  constructor({ config, logger, signal }: PostgresOptions) {
    this.#connections = new Connections(config, logger);
    this.#interruption = new Interruption(config, signal);
    this.#timeoutMs = config.queryTimeoutMs;
  }

  async read(statement: Statement, options: ReadOptions = {}): Promise<Row[]> {
    const { asPrimary = false, columns, timeoutMs = this.#timeoutMs } = options;
    const query = engineQuery(asPrimary ? onlyAsPrimary(statement) : statement, this.#types, timeoutMs);
    return (await this.#send(columns === undefined ? query : this.#known(query, columns), "read")).rows;
  }

  async write(statements: readonly Statement[], options: WriteOptions = {}): Promise<WriteResult[]> {
    const [first] = statements;
    if (first === undefined) return [];
    return this.#repeatingCollisions(async () =>
      statements.length === 1 ? [await this.#writeOne(first, options)] : await this.#writeAll(statements, options),
    );
  }

  transaction<T>(
    { mode, timeoutMs = this.#timeoutMs, first }: TransactionOptions,
    work: (transaction: PostgresTransaction, rows: readonly ExactRow[]) => Promise<T>,
  ): Promise<T> {
    const begin = beginText(mode, timeoutMs);
    if (first === undefined) return this.#transaction({ text: begin }, mode, timeoutMs, (session) => work(session, []));
    // The server notices by itself when a lock is waited for too long.
    const opening = { text: `${begin}; ${first.text}`, types: exactTypes, query_timeout: answerLimit(timeoutMs) };
    return this.#transaction(opening, mode, timeoutMs, (session, begun) => work(session, begun.at(-1)?.rows ?? []));
  }

  schema(): Promise<string> {
    this.#schema ??= this.#readSchema().catch((error: unknown) => {
      this.#schema = null;
      throw error;
    });
    return this.#schema;
  }

  statistics(): EngineStatistics {
    return this.#connections.statistics();
  }

  close(): Promise<void> {
    return this.#connections.close();
  }

  /**
   * The triggers refuse what touches a row. Where no row was touched, a look at the state tells whether PostgreSQL has been primary all the
   * while; else the statement is sent again.
   */
  async #writeOne(
    statement: Statement,
    { asPrimary, timeoutMs = this.#timeoutMs, toTheEnd = false }: WriteOptions,
  ): Promise<WriteResult> {
    const query = engineQuery(statement, this.#types, timeoutMs);
    const since = asPrimary ? (this.#primarySince ?? (await this.#lookAtPrimary())) : null;
    const result = writeResult(await this.#send(query, "write", toTheEnd));
    if (!asPrimary || result.changes > 0 || (await this.#lookAtPrimary()) === since) return result;
    return writeResult(await this.#send(query, "write", toTheEnd));
  }

  #writeAll(
    statements: readonly Statement[],
    { asPrimary, timeoutMs = this.#timeoutMs }: WriteOptions,
  ): Promise<WriteResult[]> {
    const begin = beginText("write", timeoutMs);
    return this.#transaction(
      { text: asPrimary ? `${begin}; ${stateText}` : begin },
      "write",
      timeoutMs,
      async (session, begun) => {
        if (asPrimary) this.#checkPrimary(begun.at(-1)?.rows[0]);
        const results: WriteResult[] = [];
        for (const statement of statements) results.push(await this.#writeIn(session, statement));
        return results;
      },
    );
  }

  async #writeIn(session: Session, statement: Statement): Promise<WriteResult> {
    const { mark } = this.#types;
    const result = await session.run(statement, this.#types);
    this.#types.checkRows(result.rows, mark);
    return writeResult(result);
  }

  async #lookAtPrimary(): Promise<string> {
    const [row] = await this.read({ sql: stateText, text: stateText, values: [] });
    this.#checkPrimary(row);
    this.#primarySince = String(row?.changed_at);
    return this.#primarySince;
  }

  #checkPrimary(state: Row | undefined): void {
    if (state?.primary === "postgres") return;
    throw new DualDbError("NOT_PRIMARY", `PostgreSQL at ${this.#connections.target} is not the primary`, {
      side: "postgres",
    });
  }

  async #readSchema(): Promise<string> {
    const text = "SELECT current_schema() AS name";
    const [row] = await this.read(statement(text));
    if (typeof row?.name === "string") return row.name;
    const message = `PostgreSQL at ${this.#connections.target}: the search_path names no schema that exists; create one, or correct it`;
    throw new DualDbError("SCHEMA_MISSING", message, { side: "postgres" });
  }

  /** A statement by itself; on another connection when the first turned out to be dead and that did no harm. */
  async #send(query: EngineQuery | KnownSelect, phase: "read" | "write", toTheEnd = false): Promise<Answer> {
    const deadline = performance.now() + query.query_timeout;
    for (let attempt = 1, openedSince = 0; ; attempt++) {
      const began = performance.now();
      try {
        return await (phase === "read"
          ? this.#readOnce(query, deadline, openedSince)
          : this.#sendOnce(query, { forWrite: true, openedSince, toTheEnd }));
      } catch (error) {
        if (isCollision(error) && phase === "write") throw error;
        const harmless = isEndedBefore(error) || (phase === "read" && isLost(error) && !isTimeout(error));
        if (!harmless || attempt === freshAttempts) throw translate(error, this.#connections.target, phase);
        openedSince = began;
      }
    }
  }

  /** The wait for a connection, and the attempts before, count against the limit. */
  #readOnce(query: EngineQuery | KnownSelect, deadline: number, openedSince: number): Promise<Answer> {
    const left = Math.max(1, deadline - performance.now());
    return this.#sendOnce({ ...query, query_timeout: left }, { waitMs: left, openedSince });
  }

  async #sendOnce(query: EngineQuery | KnownSelect, { toTheEnd = false, ...options }: SendOptions): Promise<Answer> {
    const client = await this.#connections.acquire(options);
    const { mark } = this.#types;
    let result: Answer;
    try {
      const send = () => ("shape" in query ? selectRows(client, query) : client.query<Row>(query));
      result = await (toTheEnd ? send() : this.#interruption.during<Answer>(client, send));
    } catch (error) {
      this.#connections.release(client, isLost(error));
      throw error;
    }
    this.#connections.release(client, false);
    this.#types.checkRows(result.rows, mark);
    if (result.fields !== undefined) roundComputed(result.rows, result.fields);
    return result;
  }

  /** The query without its description, where it is certain how to read the rows without one. */
  #known(query: EngineQuery, columns: readonly Column[]): EngineQuery | KnownSelect {
    const shape = this.#shapeOf(columns);
    const values = shape === null ? null : parametersOf(query.values ?? []);
    if (shape === null || values === null) return query;
    return { text: query.text, values, shape, query_timeout: query.query_timeout };
  }

  #shapeOf(columns: readonly Column[]): Shape | null {
    const known = this.#shapes.get(columns);
    if (known !== undefined) return known;
    const shape = shapeOf(columns, this.#types);
    this.#shapes.set(columns, shape);
    return shape;
  }

  async #transaction<T>(
    opening: Opening,
    mode: TransactionOptions["mode"],
    timeoutMs: number,
    work: (session: Session, begun: QueryResult<Row>[]) => Promise<T>,
  ): Promise<T> {
    const { session, begun, release } = await this.#begin(opening, timeoutMs);
    try {
      const result = await work(session, begun);
      await session.commit(mode);
      return result;
    } catch (error) {
      await session.rollback();
      throw error;
    } finally {
      release();
    }
  }

  async #begin(opening: Opening, timeoutMs: number): Promise<Begun> {
    for (let attempt = 1, openedSince = 0; ; attempt++) {
      const began = performance.now();
      const client = await this.#connections.acquire({ forWrite: true, openedSince });
      const session = new Session(client, this.#connections.target, timeoutMs, this.#interruption);
      const release = () => this.#connections.release(client, session.lost);
      try {
        const results: unknown = await session.send({ types: this.#types, query_timeout: timeoutMs, ...opening });
        return { session, begun: results as QueryResult<Row>[], release };
      } catch (error) {
        await session.rollback();
        release();
        if (!session.lost || attempt === freshAttempts || isTimeout(causeOf(error))) throw error;
        openedSince = began;
      }
    }
  }

  async #repeatingCollisions<T>(work: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work();
      } catch (error) {
        if (!isCollision(causeOf(error)) || attempt === collisionAttempts)
          throw translate(error, this.#connections.target, "write");
        await delay(Math.random() * Math.min(longestPauseMs, 10 * 2 ** attempt));
      }
    }
  }
}

type Answer = Pick<QueryResult<Row>, "rows" | "rowCount"> & Partial<Pick<QueryResult<Row>, "fields">>;

/** The statements of the first round trip. */
type Opening = Pick<EngineQuery, "text" | "types"> & Partial<EngineQuery>;

interface Begun {
  readonly session: Session;
  /** One result for each statement of the text. */
  readonly begun: QueryResult<Row>[];
  readonly release: () => void;
}

function causeOf(error: unknown): unknown {
  return error instanceof DualDbError ? error.cause : error;
}

function writeResult({ rows, rowCount }: Answer): WriteResult {
  return { rows, changes: rowCount ?? 0 };
}
