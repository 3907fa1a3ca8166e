import { setTimeout as sleep } from "node:timers/promises";
import type { Sql } from "sql-template-tag";
import { type Config, type Environment, readConfig } from "./config.js";
import type { Row, Selected, WriteResult } from "./engines/engine.js";
import { holdsSeveral, isSelect } from "./engines/sql-text.js";
import { DualDbError } from "./errors.js";
import { harmless, type Logger, silentLogger } from "./logger.js";
import { type Internals, type Opened, open } from "./open.js";
import { deferredServices, type Services } from "./services/deferred.js";
import { createDocumentService, type DocumentService } from "./services/documents.js";
import { type AnalyzeMessage, createMessageService, type MessageService } from "./services/messages.js";
import { createUserProfileService, type UserProfileService } from "./services/profiles.js";
import { type AnalyzeQuery, createQueryService, type QueryService } from "./services/queries.js";
import { type DrainResult, drain, type Status, statusOf } from "./status.js";

export interface DatabaseOptions {
  /** The variables to read when the database opens; `process.env` by default. */
  readonly env?: Environment | undefined;
  /** Anything with pino's four methods. Without one the package is silent, unless LOG_LEVEL is set. */
  readonly logger?: Logger | undefined;
  /** Called once per `saveHumanMessage`, before the row is saved. */
  readonly analyzeMessage?: AnalyzeMessage | undefined;
  /** Called once per `saveQuery`, before the row is saved. */
  readonly analyzeQuery?: AnalyzeQuery | undefined;
}

export interface DrainOptions {
  /** How long to go on, in milliseconds; 10,000 by default. */
  readonly timeoutMs?: number | undefined;
}

/** One database for the application, whichever of the two it is on. */
export interface Database {
  readonly messageService: MessageService;
  readonly queryService: QueryService;
  readonly documentService: DocumentService;
  readonly userProfileService: UserProfileService;
  /**
   * Connects, migrates the SQLite side, and makes the side primary that the flags ask for. The first call of anything does it too; one
   * that failed is tried again by the next call.
   * @throws CONFIG_INVALID, DATABASE_UNAVAILABLE, SCHEMA_MISSING, PAIR_MISMATCH, FLIP_REFUSED, FINALIZED
   */
  open(): Promise<void>;
  /**
   * Rows of one SELECT that both sides understand, from the side that answers reads. Text that is not UTF-8 comes with U+FFFD. What a row
   * is may be said, and is not checked: `read<{ user_id: string; n: number }>(…)`.
   * @throws VALIDATION_FAILED for anything else than one SELECT.
   */
  read<T extends Selected<T> = Row>(statement: Sql): Promise<T[]>;
  /**
   * Statements that both sides understand, in one transaction on the primary. What a RETURNING clause gives comes from SQLite's driver as
   * it is, and that ends the process at TEXT which is not UTF-8: of columns of old rows return none, or `CAST(… AS BLOB)`.
   */
  write(...statements: readonly Sql[]): Promise<WriteResult[]>;
  status(): Promise<Status>;
  /** Mirrors until the other side is owed nothing that it takes, or for `timeoutMs` milliseconds (10,000). */
  drain(options?: DrainOptions): Promise<DrainResult>;
  /** Drains for up to 2 s if the shadow is on, and closes both sides. What is left is durable. Can be called twice. */
  close(): Promise<void>;
}

/** A database that opens at its first call. Nothing is read, connected or started before that. */
export function createDatabase(options: DatabaseOptions = {}): Database {
  return new DualDatabase(options, { clock: Date.now, reached: () => undefined });
}

const drainMs = 10_000;
const drainAtCloseMs = 2_000;
/** How long closing waits for a batch that is under way. */
const lastBatchMs = 500;

/** The class behind `createDatabase`; `internals` are for the tests of this package. */
export class DualDatabase implements Database {
  readonly #options: DatabaseOptions;
  readonly #internals: Internals;
  #opening: Promise<Opened & Services> | null = null;
  #closing: Promise<void> | null = null;

