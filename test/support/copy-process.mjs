// A `copy` in a process of its own, so that it can be killed: `copy-process FILE URL REJECTS BATCH`. It begins when it is told, and tells
// each of its steps. It is no TypeScript and takes what was built, since fifty of them have to start quickly.
import { copy } from "../../dist/migrate/index.js";

await Promise.all([import("@libsql/client"), import("pg")]);
const [sqlite, postgres, rejects, batchSize] = process.argv.slice(2);
process.once("message", async () => {
  await copy({
    env: {},
    sqlite,
    postgres,
    rejects,
    batchSize: Number(batchSize),
    onProgress: () => process.send("step"),
  });
  process.disconnect();
});
process.send("ready");
