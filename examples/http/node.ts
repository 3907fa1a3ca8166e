import { createServer } from "node:http";
import { createMigrationHandler, toNodeListener } from "dualdb/http";

const handler = createMigrationHandler();

export const server = createServer(toNodeListener(handler)).listen(process.env.PORT ?? 3000);
