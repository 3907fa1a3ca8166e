import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createMigrationHandler } from "../../src/http.js";

/** A process of its own that serves the migration on 127.0.0.1, so that it can be killed; it sends the port to its parent. */
const handler = createMigrationHandler();

const server = createServer(async ({ method = "GET", headers }, outgoing) => {
  const authorization = headers.authorization ?? "";
  const response = await handler(new Request("http://localhost/migration", { method, headers: { authorization } }));
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  outgoing.end(await response.text());
});
server.listen(0, "127.0.0.1", () => process.send?.((server.address() as AddressInfo).port));
process.on("disconnect", () => process.exit());
