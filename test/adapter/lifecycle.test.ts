import { describe, expect, test } from "vitest";
import { sql } from "../../src/index.js";
import { speaker, TestPair, until } from "../support/pair.js";
import { Recorder } from "../support/recorder.js";

const say = (messageContent: string) => ({ ...speaker, messageContent });

describe("close()", () => {
  test.each(["---", "--S", "P-S"])(
    "with %s can be called twice and at once, and ends every later call",
    async (letters) => {
      const pair = await TestPair.create();
      const database = await pair.open(letters);
      await database.messageService.saveHumanMessage(say("one"));
      await Promise.all([database.close(), database.close()]);
      await database.close();
      for (const call of [
        () => database.open(),
        () => database.messageService.getMessageCount(),
        () => database.messageService.saveHumanMessage(say("late")),
        () => database.read(sql`SELECT 1 AS one`),
        () => database.write(sql`DELETE FROM messages`),
        () => database.status(),
        () => database.drain(),
      ])
        await expect(call()).rejects.toMatchObject({ code: "DATABASE_CLOSED" });
      expect(await pair.count(letters === "P-S" ? "postgres" : "sqlite", "messages")).toBe(1);
    },
  );

  test("before anything was opened opens nothing", async () => {
    const pair = await TestPair.create();
    const database = pair.database("--S");
    await database.close();
    await expect(database.open()).rejects.toMatchObject({ code: "DATABASE_CLOSED" });
    await expect(pair.count("sqlite", "messages")).rejects.toMatchObject({ code: "DATABASE_UNAVAILABLE" });
  });

  test("while it is opening waits for that", async () => {
    const pair = await TestPair.create();
    const database = pair.database("P-S");
    const opening = database.open();
    await database.close();
    await opening;
    expect(await pair.primaries()).toEqual({ sqlite: "postgres", postgres: "postgres" });
  });

  test("brings the other side up to date first", async () => {
    const pair = await TestPair.create();
    for (const letters of ["--S", "P-S"]) {
      const database = await pair.open(letters);
      for (let index = 0; index < 50; index++) await database.messageService.saveHumanMessage(say(`row ${index}`));
      await database.close();
      await pair.expectEqual();
    }
  });

  test("lets calls that have begun end, one way or the other, and loses none that was acknowledged", async () => {
    const pair = await TestPair.create();
    const database = await pair.open("--S");
    const calls = Array.from({ length: 50 }, (_, index) =>
      database.messageService.saveHumanMessage(say(`row ${index}`)).then(
        (id) => id,
        (error: unknown) => Reflect.get(Object(error), "code"),
      ),
    );
    await database.close();
    const outcomes = await Promise.all(calls);
    const acknowledged = outcomes.filter((outcome) => outcome !== "DATABASE_CLOSED");
    const last = await pair.open("--S");
    const found = (await last.read(sql`SELECT id FROM messages`)).map(({ id }) => id);
    expect(new Set(found)).toEqual(new Set(acknowledged));
    await pair.expectConverged(last);
  });
});

describe("drain()", () => {
  test("says how much is left when its time is over, and goes on the next time", async () => {
    const pair = await TestPair.create();
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const database = await pair.open("--S", { reached: (point) => (point === "after-read" ? held : undefined) });
    for (let index = 0; index < 10; index++) await database.messageService.saveHumanMessage(say(`row ${index}`));
    const began = performance.now();
    expect(await database.drain({ timeoutMs: 200 })).toEqual({ pending: 10, quarantined: 0 });
    expect(performance.now() - began).toBeLessThan(1_000);
    release();
    await pair.expectConverged(database);
  });

  test("without a shadow tells at once what is owed", async () => {
    const pair = await TestPair.create();
    await (await pair.open("--S")).close();
    const database = await pair.open("-R-");
    await database.messageService.saveHumanMessage(say("one"));
    const began = performance.now();
    expect(await database.drain()).toEqual({ pending: 1, quarantined: 0 });
    expect(performance.now() - began).toBeLessThan(1_000);
  });
});

