import { copy } from "../../src/migrate/copy.js";

/** A `copy` in a process of its own, so that it can be killed. `copy-process FILE URL REJECTS [BATCH]` prints the report. */
const [sqlite = "", postgres = "", rejects = "", batchSize = "500"] = process.argv.slice(2);

const report = await copy({
  env: {},
  sqlite,
  postgres,
  rejects,
  batchSize: Number(batchSize),
  onProgress: () => process.send?.("step"),
});
process.stdout.write(JSON.stringify(report));
process.disconnect?.();
