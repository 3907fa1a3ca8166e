// app/api/migration/route.ts
import { createMigrationHandler } from "dualdb/http";

const handler = createMigrationHandler();

export { handler as GET, handler as POST };
