import type { IncomingMessage, ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";

/** Answers requests, as a migration handler does, or the `fetch` of a framework. */
export type RequestHandler = (request: Request) => Response | Promise<Response>;

/**
 * A handler as a listener for `createServer` of node:http. Whatever a stranger sends, the process goes on: what cannot be put as a `Request`,
 * such as TRACE, is answered with 405 or 400, and a handler that fails with 500. The URL is the request's path on `localhost`; a Host header
 * is a header like any other.
 */
export function toNodeListener(handler: RequestHandler): (incoming: IncomingMessage, outgoing: ServerResponse) => void {
  return (incoming, outgoing) => {
    // A connection that breaks says so here, too, and nobody is left to be told.
    outgoing.on("error", () => undefined);
    void answer(handler, incoming, outgoing);
  };
}

async function answer(handler: RequestHandler, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  // Who stops reading leaves the connection as it is, so that the answer gets through.
  const body: AsyncIterator<Uint8Array> = incoming.iterator({ destroyOnReturn: false });
  try {
    const request = requestOf(incoming, body);
    await send(request instanceof Request ? await handler(request) : new Response(null, request), outgoing);
  } catch {
    if (outgoing.headersSent) outgoing.destroy();
    else outgoing.writeHead(500).end();
  }
  await leave(incoming, body).catch(() => undefined);
}

/** What nobody wanted to read of a body would hold up the next request on the connection. */
async function leave(incoming: IncomingMessage, body: AsyncIterator<Uint8Array>): Promise<void> {
  await body.return?.();
  incoming.resume();
}

async function send({ status, headers, body }: Response, outgoing: ServerResponse): Promise<void> {
  outgoing.writeHead(status, [...headers].flat());
  if (body === null) outgoing.end();
  else await pipeline(body, outgoing);
}

/** The request, or the status of the answer where there can be none. */
function requestOf(
  incoming: IncomingMessage,
  chunks: AsyncIterator<Uint8Array>,
): Request | { readonly status: number } {
  const { method = "GET", url = "/" } = incoming;
  try {
    const headers = new Headers();
    for (const [name, values] of Object.entries(incoming.headersDistinct))
      for (const value of values ?? []) headers.append(name, value);
    const hasBody = method !== "GET" && method !== "HEAD";
    const body = hasBody ? { body: streamOf(chunks), duplex: "half" as const } : {};
    return new Request(addressOf(url), { method, headers, ...body });
  } catch {
    return { status: isForbidden(method) ? 405 : 400 };
  }
}

/** Methods that no `Request` may have. */
function isForbidden(method: string): boolean {
  return /^(CONNECT|TRACE|TRACK)$/i.test(method);
}

/** `*`, and a whole URL as a proxy gets it, name nothing here. */
function addressOf(url: string): string {
  return `http://localhost${url.startsWith("/") ? url : "/"}`;
}

/** Read as it is asked for, and not before. */
function streamOf(chunks: AsyncIterator<Uint8Array>): ReadableStream<Uint8Array> {
  const source = {
    async pull(controller: ReadableStreamDefaultController<Uint8Array>) {
      const { done, value } = await chunks.next();
      if (done === true) controller.close();
      else controller.enqueue(value);
    },
  };
  return new ReadableStream(source, { highWaterMark: 0 });
}
