import { type Stats, statSync } from "node:fs";
import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import type { Client } from "@libsql/client";
import { ExponentialBackoff, halfJitterGenerator, handleWhen, retry } from "cockatiel";
import type { SqliteConfig } from "../config.js";
import { DualDbError, type ErrorCode, interrupted } from "../errors.js";
import type { Logger } from "../logger.js";
import type { Row } from "./engine.js";
import { codeOf, type Doing, isBusy, isReadOnly, libsqlError, outcomeUnknown, type Place } from "./libsql-errors.js";
import { KeptStatements } from "./libsql-kept.js";
import type { BoundStatement } from "./libsql-values.js";

export interface ConnectionOptions {
  readonly config: SqliteConfig;
  readonly logger: Logger;
  /** Whether a file that is not there is made; default true. */
  readonly createFile?: boolean;
  /** Nothing is written, and the file keeps the journal mode that it has; default false. A file in another mode than WAL takes no writes while it is read. */
  readonly onlyRead?: boolean;
  /** How long a locked database is waited for, in milliseconds; default 15,000. */
  readonly busyLimitMs?: number;
  /** Ends that wait with INTERRUPTED, whenever it comes. */
  readonly signal?: AbortSignal | undefined;
}

const BUSY_LIMIT_MS = 15_000;
/** A server that says nothing for so long is given up. A file answers at once or is busy. */
const SERVER_LIMIT_MS = 30_000;

/** journal_mode comes last: it is the one that a read-only file refuses. */
const PRAGMAS = "PRAGMA foreign_keys=ON; PRAGMA synchronous=FULL; PRAGMA journal_mode=WAL;";
const READER_PRAGMAS = "PRAGMA query_only=ON;";

/**
 * The driver's one connection. After SQLITE_BUSY the driver would acknowledge writes that it never commits, so the connection is then
 * replaced by a new one, with its pragmas, before anything else runs on it.
 */
export class Connection {
  readonly place: Place;
  readonly #client: Client;
  readonly #file: string | null;
  readonly #logger: Logger;
  readonly #onlyRead: boolean;
  readonly #busyLimitMs: number;
  readonly #signal: AbortSignal | undefined;
  /** null for a server. */
  readonly #kept: KeptStatements | null;
  /** Whether the connection has its pragmas and has met no lock since. */
  #ready = false;
  #used = false;
  #saidReadOnly = false;
  #inode: number | undefined;

  private constructor(client: Client, place: Place, options: ConnectionOptions) {
    this.#client = client;
    this.place = place;
    this.#file = options.config.file;
    this.#logger = options.logger;
    this.#onlyRead = options.onlyRead ?? false;
    this.#busyLimitMs = options.busyLimitMs ?? BUSY_LIMIT_MS;
    this.#signal = options.signal;
    this.#kept = this.#file === null ? null : new KeptStatements(this.#file);
  }

