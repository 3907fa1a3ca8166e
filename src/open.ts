import { setTimeout as sleep } from "node:timers/promises";
import { RoutedAdapter } from "./adapter.js";
import { type Config, postgresVariables } from "./config.js";
import type { Engine, Side } from "./engines/engine.js";
import { DualDbError, errorFields, hasCode } from "./errors.js";
import type { Logger } from "./logger.js";
import { migrateSqlite, openSqlite } from "./open-sqlite.js";
import type { Flags } from "./route.js";
import { requireSchema } from "./schema/migrations.js";
import { finalized } from "./shadow/disarm.js";
import { Fence } from "./shadow/fence.js";
import type { FaultPoint } from "./shadow/mirror.js";
import { Partner } from "./shadow/partner.js";
import { Primary } from "./shadow/primary.js";
import { Relay } from "./shadow/relay.js";
import {
  moveSqliteState,
  type PostgresState,
  readPostgresState,
  readSqliteState,
  type SqliteState,
} from "./shadow/state.js";
import { counted, Tally } from "./shadow/tally.js";

/** How the package is observed and disturbed in its own tests. */
export interface Internals {
  readonly clock: () => number;
  readonly reached: (point: FaultPoint) => Promise<void> | void;
}

/** Everything that stands while a database is open. */
export interface Opened {
  readonly config: Config;
  readonly adapter: RoutedAdapter;
  readonly primary: Primary;
  readonly sqlite: Engine | null;
  /** Why SQLite is not open, where it should be. */
  readonly sqliteProblem: DualDbError | null;
  /** Opens PostgreSQL's engine if that has not happened. */
  readonly postgres: () => Promise<Engine>;
  /** Whether PostgreSQL's engine has been opened. */
  readonly postgresOpened: () => Promise<Engine> | null;
  readonly partner: Partner | null;
  readonly relay: Relay | null;
  /** What this process counts, and tells where there is a relay. */
  readonly tally: Tally;
}

const engageWithinMs = 2_000;
const stateTimeoutMs = 5_000;
const passTimeoutMs = 10_000;
const unreachablePauseMs = 100;

/** Opens both sides as far as the flags and the states ask for it, and brings the wanted side to be primary. */
export async function open(config: Config, logger: Logger, internals: Internals): Promise<Opened> {
  const opening = new Opening(config, logger, internals);
  try {
    return await opening.run();
  } catch (error) {
    await opening.abandon();
    throw error;
  }
}

class Opening {
  readonly #config: Config;
  readonly #logger: Logger;
  readonly #internals: Internals;
  readonly #tally: Tally;
  #sqlite: Engine | null = null;
  #postgres: Promise<Engine> | null = null;

  constructor(config: Config, logger: Logger, internals: Internals) {
    this.#config = config;
    this.#tally = new Tally(internals.clock, logger);
    this.#logger = counted(logger, this.#tally);
    this.#internals = internals;
  }

