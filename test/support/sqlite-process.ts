import type { Engine } from "../../src/engines/engine.js";
import { DualDbError } from "../../src/errors.js";
import { silentLogger } from "../../src/logger.js";
import { oneValue, openAt, serverConfig, sqlite } from "./libsql.js";
import { unprivileged } from "./postgres-binaries.js";

/**
 * A process of its own on a SQLite file. `write FILE PREFIX COUNT` inserts rows into `items`, by one statement, by a batch and by a
 * transaction in turn, and prints the id of each when it is acknowledged; `probe FILE` prints what a read and a write give.
 */
const [command = "", file = "", prefix = "", count = "0"] = process.argv.slice(2);

if (command === "write") await write(Number(count));
else await probe();

async function write(rows: number): Promise<void> {
  const engine = await openAt(file);
  for (let index = 0; index < rows; index++) {
    const id = `${prefix}-${index}`;
    const insert = sqlite("INSERT INTO items (id, number) VALUES (?, ?)", id, index);
    if (index % 3 === 0) await engine.write([insert]);
    else if (index % 3 === 1) await engine.write([insert, sqlite("UPDATE totals SET written = written + 1")]);
    else await engine.transaction({ mode: "write" }, (transaction) => transaction.execute(insert));
    process.stdout.write(`${id}\n`);
  }
  await engine.close();
}

async function probe(): Promise<void> {
  // Root may read and write everything. The engine loads its driver first: both may be out of reach afterwards.
  await openAt(serverConfig("http://127.0.0.1:1")).catch(() => {});
  if (unprivileged.gid !== undefined) process.setgid?.(unprivileged.gid);
  if (unprivileged.uid !== undefined) process.setuid?.(unprivileged.uid);
  const read = await outcome((engine) => oneValue(engine, "SELECT count(*) FROM items"));
  const written = await outcome((engine) => engine.write([sqlite("INSERT INTO items (id) VALUES ('probe')")]));
  process.stdout.write(JSON.stringify({ read, written }));
}

async function outcome(run: (engine: Engine) => Promise<unknown>): Promise<unknown> {
  let warnings = 0;
  const logger = { ...silentLogger, warn: () => warnings++ };
  try {
    const engine = await openAt(file, { logger });
    return { value: await run(engine), warnings };
  } catch (error) {
    return error instanceof DualDbError ? { code: error.code, message: error.message } : { code: String(error) };
  }
}
