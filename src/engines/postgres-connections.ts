import { setImmediate as turn } from "node:timers/promises";
import type { Client, Pool, PoolClient } from "pg";
import type { PostgresConfig } from "../config.js";
import { DualDbError } from "../errors.js";
import type { Logger } from "../logger.js";
import type { EngineStatistics } from "./engine.js";
import { clientConfig, plainClient, TlsChoice } from "./postgres-client.js";
import { isEndedConnecting, translate } from "./postgres-errors.js";

const connectTimeoutMs = 10_000;
const idleTimeoutMs = 30_000;
const closeGraceMs = 1_000;
/** What ends connections also ends one that is being made: nothing has been asked on it yet. */
const connectAttempts = 3;
/** A connection that rested longer than this is looked at before a write is sent on it. */
const restedMs = 500;

export interface AcquireOptions {
  /** Give up after so many milliseconds, where that is sooner than the time-out for connecting. */
  readonly waitMs?: number | undefined;
  /** What is sent must not be lost on a connection that the server has closed meanwhile. */
  readonly forWrite?: boolean;
  /** Only a connection that was opened since then, by `performance.now()`; those that rest and are older are closed. */
  readonly openedSince?: number;
}

/** The connections to one PostgreSQL. Opens none before the first `acquire`, and loads the driver only then. */
export class Connections {
  /** host:port/database, for messages. */
  readonly target: string;
  readonly #config: PostgresConfig;
  readonly #logger: Logger;
  readonly #tls: TlsChoice;
  #pool: Pool | null = null;
  #opening: Promise<Pool> | null = null;
  #closing: Promise<void> | null = null;
  /** Those that are still connecting, too. */
  readonly #open = new Set<Client>();
  readonly #broken = new WeakSet<Client>();
  /** Those whose server follows another one, as far as it says so: PostgreSQL 14 and later. */
  readonly #onStandby = new WeakSet<Client>();
  readonly #openedAt = new WeakMap<Client, number>();
  readonly #restingSince = new WeakMap<Client, number>();

  constructor(config: PostgresConfig, logger: Logger) {
    this.#config = config;
    this.#logger = logger;
    this.#tls = new TlsChoice(config);
    this.target = `${config.host}:${config.port}/${config.database}`;
  }