describe("status()", () => {
  test.each(["---", "--S", "-RS", "-R-", "P--", "P-S"])("with %s is plain JSON with all its parts", async (letters) => {
    const pair = await TestPair.create();
    const database = await pair.open(letters);
    await database.messageService.saveHumanMessage(say("one"));
    await database.drain();
    const status = await database.status();
    expect(JSON.parse(JSON.stringify(status))).toEqual(status);
    expect(status).toMatchObject({
      flags: { primary: letters.includes("P"), read: letters.includes("R"), shadow: letters.includes("S") },
      sqlite: { reachable: true, journal: { quarantined: 0 }, refused: [] },
      conflicts: [],
      conflictCount: 0,
      reads: { suspended: false },
      pool: { sqlite: { connections: 1 } },
      memory: { rss: expect.any(Number) },
    });
    const { read, write } = status.latency[status.primary];
    expect(write.count).toBe(1);
    expect(write.p99).toBeGreaterThan(0);
    expect(read.p50).toBeGreaterThanOrEqual(0);
    if (letters.includes("S")) expect(status.relay).toMatchObject({ failures: 0, lastError: null });
  });

  test("tells what is owed and since when, and that it is not any more", async () => {
    const pair = await TestPair.create();
    await (await pair.open("--S")).close();
    const began = Date.now();
    const recording = await pair.open("-R-");
    await recording.messageService.saveHumanMessage(say("one"));
    const { sqlite } = await recording.status();
    expect(sqlite).toMatchObject({ reachable: true, journal: { entries: 1, quarantined: 0 } });
    const oldest = sqlite?.reachable === true ? Number(sqlite.journal.oldest) : 0;
    expect(oldest).toBeGreaterThanOrEqual(began - 5);
    expect(oldest).toBeLessThanOrEqual(Date.now() + 5);
    const mirroring = await pair.open("--S");
    await pair.expectConverged(mirroring);
    expect((await recording.status()).sqlite).toMatchObject({ journal: { entries: 0, oldest: null } });
  });
});

test("the first calls, many at once, open the database once", async () => {
  const pair = await TestPair.create();
  const logger = new Recorder();
  const database = pair.database("--S", { logger });
  const ids = await Promise.all(
    Array.from({ length: 20 }, (_, index) => database.messageService.saveHumanMessage(say(`row ${index}`))),
  );
  expect(new Set(ids).size).toBe(20);
  expect(logger.of("armed")).toHaveLength(1);
  await pair.expectConverged(database);
});

test("a write is mirrored without anybody asking, also one of another process without a shadow", async () => {
  const pair = await TestPair.create();
  await pair.open("--S");
  const other = await pair.open("---");
  await other.messageService.saveHumanMessage(say("one"));
  await until("it has been mirrored", async () => (await pair.count("postgres", "messages")) === 1, 5_000);
  await until("and taken off", async () => (await pair.owed("sqlite")) === 0, 5_000);
  await pair.expectEqual();
});

test("write() is one transaction: all or nothing, on either side, and mirrored alike", async () => {
  const pair = await TestPair.create();
  for (const letters of ["--S", "P-S"]) {
    const database = await pair.open(letters);
    const insert = (id: string) =>
      sql`INSERT INTO messages (id, timestamp, sender_type, message_content) VALUES (${id}, 1, 'human', 'x')`;
    await expect(database.write(insert(`${letters} a`), insert(`${letters} a`))).rejects.toMatchObject({
      code: "CONSTRAINT_VIOLATED",
      table: "messages",
    });
    await database.write(insert(`${letters} b`), sql`UPDATE messages SET ai_summary = 's'`);
    expect(await database.read(sql`SELECT id FROM messages WHERE id LIKE ${`${letters}%`}`)).toEqual([
      { id: `${letters} b` },
    ]);
    await pair.expectConverged(database);
    await database.close();
  }
});

