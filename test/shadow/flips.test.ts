import { describe, expect, test } from "vitest";
import { sql } from "../../src/index.js";
import type { Internals } from "../../src/open.js";
import type { FaultPoint } from "../../src/shadow/mirror.js";
import { speaker, TestPair, until } from "../support/pair.js";
import { Recorder } from "../support/recorder.js";

/** Stands for a process that dies: from then on no pass of it gets past a named point. */
class Death extends Error {}

const say = (messageContent: string) => ({ ...speaker, messageContent });

function steps(recorder: Recorder): unknown[] {
  return recorder.of("flip-step").map(({ fields }) => fields.step);
}

describe("a walk through the states", () => {
  test("from SQLite to PostgreSQL and back, with rows to bring each time", async () => {
    const pair = await TestPair.create();
    const first = await pair.open("---");
    await first.messageService.saveHumanMessage(say("one"));
    await first.close();

    const there = new Recorder();
    const primary = await pair.open("P--", { logger: there });
    expect(steps(there)).toEqual(["leave-sqlite", "enter-postgres"]);
    expect(await pair.primaries()).toEqual({ sqlite: "postgres", postgres: "postgres" });
    await primary.messageService.saveHumanMessage(say("two"));
    expect(await primary.messageService.getMessageCount()).toBe(2);
    await primary.close();
    expect(await pair.count("sqlite", "messages")).toBe(1);

    const back = new Recorder();
    const rolledBack = await pair.open("---", { logger: back });
    expect(steps(back)).toEqual(["leave-postgres", "enter-sqlite"]);
    expect(await pair.primaries()).toEqual({ sqlite: "sqlite", postgres: "sqlite" });
    expect(await rolledBack.messageService.getMessageCount()).toBe(2);
    await pair.expectEqual();
  });

  test("is no walk where the wanted side is primary already", async () => {
    const pair = await TestPair.create();
    await (await pair.open("P-S")).close();
    const recorder = new Recorder();
    await pair.open("P--", { logger: recorder });
    expect(steps(recorder)).toEqual([]);
  });

  test("ends at the same place when two processes start it at once, in both directions", async () => {
    const pair = await TestPair.create();
    const seed = await pair.open("--S");
    for (let index = 0; index < 30; index++) await seed.messageService.saveHumanMessage(say(`row ${index}`));
    await seed.close();
    for (const letters of ["P-S", "--S", "P-S", "--S"]) {
      const both = await Promise.all([pair.open(letters), pair.open(letters), pair.open(letters)]);
      await Promise.all(both.map((database) => database.messageService.saveHumanMessage(say(letters))));
      await Promise.all(both.map((database) => database.close()));
    }
    const last = await pair.open("--S");
    expect(await last.messageService.getMessageCount()).toBe(42);
    await pair.expectConverged(last);
  });

  test("ends somewhere when two processes want opposite ends, and loses nothing", async () => {
    const pair = await TestPair.create();
    const one = await pair.open("--S");
    await one.messageService.saveHumanMessage(say("before"));
    const outcome = await Promise.allSettled([pair.open("P-S"), pair.open("--S"), pair.open("P-S"), pair.open("--S")]);
    expect(outcome.map(({ status }) => status)).toEqual(Array(4).fill("fulfilled"));
    await one.messageService.saveHumanMessage(say("after"));
    const last = await pair.open("--S");
    expect(await last.messageService.getMessageCount()).toBe(2);
    await pair.expectConverged(last);
  });
});

/** Opens with a database that dies at the n-th time that its passes reach a point. */
async function openAndDie(pair: TestPair, letters: string, point: FaultPoint, time: number): Promise<void> {
  let reached = 0;
  const internals: Pick<Internals, "reached"> = {
    reached: (at) => {
      if (at === point && ++reached >= time) throw new Death();
    },
  };
  await expect(pair.open(letters, internals)).rejects.toThrow();
}

