import { describe, expect, test } from "vitest";
import { verify } from "../../src/migrate/verify.js";
import { speaker, TestPair } from "../support/pair.js";

describe("an armed pair", () => {
  test("that is equal says so, of every table", async () => {
    const pair = await TestPair.create();
    const database = await pair.open("--S");
    for (let index = 0; index < 30; index++)
      await database.messageService.saveHumanMessage({
        ...speaker,
        messageContent: `a sentence about elephants ${index}`,
      });
    await database.drain();
    const report = await verify({ env: pair.env("") });
    expect(report).toMatchObject({ equal: true, armed: true, from: "sqlite", search: { missed: [] } });
    expect(report.tables.find(({ table }) => table === "messages")).toEqual({
      table: "messages",
      sqlite: 30,
      postgres: 30,
      equal: 30,
      missing: 0,
      extra: 0,
      different: 0,
      refused: 0,
      owed: 0,
      differences: [],
    });
    expect(report.tables).toHaveLength(6);
    expect(report.schema).toEqual([]);
  });
});