  /** Opens the file or reaches the server. Throws a DualDbError that names it. */
  static async open(options: ConnectionOptions): Promise<Connection> {
    const { config } = options;
    if (config.file !== null) await checkFile(config.file, options.createFile ?? true);
    const place = placeOf(config);
    const connection = new Connection(await connect(config, place), place, options);
    try {
      await connection.limited(connection.#begin(), "read");
      return connection;
    } catch (error) {
      connection.close();
      throw libsqlError(error, place, "read");
    }
  }

  /** Runs `work`, and again on a new connection as long as the database is locked: `work` must be repeatable as a whole. */
  async run<T>(work: (client: Client) => Promise<T>): Promise<T> {
    if (this.#ready) {
      try {
        return await work(this.#client);
      } catch (error) {
        if (!isBusy(error)) throw error;
        this.#ready = false;
      }
    }
    return this.#insist(work);
  }

  /** The first row of a statement that is kept prepared; undefined where it has to be asked in the ordinary way. */
  kept(bound: BoundStatement): Row | undefined {
    if (!this.#ready || this.#kept === null) return undefined;
    if (this.#kept.closed && this.#currentInode() !== this.#inode) return undefined;
    return this.#kept.first(bound);
  }

  /** The promise, given up when a server says nothing for too long. */
  limited<T>(promise: Promise<T>, doing: Doing, limitMs = SERVER_LIMIT_MS): Promise<T> {
    return this.place.remote ? this.#race(promise, doing, limitMs) : promise;
  }

  /** Brings the write-ahead log into the file first, which the driver leaves undone: whoever copies the file then has all of it. */
  async end(): Promise<void> {
    this.#kept?.drop();
    if (this.#file !== null && this.#ready && !this.#onlyRead) await this.#checkpoint();
    this.close();
  }

  close(): void {
    this.#kept?.drop();
    this.#client.close();
  }

  /** Where another connection is at work the log stays, and nothing is lost. */
  async #checkpoint(): Promise<void> {
    try {
      await this.#client.execute("PRAGMA wal_checkpoint(TRUNCATE)");
    } catch {
      this.#ready = false;
    }
  }

  async #begin(): Promise<void> {
    const { rows } = await this.run((client) => client.execute("PRAGMA encoding"));
    const encoding = rows[0]?.[0];
    if (encoding === "UTF-8") return;
    throw problem("DATABASE_UNUSABLE", `${this.place.name} is encoded in ${encoding}: convert it to UTF-8`);
  }

  async #insist<T>(work: (client: Client) => Promise<T>): Promise<T> {
    const end = performance.now() + this.#busyLimitMs;
    // SQLite has no queue for its lock: who looks seldom starves beside a process that writes all the time.
    const backoff = new ExponentialBackoff({ initialDelay: 2, maxDelay: 5, generator: halfJitterGenerator });
    const worth = handleWhen((error) => isBusy(error) && performance.now() < end);
    return retry(worth, { backoff, maxAttempts: Number.POSITIVE_INFINITY }).execute(() => this.#attempt(work));
  }

  async #attempt<T>(work: (client: Client) => Promise<T>): Promise<T> {
    try {
      if (!this.#ready) await this.#prepare();
      return await work(this.#client);
    } catch (error) {
      if (!isBusy(error)) throw error;
      this.#ready = false;
      throw this.#signal?.aborted === true ? interrupted(error) : error;
    }
  }

  async #prepare(): Promise<void> {
    // The file may be another one now.
    this.#kept?.drop();
    if (this.#used) {
      // The driver would make a new, empty file in the place of one that has been taken away.
      if (this.#file !== null) await checkFile(this.#file, false);
      await this.#client.reconnect();
    }
    this.#used = true;
    if (this.#file !== null) await this.#setPragmas();
    this.#inode = this.#currentInode();
    this.#ready = true;
  }

  /**
   * A file that has been taken away or replaced while it is open goes on taking writes, and they are gone with the process. So a write
   * is acknowledged only while its file is the one under the name.
   */
  assertSameFile(): void {
    if (this.#file === null || this.#currentInode() === this.#inode) return;
    this.#ready = false;
    const advice = "this write is not in the file of that name. Restore the file that was there, then start again";
    throw problem("DATABASE_UNAVAILABLE", `${this.#file} was removed or replaced while it was open: ${advice}`);
  }

  #currentInode(): number | undefined {
    return this.#file === null ? undefined : statSync(this.#file, { throwIfNoEntry: false })?.ino;
  }

  async #setPragmas(): Promise<void> {
    try {
      await this.#client.executeMultiple(this.#onlyRead ? READER_PRAGMAS : PRAGMAS);
    } catch (error) {
      if (!isReadOnly(error)) throw error;
      if (!this.#saidReadOnly)
        this.#logger.warn({ file: this.place.name }, "the SQLite file is read-only: writes will fail");
      this.#saidReadOnly = true;
    }
  }

  #race<T>(promise: Promise<T>, doing: Doing, limitMs: number): Promise<T> {
    return new Promise((resolve, reject) => {
      const expire = () => {
        reject(doing === "write" ? outcomeUnknown(this.place) : silent(this.place));
        // Ends what is under way, so that the next call does not wait behind it.
        void this.#client.reconnect();
      };
      const timer = setTimeout(expire, Math.max(0, limitMs)).unref();
      promise.then(resolve, reject).finally(() => clearTimeout(timer));
    });
  }
}

/** Loaded once: a process that has given up rights since may no longer find it. */
let driver: Promise<typeof import("@libsql/client")> | undefined;

async function connect(config: SqliteConfig, place: Place): Promise<Client> {
  driver ??= import("@libsql/client");
  const { createClient } = await driver;
  const { url, authToken } = config;
  try {
    // No busy timeout: the driver would wait inside the event loop.
    return createClient({
      url,
      concurrency: 1,
      intMode: "bigint",
      timeout: 0,
      ...(authToken !== undefined && { authToken }),
    });
  } catch (error) {
    throw libsqlError(error, place, "read");
  }
}

function placeOf({ url, file }: SqliteConfig): Place {
  if (file !== null) return { name: file, remote: false };
  return {
    name: URL.canParse(url) ? `${new URL(url).protocol}//${new URL(url).host}` : "the libSQL server",
    remote: true,
  };
}

async function checkFile(file: string, create: boolean): Promise<void> {
  const status = await statusOf(file);
  if (status?.isDirectory()) throw problem("DATABASE_UNUSABLE", `${file} is a directory: name a file in it`);
  if (status !== undefined) return;
  if (!create) throw problem("DATABASE_UNAVAILABLE", `there is no file ${file}: check the path, or restore the file`);
  const parent = dirname(file);
  if ((await statusOf(parent))?.isDirectory()) return;
  throw problem(
    "DATABASE_UNAVAILABLE",
    `${file} cannot be made: ${parent} is no directory; make it, or correct the path`,
  );
}

async function statusOf(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw problem(
      "DATABASE_UNUSABLE",
      `${path} cannot be looked at (${code}): give this process the right to enter its directory`,
      error,
    );
  }
}

function silent({ name }: Place): DualDbError {
  return problem("DATABASE_UNAVAILABLE", `${name} has not answered in time: check the server, then repeat the call`);
}

function problem(code: ErrorCode, message: string, cause?: unknown): DualDbError {
  return new DualDbError(code, message, { side: "sqlite", cause });
}