  async run(): Promise<Opened> {
    if (this.#config.flags.primary && (await this.#isFinalized())) return this.#alone(null);
    const neighbour = this.#config.postgres === null ? null : () => this.#postgresState();
    const sqlite = await openSqlite(this.#config, this.#logger, neighbour);
    if (sqlite instanceof DualDbError) return this.#alone(sqlite);
    this.#sqlite = sqlite;
    const state = await migrateSqlite(this.#sqlite, this.#config, this.#logger);
    if (state.finalized && !this.#config.flags.primary) throw finalized();
    const partner = this.#config.postgres === null ? null : this.#partner(this.#sqlite);
    const side = await this.#choose(this.#sqlite, state, partner);
    return this.#opened(side, partner, this.#relay(partner, state));
  }

  async abandon(): Promise<void> {
    const postgres = await this.#postgres?.catch(() => null);
    await Promise.all([this.#sqlite?.close(), postgres?.close()]);
  }

  /** Whether PostgreSQL goes on alone; then SQLite is not opened, and need not be there. */
  async #isFinalized(): Promise<boolean> {
    return (await this.#postgresState())?.finalized === true;
  }

  /** Without SQLite. */
  async #alone(problem: DualDbError | null): Promise<Opened> {
    await requireSchema(await this.#openPostgres());
    const { flags } = this.#config;
    if (flags.shadow && problem === null)
      this.#logger.warn({ event: "finalized" }, "PostgreSQL was finalized: USE_POSTGRES_SHADOW does nothing any more");
    return { ...this.#opened("postgres", null, null, { ...flags, shadow: false }), sqliteProblem: problem };
  }

  /** null where PostgreSQL has no tables of ours yet. */
  async #postgresState(): Promise<PostgresState | null> {
    const engine = await this.#openPostgres();
    try {
      return await engine.transaction({ mode: "read", timeoutMs: stateTimeoutMs }, readPostgresState);
    } catch (error) {
      if (hasCode(error, "SCHEMA_MISSING")) return null;
      throw error;
    }
  }

  /** Which side is primary from here on. */
  async #choose(sqlite: Engine, state: SqliteState, partner: Partner | null): Promise<Side> {
    const { flags } = this.#config;
    if (!flags.primary && state.primary === "sqlite") {
      if (partner !== null && (flags.read || flags.shadow || state.forced)) await this.#engageSoon(partner);
      return "sqlite";
    }
    if (partner === null) throw noPartner();
    if (flags.primary) await this.#flip(partner, "postgres");
    else await this.#rollBack(sqlite, partner);
    return flags.primary ? "postgres" : "sqlite";
  }

  /** SQLite goes on without PostgreSQL; only a partner that is the wrong one stops everything. */
  async #engageSoon(partner: Partner): Promise<void> {
    const engaged = partner.engage().then(
      () => null,
      (error: unknown) => error,
    );
    const error = await Promise.race([engaged, sleep(engageWithinMs, null, { ref: false })]);
    if (hasCode(error, "PAIR_MISMATCH", "FINALIZED")) throw error;
  }

  /** Others may hold the lock for a while: a copy that has to be all or nothing, a table that is armed. */
  async #flip(partner: Partner, wanted: Side): Promise<void> {
    const { clock } = this.#internals;
    const deadline = clock() + this.#config.flipTimeoutMs;
    for (;;) {
      try {
        return await partner.together(({ flip }) => flip.to(wanted, deadline));
      } catch (error) {
        if (!hasCode(error, "DATABASE_BUSY") || clock() > deadline) throw error;
      }
    }
  }

  /** Rolling back has to work while PostgreSQL is down: then SQLite goes on by itself, and what it lacks comes in later. */
  async #rollBack(sqlite: Engine, partner: Partner): Promise<void> {
    const { clock } = this.#internals;
    const deadline = clock() + this.#config.flipTimeoutMs;
    for (;;) {
      const silence = await this.#answers().then(() => null, unreachable);
      if (silence !== null) return this.#force(sqlite, silence);
      try {
        return await this.#flip(partner, "sqlite");
      } catch (error) {
        if (!hasCode(error, "DATABASE_UNAVAILABLE", "OUTCOME_UNKNOWN")) throw error;
        // While it answers others write to it: SQLite must not go on by itself.
        if (clock() > deadline) throw answering(error);
      }
      await sleep(unreachablePauseMs);
    }
  }

  /** A server that says nothing shall not hold up a roll-back for as long as connecting may take. */
  async #answers(): Promise<void> {
    const state = this.#postgresState();
    const silent = sleep(stateTimeoutMs, "silent", { ref: false });
    if ((await Promise.race([state, silent])) !== "silent") return;
    state.catch(() => undefined);
    throw new DualDbError("DATABASE_UNAVAILABLE", `PostgreSQL has not answered within ${stateTimeoutMs} ms.`, {
      side: "postgres",
    });
  }

  async #force(sqlite: Engine, reason: DualDbError): Promise<void> {
    await sqlite.transaction({ mode: "write" }, async (transaction) => {
      const state = await readSqliteState(transaction);
      if (state.primary === "postgres")
        await moveSqliteState(transaction, state, { primary: "sqlite", forced: true }, this.#internals.clock());
    });
    this.#logger.error(
      { event: "forced-roll-back", ...errorFields(reason) },
      "rolled back to SQLite while PostgreSQL cannot be reached; what was written there comes in when it is back",
    );
  }

