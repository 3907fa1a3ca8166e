import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { DualDatabase } from "../../src/database.js";
import { sql } from "../../src/index.js";
import { makeOldBotFile } from "../support/old-bot.js";
import { speaker, TestPair, until } from "../support/pair.js";
import { type PostgresServer, startPostgres } from "../support/postgres.js";
import { type FaultProxy, startProxy } from "../support/proxy.js";
import { Recorder } from "../support/recorder.js";
import { RemoteBot } from "../support/remote.js";

const say = (messageContent: string) => ({ ...speaker, messageContent });

interface Reader {
  readonly database: DualDatabase;
  /** Writes, here or elsewhere; the new message's id. */
  write(text: string): Promise<string>;
}

/** Writes, and reads at once: by id, by a filter, by counting, in turn. Returns how many answers were stale. */
async function staleAnswers({ database, write }: Reader, rounds: number): Promise<number> {
  let count = await database.messageService.getMessageCount();
  let stale = 0;
  for (let round = 0; round < rounds; round++) {
    const id = await write(`word${round}`);
    count += 1;
    const [byId, [byFilter], counted] = await Promise.all([
      database.messageService.getMessageById(id),
      database.messageService.queryMessages({ channelId: speaker.channelId, limit: 1 }),
      database.messageService.getMessageCount(),
    ]);
    const fresh = byId?.id === id && byFilter?.id === id && counted === count;
    if (!fresh) stale += 1;
  }
  return stale;
}

const here = (database: DualDatabase): Reader => ({
  database,
  write: (text) => database.messageService.saveHumanMessage(say(text)),
});

test("500 writes, each read back at once: no stale answer, most of them from PostgreSQL", async () => {
  const pair = await TestPair.create();
  const database = await pair.open("-RS");
  expect(await staleAnswers(here(database), 500)).toBe(0);
  const { reads } = await database.status();
  expect(reads.fenced + reads.owed + reads.failedOver).toBe(1_501);
  expect(reads.fenced).toBeGreaterThan(750);
  await pair.expectConverged(database);
});

test("updates and deletes are seen at once, too", async () => {
  const pair = await TestPair.create();
  const database = await pair.open("-RS");
  for (let round = 0; round < 50; round++) {
    const doc = await database.documentService.createDocument({ title: "t", createdBy: speaker.userId });
    await database.documentService.updateDocumentContent(doc.id, `content ${round}`);
    expect(await database.documentService.getDocument(doc.id)).toMatchObject({ content: `content ${round}` });
    await database.documentService.removeCollaborator(doc.id, speaker.userId);
    expect(await database.documentService.getDocumentCollaborators(doc.id)).toEqual([]);
    await database.documentService.deleteDocument(doc.id);
    expect(await database.documentService.getDocument(doc.id)).toBeNull();
    expect(await database.documentService.getDocumentCount()).toBe(0);
  }
  await pair.expectConverged(database);
});

test.each(["---", "--S"])("what a second process with %s wrote is seen at once", async (letters) => {
  const pair = await TestPair.create();
  const database = await pair.open("-RS");
  const other = await RemoteBot.start(pair.env(letters));
  const write = (messageContent: string) => other.call("messageService", "saveHumanMessage", say(messageContent));
  const reader: Reader = { database, write: async (text) => String(await write(text)) };
  expect(await staleAnswers(reader, 100)).toBe(0);
  await pair.expectConverged(database);
});

test("what somebody wrote straight into the file is seen at once", async () => {
  const pair = await TestPair.create();
  const database = await pair.open("-RS");
  const console = await pair.sqlite;
  for (let round = 1; round <= 50; round++) {
    await console.write([
      sql`INSERT INTO messages (id, timestamp, sender_type, message_content) VALUES (${`c${round}`}, 1, 'human', 'x')`,
    ]);
    expect(await database.messageService.getMessageCount()).toBe(round);
  }
  await pair.expectConverged(database);
});

test("before the old rows have arrived SQLite answers", async () => {
  const pair = await TestPair.create();
  await makeOldBotFile(pair.file, { rows: 300, dirty: false });
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const database = await pair.open("-RS", { reached: (point) => (point === "after-read" ? held : undefined) });
  expect(await database.messageService.getMessageCount()).toBe(300);
  expect(await database.messageService.getMessageById("old-message-7")).toMatchObject({ id: "old-message-7" });
  expect((await database.status()).reads).toMatchObject({ fenced: 0, owed: 2 });
  release();
  await pair.expectConverged(database);
  expect(await database.messageService.getMessageCount()).toBe(300);
  expect((await database.status()).reads).toMatchObject({ fenced: 1, owed: 2 });
});

