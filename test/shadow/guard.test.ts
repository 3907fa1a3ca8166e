import { type Client, createClient } from "@libsql/client";
import { expect, onTestFinished, test } from "vitest";
import { TestPair } from "../support/pair.js";

const guard = "INSERT INTO dualdb_guard (id, never) VALUES (1, 1)";
const write = (id: string) =>
  `INSERT INTO messages (id, timestamp, sender_type, message_content) VALUES ('${id}', 1, 'ai', 'x')`;

async function inTransaction(client: Client): Promise<void> {
  const transaction = await client.transaction("write");
  try {
    await transaction.execute(guard);
    await transaction.execute(write("hidden"));
    await transaction.commit();
  } finally {
    transaction.close();
  }
}

test("the row that keeps the mirror's writes out of SQLite's journal is never committed, and a writer's are journaled", async () => {
  const pair = await TestPair.create();
  await (await pair.open("--S")).close();
  const client = createClient({ url: `file:${pair.file}`, concurrency: 1 });
  onTestFinished(() => client.close());

  const refused = { code: "SQLITE_CONSTRAINT", message: expect.stringContaining("FOREIGN KEY") };
  await expect(client.execute(guard)).rejects.toMatchObject(refused);
  await expect(client.batch([guard, write("hidden")], "write")).rejects.toMatchObject(refused);
  await expect(inTransaction(client)).rejects.toMatchObject(refused);
  await client.execute("PRAGMA foreign_keys = OFF");
  await expect(client.execute(guard)).rejects.toMatchObject({
    message: expect.stringContaining("foreign_keys is off"),
  });
  const left = "SELECT id FROM dualdb_guard UNION ALL SELECT id FROM messages";
  expect((await client.execute(left)).rows).toEqual([]);

  await client.execute(write("seen"));
  expect(await pair.rows("sqlite", "SELECT row_key FROM dualdb_journal")).toEqual([{ row_key: "seen" }]);
  await pair.expectConverged(await pair.open("--S"));
});
