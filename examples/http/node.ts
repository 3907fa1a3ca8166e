import { createServer } from "node:http";
import { Readable } from "node:stream";
import { createMigrationHandler } from "dualdb/http";

const handler = createMigrationHandler();

export const server = createServer(async (incoming, outgoing) => {
  const { method = "GET", url } = incoming;
  const headers = new Headers();
  for (const [name, value] of Object.entries(incoming.headers)) headers.set(name, String(value));
  const body = method === "POST" ? Readable.toWeb(incoming) : null;
  const response = await handler(new Request(`http://localhost${url}`, { method, headers, body, duplex: "half" }));
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  outgoing.end(await response.text());
}).listen(process.env.PORT ?? 3000);
