import { type CircuitBreakerPolicy, CircuitState, ConsecutiveBreaker, circuitBreaker, handleWhen } from "cockatiel";
import type { Column } from "./data/table.js";
import type { Engine, ReadOptions, Row, Side, Statement, WriteResult } from "./engines/engine.js";
import { errorFields, hasCode } from "./errors.js";
import type { Logger } from "./logger.js";
import { type Latency, Timer } from "./metrics.js";
import { type Flags, type Route, routeUnder } from "./route.js";
import type { Fence, Scope } from "./shadow/fence.js";
import type { Primary } from "./shadow/primary.js";
import type { Relay } from "./shadow/relay.js";

/** A statement, or what makes one for the side that it will run on: only full-text search and JSON that is none need to know. */
export type PerSide = Statement | ((side: Side) => Statement);

export interface Query extends Scope {
  readonly statement: PerSide;
  /** The columns that the statement selects, in this order, with their kinds. Without them any text may come up. */
  readonly columns?: readonly Column[];
}

/** The one point that every service call passes. */
export interface Adapter {
  /** Rows from the side that answers reads. */
  read(query: Query): Promise<Row[]>;
  /** One transaction on the primary; a single statement runs by itself. */
  write(statements: readonly PerSide[]): Promise<WriteResult[]>;
}

/** How reads with PostgreSQL behind the fence were answered. */
export interface ReadCounts {
  /** By PostgreSQL. */
  fenced: number;
  /** By SQLite, because PostgreSQL was owed a change. */
  owed: number;
  /** By SQLite, because PostgreSQL failed or was too slow. */
  failedOver: number;
}

export interface RoutedParts {
  readonly flags: Flags;
  /** null where SQLite cannot be opened while PostgreSQL is primary. */
  readonly sqlite: Engine | null;
  readonly postgres: () => Promise<Engine>;
  readonly primary: Primary;
  readonly fence: Fence | null;
  readonly relay: Pick<Relay, "nudge" | "hurry" | "failing" | "batch"> | null;
  readonly logger: Logger;
  readonly clock: () => number;
  readonly readFenceMs: number;
  readonly flipTimeoutMs: number;
}

/** With SQLite primary a PostgreSQL read may not take longer: SQLite has the answer. */
const fencedReadMs = 1_000;

