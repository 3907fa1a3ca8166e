import { setTimeout as delay } from "node:timers/promises";
import type { QueryResult } from "pg";
import type { PostgresConfig } from "../config.js";
import { DualDbError } from "../errors.js";
import type { Logger } from "../logger.js";
import type {
  Engine,
  EngineStatistics,
  ReadOptions,
  Row,
  Statement,
  TransactionOptions,
  WriteOptions,
  WriteResult,
} from "./engine.js";
import { type AcquireOptions, Connections } from "./postgres-connections.js";
import { isCollision, isEndedBefore, isLost, isTimeout, translate } from "./postgres-errors.js";
import { beginText, type EngineQuery, engineQuery, type PostgresTransaction, Session } from "./postgres-session.js";
import { RecordTypes } from "./postgres-types.js";

/** How often a statement is sent again on another connection when it is known that the first did not take it. */
const freshAttempts = 3;
const collisionAttempts = 12;
const longestPauseMs = 500;
const stateText = 'SELECT "primary" FROM dualdb_state';

export interface PostgresEngine extends Engine {
  /** The schema in which unqualified names are created, for example `public`. Asked for once. */
  schema(): Promise<string>;
  transaction<T>(options: TransactionOptions, work: (transaction: PostgresTransaction) => Promise<T>): Promise<T>;
}

/** PostgreSQL behind `pg`. Neither connects nor loads the driver before the first call. */
export function openPostgres(options: { readonly config: PostgresConfig; readonly logger: Logger }): PostgresEngine {
  return new PgEngine(options.config, options.logger);
}

class PgEngine implements PostgresEngine {
  readonly side = "postgres";
  readonly #connections: Connections;
  readonly #timeoutMs: number;
  readonly #types = new RecordTypes();
  #schema: Promise<string> | null = null;

  constructor(config: PostgresConfig, logger: Logger) {
    this.#connections = new Connections(config, logger);
    this.#timeoutMs = config.queryTimeoutMs;
  }

