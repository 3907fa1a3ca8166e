import type { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { PoolClient } from "pg";
import type { CopyChunks } from "./engine.js";

/**
 * Sends one `COPY … FROM STDIN`, other statements before and behind it, with its data, no faster than the server takes it; resolves to the number of rows. Where the source
 * fails, the server is told so. Where the server is silent for `limitMs`, the connection is closed.
 * @throws SourceFailure
 */
export async function sendCopy(client: PoolClient, text: string, source: CopyChunks, limitMs: number): Promise<number> {
  const { from } = await import("pg-copy-streams");
  const stream: CopyStream = client.query(from(text));
  // What the server says of a COPY that was broken off comes when nobody listens any more.
  stream.on("error", () => undefined);
  const watch = new SilenceWatch(client, limitMs);
  try {
    await pipeline(watched(source, watch), stream);
    return stream.rowCount;
  } catch (error) {
    throw watch.failure ?? error;
  } finally {
    watch.end();
  }
}

/**
 * The data of one `COPY … TO STDOUT`, no faster than it is taken. Who leaves before the end, or waits for `limitMs` in vain, has lost the
 * connection: the rest of the answer stands in it.
 */
export async function* receiveCopy(
  client: PoolClient,
  text: string,
  limitMs: number,
): AsyncGenerator<Uint8Array, void> {
  const { to } = await import("pg-copy-streams");
  const stream: Readable = client.query(to(text));
  const watch = new SilenceWatch(client, limitMs);
  let isWhole = false;
  try {
    watch.begin();
    for await (const chunk of stream) {
      watch.end();
      yield chunk as Uint8Array;
      watch.begin();
    }
    isWhole = true;
  } catch (error) {
    isWhole = true;
    throw watch.failure ?? error;
  } finally {
    watch.end();
    if (!isWhole) client.connection.stream.destroy();
  }
}

/** Its message goes to the server's log, so the source's own error is the cause. */
export class SourceFailure extends Error {
  constructor(cause: unknown) {
    super("the source of the rows failed", { cause });
  }
}

type CopyStream = Writable & { readonly rowCount: number };

/** Closes a connection whose server neither takes nor sends anything. */
class SilenceWatch {
  readonly #client: PoolClient;
  readonly #limitMs: number;
  #timer: NodeJS.Timeout | undefined;
  #failure: Error | undefined;

  constructor(client: PoolClient, limitMs: number) {
    this.#client = client;
    this.#limitMs = limitMs;
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  begin(): void {
    this.#timer = setTimeout(() => {
      // As the driver says it of its own queries.
      this.#failure = new Error("Query read timeout");
      this.#client.connection.stream.destroy();
    }, this.#limitMs);
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}

/** The server may take its time for each chunk, but the time that the source takes is not its. */
async function* watched(source: CopyChunks, watch: SilenceWatch): AsyncGenerator<Uint8Array, void> {
  try {
    for await (const chunk of source) {
      watch.begin();
      yield chunk;
      watch.end();
    }
  } catch (error) {
    throw new SourceFailure(error);
  }
  watch.begin();
}