describe("left half-way", () => {
  /** (postgres, sqlite): SQLite has left, PostgreSQL has not begun. Rows may be owed in the direction of the flip. */
  async function leaveSqlite(pair: TestPair, at = Date.now()): Promise<void> {
    await pair.postgres.write([sql`UPDATE dualdb_state SET wanted = 'postgres', changed_at = ${at}`]);
    await (await pair.sqlite).write([
      sql`UPDATE dualdb_state SET "primary" = 'postgres', cas = cas + 1, changed_at = ${at}`,
    ]);
  }

  async function leavePostgres(pair: TestPair, at = Date.now()): Promise<void> {
    await pair.postgres.write([
      sql`UPDATE dualdb_state SET "primary" = 'sqlite', wanted = 'sqlite', changed_at = ${at}`,
    ]);
  }

  async function withOneOwed(letters: string): Promise<TestPair> {
    const pair = await TestPair.create();
    await (await pair.open(`${letters}-S`)).close();
    const database = await pair.open(`${letters}--`);
    await database.messageService.saveHumanMessage(say("owed"));
    await database.close();
    return pair;
  }

  test.each(["P--", "P-S", "---", "--S"])("after SQLite has left, the next opener with %s ends it", async (letters) => {
    const pair = await withOneOwed("-");
    await leaveSqlite(pair);
    const database = await pair.open(letters);
    const side = letters.startsWith("P") ? "postgres" : "sqlite";
    expect(await pair.primaries()).toEqual({ sqlite: side, postgres: side });
    await database.messageService.saveHumanMessage(say("more"));
    expect(await database.messageService.getMessageCount()).toBe(2);
    await pair.expectConverged(await pair.open(letters.replace(/.$/, "S")));
  });

  test.each(["P--", "P-S", "---", "--S"])(
    "after PostgreSQL has left, the next opener with %s ends it",
    async (letters) => {
      const pair = await withOneOwed("P");
      await leavePostgres(pair);
      const database = await pair.open(letters);
      const side = letters.startsWith("P") ? "postgres" : "sqlite";
      expect(await pair.primaries()).toEqual({ sqlite: side, postgres: side });
      await database.messageService.saveHumanMessage(say("more"));
      expect(await database.messageService.getMessageCount()).toBe(2);
      await pair.expectConverged(await pair.open(letters.replace(/.$/, "S")));
    },
  );

  test("a running relay takes it up, without any call", async () => {
    const pair = await withOneOwed("-");
    await pair.open("--S");
    await leaveSqlite(pair, Date.now() - 10_000);
    await until("the relay ends the flip", async () => (await pair.primaries()).postgres === "postgres");
    await pair.expectEqual();
  });

  test("a call of a process without a relay takes it up, and goes through", async () => {
    const pair = await withOneOwed("-");
    const bystander = await pair.open("---");
    await leaveSqlite(pair, Date.now() - 10_000);
    await bystander.messageService.saveHumanMessage(say("from a bystander"));
    expect(await pair.primaries()).toEqual({ sqlite: "postgres", postgres: "postgres" });
    expect(await bystander.messageService.getMessageCount()).toBe(2);
  });

  test.each([
    ["after-read", 1],
    ["after-apply", 1],
    ["before-acknowledge", 1],
  ] as const)("a process that dies %s is followed by one that loses nothing", async (point, time) => {
    const pair = await withOneOwed("-");
    await openAndDie(pair, "P-S", point, time);
    const database = await pair.open("P-S");
    expect(await database.messageService.getMessageCount()).toBe(1);
    await pair.expectConverged(database);
    await database.messageService.saveHumanMessage(say("second"));
    await database.close();
    await openAndDie(await onceMoreOwed(pair), "--S", point, time);
    const back = await pair.open("--S");
    expect(await back.messageService.getMessageCount()).toBe(3);
    await pair.expectConverged(back);
  });

  async function onceMoreOwed(pair: TestPair): Promise<TestPair> {
    const database = await pair.open("P--");
    await database.messageService.saveHumanMessage(say("third"));
    await database.close();
    return pair;
  }
});

