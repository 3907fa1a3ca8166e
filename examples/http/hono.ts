import { createMigrationHandler } from "dualdb/http";
import { Hono } from "hono";

const handler = createMigrationHandler();
const app = new Hono();
app.all("/migration", (context) => handler(context.req.raw));

export default app; // on Node: createServer(toNodeListener(app.fetch)).listen(3000)