/** Sends each call to the side that the route names, follows when the primary has moved, and nudges the relay after a write. */
export class RoutedAdapter implements Adapter {
  readonly #parts: RoutedParts;
  readonly #breaker: CircuitBreakerPolicy;
  readonly #timers = {
    sqlite: { read: new Timer(), write: new Timer() },
    postgres: { read: new Timer(), write: new Timer() },
  };
  readonly reads: ReadCounts = { fenced: 0, owed: 0, failedOver: 0 };
  #route: Route;
  #warned = false;

  constructor(parts: RoutedParts) {
    this.#parts = parts;
    this.#route = routeUnder(parts.flags, parts.primary.side);
    this.#breaker = breaker(parts.logger);
  }

  /** Where calls go now. */
  get route(): Route {
    if (this.#route.primary !== this.#parts.primary.side)
      this.#route = routeUnder(this.#parts.flags, this.#parts.primary.side);
    return this.#route;
  }

  get latency(): Record<Side, { read: Latency; write: Latency }> {
    const of = (side: Side) => ({ read: this.#timers[side].read.latency, write: this.#timers[side].write.latency });
    return { sqlite: of("sqlite"), postgres: of("postgres") };
  }

  /** Whether PostgreSQL reads are being skipped because the last ones failed. */
  get readsSuspended(): boolean {
    return this.#breaker.state === CircuitState.Open;
  }

  read(query: Query): Promise<Row[]> {
    return this.#following(() => {
      const { primary, reads } = this.route;
      if (reads === primary) return this.#readFrom(primary, query, { asPrimary: true });
      return this.#readFenced(query);
    });
  }

  write(statements: readonly PerSide[]): Promise<WriteResult[]> {
    return this.#following(async () => {
      const side = this.route.primary;
      const engine = side === "sqlite" ? this.#sqlite() : await this.#parts.postgres();
      const began = performance.now();
      const results = await engine.write(
        statements.map((statement) => statementFor(statement, side)),
        { asPrimary: true },
      );
      this.#timers[side].write.since(began);
      if (this.route.shadow !== null) this.#wake(side);
      return results;
    });
  }

  /** What PostgreSQL has just taken shows that it is there: no need to wait for the end of a back-off. */
  #wake(written: Side): void {
    const { relay } = this.#parts;
    if (written === "postgres" && relay?.failing === true) relay.hurry();
    else relay?.nudge();
  }

  /** NOT_PRIMARY means that nothing happened and that the primary is elsewhere: follow it and repeat. */
  async #following<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      if (!hasCode(error, "NOT_PRIMARY")) throw error;
      return this.#repeat(call, this.#parts.clock() + this.#parts.flipTimeoutMs);
    }
  }

  async #repeat<T>(call: () => Promise<T>, deadline: number): Promise<T> {
    for (;;) {
      await this.#parts.primary.follow();
      try {
        return await call();
      } catch (error) {
        if (!hasCode(error, "NOT_PRIMARY") || this.#parts.clock() > deadline) throw error;
      }
    }
  }

  async #readFrom(side: Side, { statement, columns }: Query, options: ReadOptions): Promise<Row[]> {
    const engine = side === "sqlite" ? this.#sqlite() : await this.#parts.postgres();
    const began = performance.now();
    const selected = columns === undefined ? { anyText: true } : { columns };
    const rows = await engine.read(statementFor(statement, side), { ...options, ...selected });
    this.#timers[side].read.since(began);
    return rows;
  }

  /** Look first, then read: PostgreSQL has everything that was acknowledged before the look. */
  async #readFenced(query: Query): Promise<Row[]> {
    if (!(await this.#isClear(scopeOf(query)))) {
      this.reads.owed += 1;
      this.#warnOnceUnshadowed();
      return this.#readFrom("sqlite", query, { asPrimary: true });
    }
    try {
      const rows = await this.#breaker.execute(() => this.#readFrom("postgres", query, { timeoutMs: fencedReadMs }));
      this.reads.fenced += 1;
      return rows;
    } catch (error) {
      this.#parts.logger.debug(
        { event: "read-failed-over", ...errorFields(error) },
        "PostgreSQL read answered by SQLite",
      );
      return this.#failOver(query);
    }
  }

  #failOver(query: Query): Promise<Row[]> {
    this.reads.failedOver += 1;
    return this.#readFrom("sqlite", query, { asPrimary: true });
  }

  async #isClear(scope: Scope): Promise<boolean> {
    const { fence, relay, readFenceMs, clock } = this.#parts;
    if (fence === null) return false;
    const deadline = this.readsSuspended ? 0 : clock() + readFenceMs;
    for (;;) {
      const look = await fence.look(scope);
      if (look === "elsewhere") await this.#parts.primary.follow();
      if (look === "unknown") relay?.nudge();
      if (look !== "owed") return look === "clear";
      const left = deadline - clock();
      if (relay === null || relay.failing || left <= 0 || this.route.shadow === null) return false;
      relay.nudge();
      await relay.batch(left);
    }
  }

  #warnOnceUnshadowed(): void {
    if (this.#warned || this.route.shadow !== null) return;
    this.#warned = true;
    this.#parts.logger.warn(
      { event: "reads-unshadowed" },
      "nothing brings PostgreSQL up to date, so SQLite answers what it is owed: set USE_POSTGRES_SHADOW",
    );
  }

  #sqlite(): Engine {
    if (this.#parts.sqlite === null) throw new Error("SQLite is not open, and nothing may be sent there");
    return this.#parts.sqlite;
  }
}

/** Of a statement that came without its tables, the text tells. */
function scopeOf({ statement, tables, key }: Query): Scope {
  if (tables === undefined) return { text: statementFor(statement, "sqlite").sql };
  return key === undefined ? { tables } : { tables, key };
}

function statementFor(statement: PerSide, side: Side): Statement {
  return typeof statement === "function" ? statement(side) : statement;
}

/** Three failures in a row suspend PostgreSQL reads; every two seconds one of them tries again. */
function breaker(logger: Logger): CircuitBreakerPolicy {
  const policy = circuitBreaker(
    handleWhen((error) => hasCode(error, "DATABASE_UNAVAILABLE")),
    { halfOpenAfter: 2_000, breaker: new ConsecutiveBreaker(3) },
  );
  policy.onBreak(() => logger.warn({ event: "reads-suspended" }, "PostgreSQL reads fail: SQLite answers"));
  policy.onReset(() => logger.info({ event: "reads-resumed" }, "PostgreSQL answers reads again"));
  return policy;
}