describe("refused", () => {
  const refusing = "ALTER TABLE messages ADD CONSTRAINT picky CHECK (message_content <> 'forbidden')";

  test("a row that PostgreSQL does not take keeps SQLite primary, named in the findings", async () => {
    const pair = await TestPair.create();
    await (await pair.open("--S")).close();
    await pair.postgres.write([{ sql: "", text: refusing, values: [] }]);
    const sqlite = await pair.open("---");
    const bad = await sqlite.messageService.saveHumanMessage(say("forbidden"));
    for (let index = 0; index < 5; index++) await sqlite.messageService.saveHumanMessage(say(`row ${index}`));

    const failure = await pair.open("P--").catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "FLIP_REFUSED", details: { refusals: [{ table: "messages", key: bad }] } });
    expect(JSON.stringify(failure) + String(failure)).not.toContain("forbidden");
    expect(await pair.primaries()).toEqual({ sqlite: "sqlite", postgres: "sqlite" });
    await sqlite.messageService.saveHumanMessage(say("goes on"));
    expect(await pair.owed("sqlite")).toBeGreaterThan(0);

    await sqlite.write(sql`UPDATE messages SET message_content = 'allowed' WHERE id = ${bad}`);
    const primary = await pair.open("P-S");
    expect(await primary.messageService.getMessageCount()).toBe(7);
    await pair.expectConverged(primary);
  });

  test("a row that comes in once SQLite has left brings SQLite back", async () => {
    const pair = await TestPair.create();
    await (await pair.open("--S")).close();
    await pair.postgres.write([{ sql: "", text: refusing, values: [] }]);
    const sqlite = await pair.open("---");
    let wrote = false;
    const recorder = new Recorder();
    for (let index = 0; index < 3; index++) await sqlite.messageService.saveHumanMessage(say(`row ${index}`));
    const flipping = pair.open("P--", {
      logger: recorder,
      reached: async (point) => {
        // After the first batch has been read, and before SQLite leaves: it is met in the second step.
        if (point !== "before-acknowledge" || wrote) return;
        wrote = true;
        await sqlite.messageService.saveHumanMessage(say("forbidden"));
      },
    });
    await expect(flipping).rejects.toMatchObject({ code: "FLIP_REFUSED" });
    expect(steps(recorder).at(-1)).toBe("enter-sqlite");
    expect(await pair.primaries()).toEqual({ sqlite: "sqlite", postgres: "sqlite" });
    await sqlite.messageService.saveHumanMessage(say("goes on"));
    expect(await sqlite.messageService.getMessageCount()).toBe(5);
  });

  test("an opener that is refused says so every time, and works once the row is gone", async () => {
    const pair = await TestPair.create();
    await (await pair.open("--S")).close();
    await pair.postgres.write([{ sql: "", text: refusing, values: [] }]);
    const sqlite = await pair.open("---");
    const bad = await sqlite.messageService.saveHumanMessage(say("forbidden"));
    const database = pair.database("P--");
    await expect(database.open()).rejects.toMatchObject({ code: "FLIP_REFUSED" });
    await expect(database.messageService.getMessageCount()).rejects.toMatchObject({ code: "FLIP_REFUSED" });
    await sqlite.write(sql`DELETE FROM messages WHERE id = ${bad}`);
    expect(await database.messageService.getMessageCount()).toBe(0);
    expect(await pair.primaries()).toEqual({ sqlite: "postgres", postgres: "postgres" });
  });

  test("too little time brings the former primary back", async () => {
    const pair = await TestPair.create();
    const sqlite = await pair.open("--S");
    await sqlite.messageService.saveHumanMessage(say("one"));
    await sqlite.close();
    let now = Date.now();
    const clock = () => {
      now += 1_000;
      return now;
    };
    const late = pair.open("P--", { clock, env: { FLIP_TIMEOUT_MS: "1" } });
    await expect(late).rejects.toMatchObject({ code: "FLIP_REFUSED" });
    expect(await pair.primaries()).toEqual({ sqlite: "sqlite", postgres: "sqlite" });
  });
});