  #partner(sqlite: Engine): Partner {
    const logger = this.#logger;
    return new Partner({
      sqlite,
      postgres: () => this.#openPostgres(),
      requireSchema,
      clock: this.#internals.clock,
      epochs: this.#config.epochs,
      timeoutMs: passTimeoutMs,
      events: {
        step: (step) => logger.info({ event: "flip-step", step }, "flip"),
        conflicts: (rows) =>
          logger.warn(
            { event: "conflicts", count: rows.length, rows },
            "written on both sides: SQLite's version stays",
          ),
      },
      logger,
      reached: this.#internals.reached,
    });
  }

  #relay(partner: Partner | null, state: SqliteState): Relay | null {
    const { flags, flipTimeoutMs } = this.#config;
    if (
      partner === null ||
      !(flags.primary || flags.read || flags.shadow || state.forced || state.primary === "postgres")
    )
      return null;
    return new Relay({
      partner,
      logger: this.#logger,
      clock: this.#internals.clock,
      flipTimeoutMs,
      shadow: flags.shadow,
    });
  }

  #opened(side: Side, partner: Partner | null, relay: Relay | null, flags: Flags = this.#config.flags): Opened {
    const sqlite = this.#sqlite;
    const postgres = () => this.#openPostgres();
    const { clock } = this.#internals;
    const { flipTimeoutMs, readFenceMs } = this.#config;
    const primary = new Primary(side, { sqlite, postgres, partner, logger: this.#logger, clock, flipTimeoutMs });
    const fence = sqlite === null ? null : new Fence(sqlite, () => partner?.latest ?? null);
    const adapter = new RoutedAdapter({
      flags,
      sqlite,
      postgres,
      primary,
      fence,
      relay,
      logger: this.#logger,
      clock,
      readFenceMs,
      flipTimeoutMs,
    });
    relay?.start();
    if (partner !== null && relay !== null) this.#startTally(partner, relay, adapter);
    return {
      config: this.#config,
      adapter,
      primary,
      sqlite,
      sqliteProblem: null,
      postgres,
      postgresOpened: () => this.#postgres,
      partner,
      relay,
      tally: this.#tally,
    };
  }

  #startTally(partner: Partner, relay: Relay, adapter: RoutedAdapter): void {
    this.#tally.start({
      counts: () => {
        const { mirrored, altered, wrapped, refused } = relay.status();
        return { mirrored, altered, wrapped, refused, ...adapter.reads };
      },
      route: () => adapter.route.name,
      postgres: async () => (relay.failing || partner.latest === null ? null : this.#openPostgres()),
    });
  }

  #openPostgres(): Promise<Engine> {
    this.#postgres ??= this.#importPostgres().catch((error: unknown) => {
      this.#postgres = null;
      throw error;
    });
    return this.#postgres;
  }

  async #importPostgres(): Promise<Engine> {
    const { postgres: config } = this.#config;
    if (config === null) throw noPartner();
    const { openPostgres } = await import("./engines/postgres.js");
    return openPostgres({ config, logger: this.#logger });
  }
}

/** The error of a PostgreSQL that is not there; any other is thrown on. */
function unreachable(error: unknown): DualDbError {
  if (hasCode(error, "DATABASE_UNAVAILABLE", "OUTCOME_UNKNOWN")) return error;
  throw error;
}

function answering(cause: DualDbError): DualDbError {
  return new DualDbError(
    "DATABASE_UNAVAILABLE",
    `The roll-back to SQLite did not come to its end: PostgreSQL answers, and what has to be done there fails (${cause.code}). Try again; once PostgreSQL has been stopped, SQLite goes on without it.`,
    { cause, side: "postgres", details: cause.details },
  );
}

function noPartner(): DualDbError {
  return new DualDbError(
    "CONFIG_INVALID",
    `PostgreSQL is primary, but no variable names it: set ${postgresVariables}, so that what was written there can be read and brought back.`,
  );
}
