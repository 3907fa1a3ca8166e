import { v7 } from "uuid";
import type { Environment } from "./config.js";
import { codes, DualDbError, errorFields } from "./errors.js";
import { orderOf } from "./http/body.js";
import { publicError, publicJson } from "./http/public.js";
import { MigrationRun, type RunReport } from "./http/run.js";
import { lastRemembered, underWay } from "./http/run-memory.js";
import { authorize } from "./http/token.js";
import type { ToolOptions } from "./migrate/options.js";
import { type MigrationStatus, migrationStatus } from "./migrate/status.js";

export { type RequestHandler, toNodeListener } from "./http/node-listener.js";
export type { PublicError } from "./http/public.js";
export type { RunReport } from "./http/run.js";
export type { CopyReport, DoctorReport, Progress, ToolOptions, VerifyReport } from "./migrate/index.js";

/** What a handler takes beside the options of every tool. */
export interface MigrationHandlerOptions extends Omit<ToolOptions, "onProgress"> {
  /** The secret that every request has to bring; MIGRATION_TOKEN by default, read with each request. */
  readonly token?: string | undefined;
}

export type MigrationHandler = (request: Request) => Promise<Response>;

/**
 * A migration over HTTP, for any framework that speaks `Request` and `Response`.
 * `GET`: 200 with `{ ok: true, status, run }`, where the databases are on the way and how far the last run has come (null: there was none).
 * In a pair it is the last run of any process, as PostgreSQL remembers it: a little late, and without its reports unless it is this one's
 * (`here`); one whose process is gone is shown as interrupted after 15 seconds. Databases that are no pair remember nothing of ours.
 * `POST`: 202 with `{ ok: true, run }`, the id of a run that copies and then verifies, or with `{ "dryRun": true }` looks as `dualdb doctor`
 * does. One at a time, in a pair for all processes; one that was interrupted is taken up by the next.
 * Else `{ ok: false, error: { code, … } }` with the code's HTTP status: 401 without the token and 503 where none is configured, 405, 409
 * while a run is under way, 413, 415, 400, 503 where a database cannot be reached.
 */
export function createMigrationHandler(options: MigrationHandlerOptions = {}): MigrationHandler {
  const service = new MigrationService(options);
  return (request) => service.respond(request);
}

/** A status asks both databases for much, so that those who ask at once, or again and again, share one. */
const statusKeptMs = 2_000;

interface KeptStatus {
  /** The last beginning or end of a run before it. */
  readonly event: string;
  /** By the monotonic clock, in milliseconds; infinite while it is being looked for. */
  readonly at: number;
  readonly found: Promise<MigrationStatus>;
}

class MigrationService {
  readonly #options: MigrationHandlerOptions;
  #run: MigrationRun | null = null;
  /** The run that is about to be. */
  #beginning: string | null = null;
  #status: KeptStatus | null = null;

  constructor(options: MigrationHandlerOptions) {
    this.#options = options;
  }

  async respond(request: Request): Promise<Response> {
    try {
      authorize(request, this.#options.token ?? this.#env.MIGRATION_TOKEN);
      return await this.#answer(request);
    } catch (error) {
      return this.#refuse(error);
    }
  }

  async #answer(request: Request): Promise<Response> {
    if (request.method === "GET") return json(200, publicJson({ ok: true, ...(await this.#look()) }));
    if (request.method === "POST")
      return json(202, publicJson({ ok: true, run: await this.#start((await orderOf(request)).dryRun) }));
    throw new DualDbError("METHOD_NOT_ALLOWED", "Use GET or POST.");
  }

  /** The run first, and a status that is no older than its beginning or its end: it has seen all that an ended run did. */
  async #look(): Promise<{ readonly status: MigrationStatus; readonly run: RunReport | null }> {
    const own = this.#run?.report ?? null;
    const status = await this.#statusAfter(own === null ? "" : `${own.id} ${own.state}`);
    return { status, run: laterOf(own, lastRemembered(status.runs)) };
  }

  #statusAfter(event: string): Promise<MigrationStatus> {
    const now = performance.now();
    if (this.#status === null || this.#status.event !== event || now - this.#status.at > statusKeptMs) {
      const found = migrationStatus(this.#tools);
      this.#status = { event, at: Number.POSITIVE_INFINITY, found };
      const settle = () => {
        this.#status = { event, at: performance.now(), found };
      };
      found.then(settle, () => {
        this.#status = null;
      });
    }
    return this.#status.found;
  }

  async #start(dryRun: boolean): Promise<string> {
    const present = this.#run?.report.state === "running" ? this.#run.report.id : this.#beginning;
    if (present !== null) throw underWay(present);
    const id = v7();
    this.#beginning = id;
    try {
      this.#run = await MigrationRun.begin(id, dryRun, this.#tools);
    } finally {
      this.#beginning = null;
    }
    void this.#run.run();
    return id;
  }

  #refuse(error: unknown): Response {
    const { code, ...where } = publicError(error);
    const own = code !== "UNEXPECTED" && requestCodes.has(code) && error instanceof DualDbError ? error : null;
    const said = own === null ? {} : { message: own.message, ...own.details };
    if (own === null)
      this.#options.logger?.error({ event: "migration-request-failed", ...errorFields(error) }, "a request has failed");
    const status = code === "UNEXPECTED" ? 500 : codes[code].http;
    return json(status, JSON.stringify({ ok: false, error: { code, ...where, ...said } }), headersOf(status));
  }

  get #env(): Environment {
    return this.#options.env ?? process.env;
  }

  get #tools(): ToolOptions {
    const { token: _token, ...tools } = this.#options;
    return tools;
  }
}

/** What PostgreSQL remembers of this process's own run is less than it knows itself. */
function laterOf(own: RunReport | null, remembered: RunReport | null): RunReport | null {
  if (own === null || remembered === null) return own ?? remembered;
  return remembered.id !== own.id && remembered.beganAt > own.beganAt ? remembered : own;
}

/** Errors of the request itself, whose messages are ours. */
const requestCodes: ReadonlySet<string> = new Set([
  "TOKEN_MISSING",
  "UNAUTHORIZED",
  "METHOD_NOT_ALLOWED",
  "BODY_TOO_LARGE",
  "BODY_UNSUPPORTED",
  "VALIDATION_FAILED",
  "RUN_UNDER_WAY",
]);

function headersOf(status: number): Record<string, string> {
  if (status === 401) return { "www-authenticate": "Bearer" };
  return status === 405 ? { allow: "GET, POST" } : {};
}

function json(status: number, text: string, headers: Record<string, string> = {}): Response {
  const always = { "content-type": "application/json", "cache-control": "no-store" };
  return new Response(text, { status, headers: { ...always, ...headers } });
}