describe("reads without a shadow", () => {
  test("are answered by SQLite where PostgreSQL is owed something, and it is said once", async () => {
    const pair = await TestPair.create();
    const recorder = new Recorder();
    const database = await pair.open("-R-", { logger: recorder });
    expect(await staleAnswers(here(database), 20)).toBe(0);
    expect((await database.status()).reads).toMatchObject({ fenced: 1, owed: 60 });
    expect(recorder.of("reads-unshadowed").map(({ level }) => level)).toEqual(["warn"]);
    const mirroring = await pair.open("--S");
    await pair.expectConverged(mirroring);
    expect(await database.messageService.getMessageCount()).toBe(20);
    expect((await database.status()).reads).toMatchObject({ fenced: 2, owed: 60 });
    expect(recorder.of("reads-unshadowed")).toHaveLength(1);
  });

  test("are not warned of where a shadow brings PostgreSQL up to date", async () => {
    const pair = await TestPair.create();
    const recorder = new Recorder();
    const database = await pair.open("-RS", { logger: recorder });
    expect(await staleAnswers(here(database), 5)).toBe(0);
    expect(recorder.of("reads-unshadowed")).toEqual([]);
  });
});

describe("while PostgreSQL is in trouble", () => {
  let server: PostgresServer;
  let proxy: FaultProxy;
  beforeAll(async () => {
    server = await startPostgres();
    proxy = await startProxy(server.port);
  });
  afterAll(async () => {
    await proxy.close();
    await server.stop();
  });

  async function opened(letters = "-RS") {
    const pair = await TestPair.create({ server: server.url() });
    const url = new URL(pair.url);
    url.port = String(proxy.port);
    const recorder = new Recorder();
    const database = await pair.open(letters, { logger: recorder, env: { DATABASE_URL: url.href } });
    await database.messageService.saveHumanMessage(say("first"));
    await database.drain();
    return { pair, database, recorder };
  }

  test("down: no stale answer and no failure, and it resumes", async () => {
    const { pair, database, recorder } = await opened();
    expect(await database.messageService.getMessageCount()).toBe(1);
    await server.crash();
    for (let index = 0; index < 5; index++) expect(await database.messageService.getMessageCount()).toBe(1);
    const suspended = (await database.status()).reads;
    expect(suspended).toMatchObject({ suspended: true });
    expect(suspended.failedOver).toBe(5);
    expect(recorder.of("reads-suspended")).toHaveLength(1);
    const began = performance.now();
    expect(await staleAnswers(here(database), 50)).toBe(0);
    expect(performance.now() - began).toBeLessThan(5_000);
    await server.restart();
    await pair.expectConverged(database);
    await until("PostgreSQL answers reads again", async () => {
      await database.messageService.getMessageCount();
      return !(await database.status()).reads.suspended;
    });
    expect(recorder.of("reads-resumed")).toHaveLength(1);
    const before = (await database.status()).reads.fenced;
    expect(await database.messageService.getMessageCount()).toBe(51);
    expect((await database.status()).reads.fenced).toBe(before + 1);
  });

  test("frozen: the first reads wait for their limit, the others do not", async () => {
    const { pair, database } = await opened();
    expect(await database.messageService.getMessageCount()).toBe(1);
    server.freeze();
    try {
      const began = performance.now();
      expect(await staleAnswers(here(database), 20)).toBe(0);
      for (let index = 0; index < 20; index++) expect(await database.messageService.getMessageCount()).toBe(21);
      expect(performance.now() - began).toBeLessThan(6_000);
    } finally {
      server.thaw();
    }
    await pair.expectConverged(database);
  });

  test("slow: answers come late or from SQLite, never stale", async () => {
    const { pair, database } = await opened();
    proxy.delay(30);
    expect(await staleAnswers(here(database), 20)).toBe(0);
    proxy.delay(0);
    await pair.expectConverged(database);
  });

  test("cut again and again: no stale answer, no failure", async () => {
    const { pair, database } = await opened();
    const cutting = setInterval(() => proxy.cut(), 20);
    expect(await staleAnswers(here(database), 150)).toBe(0);
    clearInterval(cutting);
    await pair.expectConverged(database);
  });

  test("a PostgreSQL that is primary has nobody to answer for it: its error is typed", async () => {
    const { pair, database } = await opened("P-S");
    await server.crash();
    const began = performance.now();
    await expect(database.messageService.getMessageCount()).rejects.toMatchObject({ code: "DATABASE_UNAVAILABLE" });
    await expect(database.messageService.saveHumanMessage(say("no"))).rejects.toMatchObject({
      code: "DATABASE_UNAVAILABLE",
    });
    expect(performance.now() - began).toBeLessThan(2_000);
    await server.restart();
    expect(await database.messageService.getMessageCount()).toBe(1);
    await pair.expectConverged(database);
  });
});
