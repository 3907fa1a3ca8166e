import { describe, expect, test } from "vitest";
import { sql } from "../../src/index.js";
import { postgresServers } from "../support/databases.js";
import { speaker, TestPair } from "../support/pair.js";

/** P R S → route, side written, side read, side that follows. */
const table = [
  ["---", "sqlite", "sqlite", "sqlite", null],
  ["--S", "shadow", "sqlite", "sqlite", "postgres"],
  ["-RS", "read", "sqlite", "postgres", "postgres"],
  ["-R-", "read-unshadowed", "sqlite", "sqlite", null],
  ["P--", "postgres", "postgres", "postgres", null],
  ["PR-", "postgres", "postgres", "postgres", null],
  ["P-S", "postgres-shadowed", "postgres", "postgres", "sqlite"],
  ["PRS", "postgres-shadowed", "postgres", "postgres", "sqlite"],
] as const;

describe.each(postgresServers)("all flags, live, on PostgreSQL $name", (server) => {
  test.each(table)("%s is %s: writes %s, reads %s", async (letters, name, written, read, shadow) => {
    const pair = await TestPair.create({ server: server.url });
    const database = await pair.open(letters);
    const id = await database.messageService.saveHumanMessage({ ...speaker, messageContent: "hello" });
    expect(await pair.rows(written, "SELECT id FROM messages")).toEqual([{ id }]);
    const other = written === "sqlite" ? "postgres" : "sqlite";
    const drained = await database.drain();
    expect(await pair.count(other, "messages")).toBe(shadow === null ? 0 : 1);
    expect(drained.pending).toBe(shadow === null && letters !== "---" ? 1 : 0);

    const before = (await database.status()).latency;
    expect(await database.messageService.getMessageById(id)).toMatchObject({ id, message_content: "hello" });
    expect(await database.read(sql`SELECT COUNT(*) AS n FROM messages`)).toEqual([{ n: 1 }]);
    const status = await database.status();
    expect(status.latency[read].read.count - before[read].read.count).toBe(2);
    expect(status.latency[written].write.count).toBe(1);
    expect(status).toMatchObject({ requested: name, effective: name, primary: written, problem: null });
    await database.close();
    if (shadow !== null) await pair.expectEqual();
  });
});

test("reads are answered by PostgreSQL once it is owed nothing, row by row and table by table", async () => {
  const pair = await TestPair.create();
  const database = await pair.open("-RS");
  const id = await database.messageService.saveHumanMessage({ ...speaker, messageContent: "hello" });
  await database.drain();
  // Only PostgreSQL has this: whoever sees it has asked there.
  await pair.postgres.transaction({ mode: "write" }, async (transaction) => {
    await transaction.query(sql`SELECT set_config('dualdb.mirror', 'on', true)`);
    await transaction.execute(sql`UPDATE messages SET message_content = 'from PostgreSQL'`);
  });
  expect(await database.messageService.getMessageById(id)).toMatchObject({ message_content: "from PostgreSQL" });
  expect((await database.status()).reads).toEqual({ fenced: 1, owed: 0, failedOver: 0, suspended: false });
});

test("the requested and the effective route differ where the states rule", async () => {
  const pair = await TestPair.create();
  const old = await pair.open("--S");
  const next = await pair.open("P-S");
  await old.messageService.saveHumanMessage({ ...speaker, messageContent: "hello" });
  expect(await old.status()).toMatchObject({
    requested: "shadow",
    effective: "postgres-shadowed",
    primary: "postgres",
  });
  expect(await next.status()).toMatchObject({ requested: "postgres-shadowed", effective: "postgres-shadowed" });
  expect(await pair.count("postgres", "messages")).toBe(1);
  await pair.expectConverged(next);
});
