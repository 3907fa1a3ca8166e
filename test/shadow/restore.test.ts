import { describe, expect, test } from "vitest";
import { sql } from "../../src/index.js";
import { speaker, TestPair } from "../support/pair.js";

const say = (messageContent: string) => ({ ...speaker, messageContent });

async function drop(pair: TestPair, side: "sqlite" | "postgres", statement: string): Promise<void> {
  const engine = side === "sqlite" ? await pair.sqlite : pair.postgres;
  await engine.transaction({ mode: "write" }, (transaction) => transaction.script(statement));
}

/** What is dropped by hand, and on which side; whether writes to that side fail while it is primary. */
const table = [
  ["sqlite", "DROP TABLE dualdb_journal", true],
  ["sqlite", "DROP TABLE dualdb_guard", true],
  ["sqlite", "DROP TABLE dualdb_never", false],
  ["sqlite", "DROP TABLE dualdb_conflicts", false],
  ["sqlite", "DROP TRIGGER dualdb_messages_insert", false],
  ["postgres", "DROP TABLE dualdb_journal", true],
  ["postgres", "DROP SEQUENCE dualdb_version", true],
  ["postgres", "DROP TRIGGER dualdb_insert ON messages", false],
  ["postgres", "DROP FUNCTION dualdb_journal_messages CASCADE", false],
  ["postgres", "ALTER TABLE messages DISABLE TRIGGER ALL", false],
] as const;

describe.each(table)("on %s: %s", (side, statement, refuses) => {
  test.each(["--S", "P-S"])("with %s nothing is lost, and the next start puts it back", async (letters) => {
    const primary = letters === "P-S" ? "postgres" : "sqlite";
    const pair = await TestPair.create();
    const first = await pair.open(letters);
    const gone = await first.messageService.saveHumanMessage(say("to be deleted"));
    await first.drain();
    await first.close();
    const alone = await pair.open(letters.replace("S", "-"));
    await alone.messageService.saveHumanMessage(say("owed"));
    await alone.write(sql`DELETE FROM messages WHERE id = ${gone}`);
    await drop(pair, side, statement);
    const write = alone.messageService.saveHumanMessage(say("written meanwhile"));
    if (refuses && side === primary)
      await expect(write).rejects.toMatchObject({
        code: "SCHEMA_MISSING",
        message: expect.stringMatching(/dualdb_(journal|guard|version).*dualdb migrate/),
      });
    else await write;
    await alone.close();

    const database = await pair.open(letters);
    await database.messageService.saveHumanMessage(say("goes on"));
    await pair.expectConverged(database);
    expect(await pair.count(primary, "messages")).toBe(refuses && side === primary ? 2 : 3);
    expect(await database.messageService.getMessageById(gone)).toBeNull();
  });
});

test("a bot on SQLite alone gets its journal back, too, and PostgreSQL everything later", async () => {
  const pair = await TestPair.create();
  const first = await pair.open("--S");
  const ids = [];
  for (let index = 0; index < 5; index++) ids.push(await first.messageService.saveHumanMessage(say(`row ${index}`)));
  await first.drain();
  await first.close();
  const alone = await pair.open("---");
  await alone.write(sql`DELETE FROM messages WHERE id = ${ids[0]}`);
  await drop(pair, "sqlite", "DROP TABLE dualdb_journal");
  await expect(alone.messageService.saveHumanMessage(say("no"))).rejects.toMatchObject({ code: "SCHEMA_MISSING" });
  await alone.close();
  const again = await pair.open("---");
  await again.messageService.saveHumanMessage(say("goes on"));
  await again.write(sql`DELETE FROM messages WHERE id = ${ids[1]}`);
  await again.close();
  const last = await pair.open("--S");
  expect(await last.messageService.getMessageCount()).toBe(4);
  await pair.expectConverged(last);
});

test("a table of PostgreSQL's that was mirrored and is gone stops the mirror and a flip, by name", async () => {
  const pair = await TestPair.create();
  await (await pair.open("--S")).close();
  await drop(pair, "postgres", "DROP TABLE queries");
  await expect(pair.open("P--")).rejects.toMatchObject({ code: "SCHEMA_MISSING", table: "queries" });
  expect(await pair.primaries()).toEqual({ sqlite: "sqlite", postgres: "sqlite" });
});

test.each([
  ["sqlite", "--S"],
  ["sqlite", "---"],
  ["sqlite", "P-S"],
  ["postgres", "P-S"],
] as const)("a state that is gone from %s is not guessed, with %s", async (side, letters) => {
  const pair = await TestPair.create();
  await (await pair.open(letters.replace("---", "--S"))).close();
  await drop(pair, side, "DROP TABLE dualdb_state");
  await drop(pair, side, "DROP TABLE dualdb_journal");
  await expect(pair.open(letters)).rejects.toMatchObject({
    code: "SCHEMA_MISSING",
    message: expect.stringMatching(/dualdb_state.*backup/),
  });
});
