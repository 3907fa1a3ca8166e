import { expect, test } from "vitest";
import type { DualDatabase } from "../../src/database.js";
import { speaker, TestPair, until } from "../support/pair.js";
import { runAt } from "../support/postgres.js";

const refuse = "ALTER TABLE messages ADD CONSTRAINT picky CHECK (message_content <> 'forbidden')";
const permit = "ALTER TABLE messages DROP CONSTRAINT picky";
const say = (messageContent: string) => ({ ...speaker, messageContent });

/** Writes a row that PostgreSQL refuses until it is set aside, and takes away what refused it: nothing frees the row but another try. */
async function quarantine(pair: TestPair, database: DualDatabase): Promise<void> {
  await runAt(pair.url, refuse);
  await database.messageService.saveHumanMessage(say("forbidden"));
  await until("it is set aside", async () => (await database.drain({ timeoutMs: 100 })).quarantined === 1);
  await runAt(pair.url, permit);
}

test("a quarantined row is tried again after ten minutes, and not before", async () => {
  const pair = await TestPair.create();
  let passedMs = 0;
  const opened = Date.now();
  const database = await pair.open("--S", { clock: () => opened + passedMs });
  await database.drain();
  await quarantine(pair, database);
  passedMs = 599_999;
  await database.messageService.saveHumanMessage(say("another"));
  expect(await database.drain()).toEqual({ pending: 0, quarantined: 1 });
  passedMs = 600_000;
  await until("it arrives", async () => (await pair.owed("sqlite")) === 0);
  await pair.expectEqual();
});

test("a quarantined row is tried again by a process that opens, though its first attempt breaks off", async () => {
  const pair = await TestPair.create();
  const database = await pair.open("--S");
  await quarantine(pair, database);
  await database.close();
  let attempts = 0;
  await pair.open("--S", {
    reached: () => {
      if (++attempts === 1) throw new Error("broken off");
    },
  });
  await until("it arrives", async () => (await pair.owed("sqlite")) === 0, 20_000);
  expect(attempts).toBeGreaterThan(1);
  await pair.expectEqual();
});