test("a process that knows no PostgreSQL tells so when another one has made it primary, and can be closed", async () => {
  const pair = await TestPair.create();
  const alone = await pair.open("---", { env: { DATABASE_URL: "" } });
  await alone.messageService.saveHumanMessage(say("one"));
  await (await pair.open("P--")).close();
  await expect(alone.messageService.saveHumanMessage(say("two"))).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  expect(await alone.status()).toMatchObject({ primary: "sqlite", postgres: null });
  await alone.close();
  await alone.close();
});

test("a logger that throws ends nothing", async () => {
  const pair = await TestPair.create();
  await (await pair.open("---")).close();
  const fail = () => {
    throw new Error("its transport has ended");
  };
  const logger = { debug: fail, info: fail, warn: fail, error: fail };
  const database = await pair.open("--S", { logger, env: { DATABASE_URL: "postgres://postgres@127.0.0.1:1/x" } });
  await until("the relay has failed", async () => ((await database.status()).relay?.failures ?? 0) > 1);
  await database.messageService.saveHumanMessage(say("one"));
  await database.close();
});

test("a statement on PostgreSQL that touches no row is sent once, whatever a trigger makes of it", async () => {
  const pair = await TestPair.create();
  await pair.postgres.transaction({ mode: "write" }, (transaction) =>
    transaction.script(`CREATE TABLE inbox (id TEXT PRIMARY KEY); CREATE TABLE outbox (n BIGSERIAL PRIMARY KEY, id TEXT);
      CREATE FUNCTION redirect() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO outbox (id) VALUES (NEW.id); RETURN NULL; END $$;
      CREATE TRIGGER redirect BEFORE INSERT ON inbox FOR EACH ROW EXECUTE FUNCTION redirect()`),
  );
  const database = await pair.open("P--");
  await database.write(sql`INSERT INTO inbox VALUES ('a')`);
  await database.write(sql`INSERT INTO inbox VALUES ('b')`);
  expect(await pair.rows("postgres", "SELECT id FROM outbox ORDER BY n")).toEqual([{ id: "a" }, { id: "b" }]);
});

describe("a text that is not one statement of its kind is refused, on either side, and nothing happens", () => {
  test.each(["---", "-RS", "P--"])("with %s", async (letters) => {
    const pair = await TestPair.create();
    const database = await pair.open(letters);
    await database.messageService.saveHumanMessage(say("one"));
    const refused = { code: "VALIDATION_FAILED" };
    for (const statement of [
      sql`UPDATE messages SET username = 'x' RETURNING id`,
      sql`-- SELECT\nDELETE FROM messages`,
      sql`PRAGMA user_version = 5`,
      sql`SELECT 1; DELETE FROM messages`,
    ])
      await expect(database.read(statement)).rejects.toMatchObject(refused);
    await expect(database.write(sql`DELETE FROM messages; DELETE FROM queries`)).rejects.toMatchObject(refused);
    expect(await database.read(sql`/* all; */ SELECT username FROM messages; -- that is all;`)).toEqual([
      { username: speaker.username },
    ]);
    await database.write(sql`UPDATE messages SET username = 'a;b'; `);
    expect(await database.read(sql`SELECT username FROM messages WHERE username = 'a;b'`)).toHaveLength(1);
  });
});

test("what a statement computes is of one type on both sides, digits included", async () => {
  const pair = await TestPair.create();
  const database = await pair.open("---");
  const users = ["100000000000000001", "100000000000000002", "100000000000000003"];
  for (const [index, user] of users.entries()) {
    await database.userProfileService.createUserProfile(user, "ada");
    for (let count = 0; count < index * index + 1; count++)
      await database.userProfileService.incrementMessageCount(user);
  }
  const computed = sql`SELECT AVG(message_count) AS mean, AVG(message_count) * 3 AS thrice, SUM(message_count) AS total, MIN(message_count) AS least,
    COUNT(*) AS n, 1.5 AS literal, MAX(username) AS name FROM user_profiles`;
  const before = await database.read(computed);
  expect(before).toEqual([{ mean: 8 / 3, thrice: 8, total: 8, least: 1, n: 3, literal: 1.5, name: "ada" }]);
  await database.close();
  const primary = await pair.open("P-S");
  expect(await primary.read(computed)).toEqual(before);
});