  async read(statement: Statement, options: ReadOptions = {}): Promise<Row[]> {
    const { asPrimary = false, timeoutMs = this.#timeoutMs } = options;
    const checked = asPrimary ? { ...statement, text: refusingUnlessPrimary(statement.text) } : statement;
    return (await this.#send(engineQuery(checked, this.#types, timeoutMs), "read")).rows;
  }

  async write(statements: readonly Statement[], options: WriteOptions = {}): Promise<WriteResult[]> {
    const [first] = statements;
    if (first === undefined) return [];
    return this.#repeatingCollisions(async () =>
      statements.length === 1 ? [await this.#writeOne(first, options)] : await this.#writeAll(statements, options),
    );
  }

  transaction<T>(options: TransactionOptions, work: (transaction: PostgresTransaction) => Promise<T>): Promise<T> {
    const timeoutMs = options.timeoutMs ?? this.#timeoutMs;
    return this.#transaction(beginText(options.mode, timeoutMs), options.mode, timeoutMs, (session) => work(session));
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

  /** The triggers refuse what touches a row. Where no row was touched, look at the state first, then send it again. */
  async #writeOne(
    statement: Statement,
    { asPrimary, timeoutMs = this.#timeoutMs }: WriteOptions,
  ): Promise<WriteResult> {
    const query = engineQuery(statement, this.#types, timeoutMs);
    const result = writeResult(await this.#send(query, "write"));
    if (!asPrimary || result.changes > 0) return result;
    await this.#requirePrimary();
    return writeResult(await this.#send(query, "write"));
  }

  #writeAll(
    statements: readonly Statement[],
    { asPrimary, timeoutMs = this.#timeoutMs }: WriteOptions,
  ): Promise<WriteResult[]> {
    const begin = beginText("write", timeoutMs);
    return this.#transaction(
      asPrimary ? `${begin}; ${stateText}` : begin,
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

  async #requirePrimary(): Promise<void> {
    const [row] = await this.read({ sql: stateText, text: stateText, values: [] });
    this.#checkPrimary(row);
  }

  #checkPrimary(state: Row | undefined): void {
    if (state?.primary === "postgres") return;
    throw new DualDbError("NOT_PRIMARY", `PostgreSQL at ${this.#connections.target} is not the primary`, {
      side: "postgres",
    });
  }

  async #readSchema(): Promise<string> {
    const text = "SELECT current_schema() AS name";
    const [row] = await this.read({ sql: text, text, values: [] });
    if (typeof row?.name === "string") return row.name;
    const message = `PostgreSQL at ${this.#connections.target}: the search_path names no schema that exists; create one, or correct it`;
    throw new DualDbError("SCHEMA_MISSING", message, { side: "postgres" });
  }

  /** A statement by itself; on another connection when the first turned out to be dead and that did no harm. */
  async #send(query: EngineQuery, phase: "read" | "write"): Promise<QueryResult<Row>> {
    const deadline = performance.now() + query.query_timeout;
    for (let attempt = 1; ; attempt++) {
      try {
        return await (phase === "read" ? this.#readOnce(query, deadline) : this.#sendOnce(query, { forWrite: true }));
      } catch (error) {
        if (isCollision(error) && phase === "write") throw error;
        const harmless = isEndedBefore(error) || (phase === "read" && isLost(error) && !isTimeout(error));
        if (!harmless || attempt === freshAttempts) throw translate(error, this.#connections.target, phase);
      }
    }
  }

  /** The wait for a connection, and the attempts before, count against the limit. */
  #readOnce(query: EngineQuery, deadline: number): Promise<QueryResult<Row>> {
    const left = Math.max(1, deadline - performance.now());
    return this.#sendOnce({ ...query, query_timeout: left }, { waitMs: left });
  }

  async #sendOnce(query: EngineQuery, options: AcquireOptions): Promise<QueryResult<Row>> {
    const client = await this.#connections.acquire(options);
    const { mark } = this.#types;
    let result: QueryResult<Row>;
    try {
      result = await client.query<Row>(query);
    } catch (error) {
      this.#connections.release(client, isLost(error));
      throw error;
    }
    this.#connections.release(client, false);
    this.#types.checkRows(result.rows, mark);
    return result;
  }

  async #transaction<T>(
    begin: string,
    mode: TransactionOptions["mode"],
    timeoutMs: number,
    work: (session: Session, begun: QueryResult<Row>[]) => Promise<T>,
  ): Promise<T> {
    const { session, begun, release } = await this.#begin(begin, timeoutMs);
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

  async #begin(text: string, timeoutMs: number): Promise<Begun> {
    for (let attempt = 1; ; attempt++) {
      const client = await this.#connections.acquire({ forWrite: true });
      const session = new Session(client, this.#connections.target, timeoutMs);
      const release = () => this.#connections.release(client, session.lost);
      try {
        const results: unknown = await session.send({ text, types: this.#types, query_timeout: timeoutMs });
        return { session, begun: results as QueryResult<Row>[], release };
      } catch (error) {
        await session.rollback();
        release();
        if (!session.lost || attempt === freshAttempts || isTimeout(causeOf(error))) throw error;
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

interface Begun {
  readonly session: Session;
  /** One result for each statement of the text. */
  readonly begun: QueryResult<Row>[];
  readonly release: () => void;
}

function causeOf(error: unknown): unknown {
  return error instanceof DualDbError ? error.cause : error;
}

function writeResult({ rows, rowCount }: QueryResult<Row>): WriteResult {
  return { rows, changes: rowCount ?? 0 };
}

/**
 * The same rows in the same order, or NOT_PRIMARY. The condition names no column, so the server settles it once, before the first row,
 * and there is no second round trip.
 */
function refusingUnlessPrimary(text: string): string {
  return `SELECT * FROM (${text.replace(/[;\s]+$/, "")}\n) AS dualdb_read WHERE dualdb_require_primary()`;
}
