import { DualDbError } from "../../src/errors.js";
import { oneValue, openAt, sqlite } from "./libsql.js";

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
  const read = await outcome(async () => {
    const engine = await openAt(file);
    return oneValue(engine, "SELECT count(*) FROM items");
  });
  const written = await outcome(async () => {
    const engine = await openAt(file);
    return engine.write([sqlite("INSERT INTO items (id) VALUES ('probe')")]);
  });
  process.stdout.write(JSON.stringify({ read, written }));
}

async function outcome(run: () => Promise<unknown>): Promise<unknown> {
  try {
    return { value: await run() };
  } catch (error) {
    return error instanceof DualDbError ? { code: error.code, message: error.message } : { code: String(error) };
  }
}