  /** A connection that is alive as far as can be known. Every one must be given back with `release`. */
  async acquire({ waitMs, forWrite = false, openedSince = 0 }: AcquireOptions = {}): Promise<PoolClient> {
    for (;;) {
      const client = await this.#connect(waitMs);
      if (forWrite && this.#hasRested(client)) await this.#hearClosing();
      if (this.#isAlive(client) && (this.#openedAt.get(client) ?? 0) >= openedSince)
        return this.#assertNoStandby(client);
      client.release(true);
    }
  }

  /** Gives a connection back; a lost one, or one with an open transaction, is closed. */
  release(client: PoolClient, isLost: boolean): void {
    this.#restingSince.set(client, performance.now());
    client.release(isLost || !this.#isAlive(client) || client.getTransactionStatus() !== "I");
  }

  statistics(): EngineStatistics {
    const pool = this.#pool;
    if (pool === null) return { connections: 0, idle: 0, waiting: 0 };
    return { connections: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount };
  }

  /** Waits for running work for a moment, then breaks it off. */
  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  /** What a standby shows may be older than what was acknowledged, whatever the journal says. */
  #assertNoStandby(client: PoolClient): PoolClient {
    if (!this.#onStandby.has(client)) return client;
    client.release(true);
    throw new DualDbError(
      "DATABASE_UNAVAILABLE",
      `PostgreSQL at ${this.target} is a standby: name the server that takes writes; nothing was changed`,
      { side: "postgres" },
    );
  }

  async #connect(waitMs: number | undefined): Promise<PoolClient> {
    if (this.#closing !== null) throw closed(this.target);
    const pool = this.#pool ?? (await this.#openPool());
    const deadline = performance.now() + (waitMs ?? connectTimeoutMs);
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#withFallback(pool, waitMs === undefined ? undefined : deadline - performance.now());
      } catch (error) {
        if (this.#closing !== null) throw closed(this.target);
        const again = isEndedConnecting(error) && attempt < connectAttempts && performance.now() < deadline;
        if (!again) throw translate(error, this.target, "connect");
      }
    }
  }

  async #withFallback(pool: Pool, waitMs: number | undefined): Promise<PoolClient> {
    try {
      return await this.#connectWithin(pool, waitMs);
    } catch (error) {
      if (this.#tls.changesAfter(error)) return this.#connectWithin(pool, waitMs);
      throw error;
    }
  }

  #connectWithin(pool: Pool, waitMs: number | undefined): Promise<PoolClient> {
    const isPatient = waitMs === undefined || waitMs >= connectTimeoutMs || pool.idleCount > pool.waitingCount;
    const connecting = pool.connect();
    return isPatient ? connecting : this.#within(connecting, waitMs);
  }

  #within(connecting: Promise<PoolClient>, waitMs: number): Promise<PoolClient> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        connecting.then(
          (client) => client.release(),
          () => {},
        );
        reject(new Error("no connection in time"));
      }, waitMs);
      connecting.then(resolve, reject).finally(() => clearTimeout(timer));
    });
  }

  #openPool(): Promise<Pool> {
    this.#opening ??= this.#createPool();
    return this.#opening;
  }

  async #createPool(): Promise<Pool> {
    const { default: pg } = await import("pg");
    const pool = new pg.Pool({
      max: this.#config.poolSize,
      idleTimeoutMillis: idleTimeoutMs,
      connectionTimeoutMillis: connectTimeoutMs,
      allowExitOnIdle: true,
      Client: plainClient(
        pg.Client,
        () => clientConfig(this.#config, this.#tls.options),
        (client) => this.#watch(client),
      ),
    });
    pool.on("error", () => this.#logger.debug({ event: "postgres.connection_lost", target: this.target }));
    this.#pool = pool;
    return pool;
  }

  /** Without a listener an error on a connection, also one in use, takes the process down. */
  #watch(client: Client): void {
    this.#open.add(client);
    this.#openedAt.set(client, performance.now());
    client.on("error", () => this.#broken.add(client));
    client.on("end", () => this.#open.delete(client));
    client.connection.on("parameterStatus", ({ parameterName, parameterValue }) => {
      if (parameterName === "in_hot_standby") this.#onStandby[parameterValue === "on" ? "add" : "delete"](client);
    });
  }

  #isAlive(client: Client): boolean {
    const { stream } = client.connection;
    return !this.#broken.has(client) && stream.writable && !stream.readableEnded && !stream.destroyed;
  }

  #hasRested(client: Client): boolean {
    const since = this.#restingSince.get(client);
    return since !== undefined && performance.now() - since > restedMs;
  }

  /** Lets the event loop poll its sockets: what the server said while we were busy is heard before anything is sent. */
  async #hearClosing(): Promise<void> {
    await turn();
    await turn();
  }

  async #end(): Promise<void> {
    const pool = this.#pool ?? (await this.#opening?.catch(() => null)) ?? null;
    if (pool === null) return;
    const cut = setTimeout(() => this.#cut(), closeGraceMs);
    await pool.end();
    clearTimeout(cut);
    await this.#farewell();
  }

  /** A server that is frozen never closes its end. */
  async #farewell(): Promise<void> {
    const ended = [...this.#open].map((client) => new Promise<void>((resolve) => client.once("end", () => resolve())));
    const cut = setTimeout(() => this.#cut(), closeGraceMs);
    await Promise.all(ended);
    clearTimeout(cut);
  }

  #cut(): void {
    for (const client of this.#open) client.connection.stream.destroy();
  }
}

function closed(target: string): DualDbError {
  return new DualDbError("DATABASE_CLOSED", `the connections to PostgreSQL at ${target} are closed`, {
    side: "postgres",
  });
}
