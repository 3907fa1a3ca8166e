import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createMigrationHandler, toNodeListener } from "../../src/http.js";

/** A process of its own that serves the migration on 127.0.0.1, so that it can be killed; it sends the port to its parent. */
const server = createServer(toNodeListener(createMigrationHandler()));
server.listen(0, "127.0.0.1", () => process.send?.((server.address() as AddressInfo).port));
process.on("disconnect", () => process.exit());