  readonly #services = deferredServices(() => this.#opened());
  readonly messageService = this.#services.messageService;
  readonly queryService = this.#services.queryService;
  readonly documentService = this.#services.documentService;
  readonly userProfileService = this.#services.userProfileService;

  constructor(options: DatabaseOptions, internals: Internals) {
    this.#options = options;
    this.#internals = internals;
  }

  async open(): Promise<void> {
    await this.#opened();
  }

  async read<T extends Selected<T> = Row>(statement: Sql): Promise<T[]> {
    if (!isSelect(statement.sql)) throw misused("read() takes one SELECT: give what writes to write()");
    assertOne("read", statement);
    return (await this.#opened()).adapter.read({ statement }) as Promise<T[]>;
  }

  async write(...statements: readonly Sql[]): Promise<WriteResult[]> {
    for (const statement of statements) assertOne("write", statement);
    return (await this.#opened()).adapter.write(statements);
  }

  async status(): Promise<Status> {
    return statusOf(await this.#opened());
  }

  async drain({ timeoutMs = drainMs }: DrainOptions = {}): Promise<DrainResult> {
    return drain(await this.#opened(), timeoutMs);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  #opened(): Promise<Opened & Services> {
    if (this.#closing !== null) return Promise.reject(closed());
    this.#opening ??= this.#open().catch((error: unknown) => {
      this.#opening = null;
      throw error;
    });
    return this.#opening;
  }

  async #open(): Promise<Opened & Services> {
    const config = readConfig(this.#options.env ?? process.env);
    const logger = harmless(this.#options.logger ?? (await defaultLogger(config)));
    const opened = await open(config, logger, this.#internals);
    return { ...opened, ...this.#realServices(opened, logger) };
  }

  #realServices({ adapter, config }: Opened, logger: Logger): Services {
    const parts = { adapter, logger, clock: this.#internals.clock };
    const { analysisTimeoutMs } = config;
    return {
      messageService: createMessageService({ ...parts, analyze: this.#options.analyzeMessage, analysisTimeoutMs }),
      queryService: createQueryService({ ...parts, analyze: this.#options.analyzeQuery, analysisTimeoutMs }),
      documentService: createDocumentService(parts),
      userProfileService: createUserProfileService(parts),
    };
  }

  async #close(): Promise<void> {
    const opened = await this.#opening?.catch(() => null);
    if (opened === null || opened === undefined) return;
    const draining = opened.adapter.route.shadow === null ? null : drain(opened, patienceOf(opened)).catch(ignoreOurs);
    await Promise.race([draining, sleep(drainAtCloseMs, undefined, { ref: false })]);
    const stopping = Promise.all([opened.relay?.stop(), opened.tally.stop()]);
    await Promise.race([stopping, sleep(lastBatchMs, undefined, { ref: false })]);
    // Breaks off what PostgreSQL does not answer, and with it the relay's last batch.
    await (await opened.postgresOpened())?.close();
    await stopping;
    await opened.sqlite?.close();
  }
}

/** What somebody has to mend first is not mended while the process waits to end. */
function patienceOf({ partner }: Opened): number {
  return partner?.problem?.retry === false ? 0 : drainAtCloseMs;
}

/** What is owed stays in the journal, and what stands in the way is in the log: no reason to leave anything open. */
function ignoreOurs(error: unknown): void {
  if (!(error instanceof DualDbError)) throw error;
}

async function defaultLogger({ logLevel }: Config): Promise<Logger> {
  if (logLevel === null) return silentLogger;
  const { pino } = await import("pino");
  const logger: Logger = pino({ name: "dualdb", level: logLevel });
  return logger;
}

function assertOne(call: "read" | "write", { sql }: Sql): void {
  if (!holdsSeveral(sql)) return;
  const advice = call === "read" ? "ask for one" : "give each as an argument of its own, for one transaction";
  throw misused(`${call}() was given a text of several statements: ${advice}`);
}

function misused(message: string): DualDbError {
  return new DualDbError("VALIDATION_FAILED", message);
}

function closed(): DualDbError {
  return new DualDbError("DATABASE_CLOSED", "The database has been closed: create another one with createDatabase().");
}
