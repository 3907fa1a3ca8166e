import { connect, type NetConnectOpts } from "node:net";
import type { ClientBase } from "pg";
import { interrupted } from "../errors.js";
import { isCancelled } from "./postgres-errors.js";

/** How long what is under way may still go on, and how often the server is then asked to end it. */
const graceMs = 300;
/** How long a server may take to hear that. */
const limitMs = 1_000;

/** Ends what PostgreSQL does for this process when somebody has asked for an end and it takes its time, as a wait for a lock does. */
export class Interruption {
  readonly #server: NetConnectOpts;
  readonly #signal: AbortSignal | undefined;

  constructor({ host, port }: { readonly host: string; readonly port: number }, signal: AbortSignal | undefined) {
    this.#server = host.startsWith("/") ? { path: `${host}/.s.PGSQL.${port}` } : { host, port };
    this.#signal = signal;
  }

  /** @throws INTERRUPTED where the server has ended it for that reason. */
  async during<T>(client: ClientBase, work: () => Promise<T>): Promise<T> {
    if (this.#signal === undefined) return work();
    const watch = this.watch(client);
    try {
      return await work();
    } catch (error) {
      throw this.explained(error);
    } finally {
      await watch.end();
    }
  }

  /** Watches over what this connection does from now on. */
  watch(client: ClientBase): Watch {
    return new Watch(this.#server, this.#signal, client);
  }

  /** What the server says when it was asked to end something is that somebody has asked. */
  explained(error: unknown): unknown {
    return this.#signal?.aborted === true && isCancelled(error) ? interrupted(error) : error;
  }
}

class Watch {
  readonly #server: NetConnectOpts;
  readonly #signal: AbortSignal | undefined;
  readonly #client: ClientBase;
  #timer: NodeJS.Timeout | undefined;
  #asking: Promise<void> = Promise.resolve();
  readonly #begin = () => {
    this.#timer = setInterval(() => this.#ask(), graceMs);
  };

  constructor(server: NetConnectOpts, signal: AbortSignal | undefined, client: ClientBase) {
    this.#server = server;
    this.#signal = signal;
    this.#client = client;
    if (signal?.aborted === true) this.#begin();
    else signal?.addEventListener("abort", this.#begin, { once: true });
  }

  /** Resolves when no request is under way any more, which would end something else. */
  async end(): Promise<void> {
    this.#signal?.removeEventListener("abort", this.#begin);
    clearInterval(this.#timer);
    await this.#asking;
  }

  #ask(): void {
    const request = cancelRequest(this.#client);
    if (request !== null) this.#asking = sent(this.#server, request);
  }
}

/** https://www.postgresql.org/docs/current/protocol-message-formats.html; null where the server has given no key for that. */
function cancelRequest(client: ClientBase): Buffer | null {
  if (!("processID" in client && "secretKey" in client)) return null;
  const { processID, secretKey } = client;
  if (typeof processID !== "number" || typeof secretKey !== "number") return null;
  const request = Buffer.alloc(16);
  [request.length, 80_877_102, processID, secretKey].forEach((number, index) => {
    request.writeInt32BE(number, index * 4);
  });
  return request;
}

/** The server closes the connection when it has done what it can; a failure is of no interest. */
function sent(server: NetConnectOpts, request: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(server);
    socket.setTimeout(limitMs, () => socket.destroy());
    socket.on("error", () => undefined);
    socket.once("close", () => resolve());
    socket.end(request);
    socket.resume();
  });
}
