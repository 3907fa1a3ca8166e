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
/** How often each variant writes and reads back. */
const rounds = 500;

type Message = Readonly<Record<keyof ReturnType<typeof say>, string>>;

interface Reader {
  readonly database: DualDatabase;
  /** Writes, here or elsewhere; the new message's id. */
  write(message: Message): Promise<string>;
}

/**
 * Writes, and reads at once: by id, by a filter, by counting. `speakers` do so side by side, each for itself, where a single answer takes its
 * time. Returns how many answers were stale.
 */
async function staleAnswers(reader: Reader, times = rounds, speakers = 1): Promise<number> {
  const shares = Array.from({ length: speakers }, (_, number) => staleFor(reader, times / speakers, number));
  return (await Promise.all(shares)).reduce((sum, stale) => sum + stale, 0);
}

async function staleFor({ database, write }: Reader, times: number, number: number): Promise<number> {
  const { messageService } = database;
  const from = { ...speaker, userId: `12345678901234567${number}`, channelId: `22345678901234567${number}` };
  let count = await messageService.getMessageCount({ userId: from.userId });
  let stale = 0;
  for (let round = 0; round < times; round++) {
    const id = await write({ ...from, messageContent: `word${round}` });
    count += 1;
    const [byId, [byFilter], counted] = await Promise.all([
      messageService.getMessageById(id),
      messageService.queryMessages({ channelId: from.channelId, limit: 1 }),
      messageService.getMessageCount({ userId: from.userId }),
    ]);
    const fresh = byId?.id === id && byFilter?.id === id && counted === count;
    if (!fresh) stale += 1;
  }
  return stale;
}

const here = (database: DualDatabase): Reader => ({
  database,
  write: (message) => database.messageService.saveHumanMessage(message),
});

test(`${rounds} writes, each read back at once: no stale answer, most of them from PostgreSQL`, async () => {
  const pair = await TestPair.create();
  const database = await pair.open("-RS");
  expect(await staleAnswers(here(database))).toBe(0);
  const { reads } = await database.status();
  expect(reads.fenced + reads.owed + reads.failedOver).toBe(3 * rounds + 1);
  expect(reads.fenced).toBeGreaterThan(1.5 * rounds);
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

test.each(["---", "--S"])(`${rounds} writes of a second process with %s are each seen at once`, async (letters) => {
  const pair = await TestPair.create();
  const database = await pair.open("-RS");
  const other = await RemoteBot.start(pair.env(letters));
  const write = async (message: Message) => String(await other.call("messageService", "saveHumanMessage", message));
  expect(await staleAnswers({ database, write })).toBe(0);
  await pair.expectConverged(database);
});

test(`${rounds} writes straight into the file are each seen at once`, async () => {
  const pair = await TestPair.create();
  const database = await pair.open("-RS");
  const console = await pair.sqlite;
  let last = 0;
  const write = async ({ userId, channelId, messageContent }: Message) => {
    const id = `c${++last}`;
    await console.write([
      sql`INSERT INTO messages (id, timestamp, sender_type, user_id, channel_id, message_content)
        VALUES (${id}, CAST(${last} AS INTEGER), 'human', ${userId}, ${channelId}, ${messageContent})`,
    ]);
    return id;
  };
  expect(await staleAnswers({ database, write })).toBe(0);
  await pair.expectConverged(database);
});

test(`before the old rows have arrived SQLite answers, and misses none of ${rounds} writes`, async () => {
  const pair = await TestPair.create();
  await makeOldBotFile(pair.file, { rows: 300, dirty: false });
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const database = await pair.open("-RS", { reached: (point) => (point === "after-read" ? held : undefined) });
  expect(await database.messageService.getMessageCount()).toBe(300);
  expect(await database.messageService.getMessageById("old-message-7")).toMatchObject({ id: "old-message-7" });
  expect(await staleAnswers(here(database))).toBe(0);
  const owed = 3 * rounds + 3;
  expect((await database.status()).reads).toMatchObject({ fenced: 0, owed });
  release();
  await pair.expectConverged(database);
  expect(await database.messageService.getMessageCount()).toBe(300 + rounds);
  expect((await database.status()).reads).toMatchObject({ fenced: 1, owed });
});

describe("reads without a shadow", () => {
  test(`are answered by SQLite where PostgreSQL is owed something, ${rounds} times, and it is said once`, async () => {
    const pair = await TestPair.create();
    const recorder = new Recorder();
    const database = await pair.open("-R-", { logger: recorder });
    expect(await staleAnswers(here(database))).toBe(0);
    const owed = 3 * rounds;
    expect((await database.status()).reads).toMatchObject({ fenced: 1, owed });
    expect(recorder.of("reads-unshadowed").map(({ level }) => level)).toEqual(["warn"]);
    const mirroring = await pair.open("--S");
    await pair.expectConverged(mirroring);
    expect(await database.messageService.getMessageCount()).toBe(rounds);
    expect((await database.status()).reads).toMatchObject({ fenced: 2, owed });
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

  async function opened(letters = "-RS", more: NodeJS.ProcessEnv = {}) {
    const pair = await TestPair.create({ server: server.url() });
    const url = new URL(pair.url);
    url.port = String(proxy.port);
    const recorder = new Recorder();
    const database = await pair.open(letters, { logger: recorder, env: { DATABASE_URL: url.href, ...more } });
    await database.messageService.saveHumanMessage(say("first"));
    await database.drain();
    return { pair, database, recorder };
  }

  test(`down: none of ${rounds} writes is missed, no call fails, and PostgreSQL answers again`, async () => {
    const { pair, database, recorder } = await opened();
    expect(await database.messageService.getMessageCount()).toBe(1);
    await server.crash();
    for (let index = 0; index < 5; index++) expect(await database.messageService.getMessageCount()).toBe(1);
    const suspended = (await database.status()).reads;
    expect(suspended).toMatchObject({ suspended: true });
    expect(suspended.failedOver).toBe(5);
    expect(recorder.of("reads-suspended")).toHaveLength(1);
    const began = performance.now();
    expect(await staleAnswers(here(database))).toBe(0);
    expect(performance.now() - began).toBeLessThan(20_000);
    await server.restart();
    await pair.expectConverged(database);
    await until("PostgreSQL answers reads again", async () => {
      await database.messageService.getMessageCount();
      return !(await database.status()).reads.suspended;
    });
    expect(recorder.of("reads-resumed")).toHaveLength(1);
    const before = (await database.status()).reads.fenced;
    expect(await database.messageService.getMessageCount()).toBe(rounds + 1);
    expect((await database.status()).reads.fenced).toBe(before + 1);
  });

  test(`frozen: none of ${rounds} writes is missed; the first reads wait for their limit, the others do not`, async () => {
    const { pair, database } = await opened();
    expect(await database.messageService.getMessageCount()).toBe(1);
    server.freeze();
    try {
      const began = performance.now();
      expect(await staleAnswers(here(database))).toBe(0);
      expect(performance.now() - began).toBeLessThan(40_000);
    } finally {
      server.thaw();
    }
    await pair.expectConverged(database);
  });

  test(`down: none of ${rounds} writes of a second process is missed`, async () => {
    const { pair, database } = await opened();
    const other = await RemoteBot.start(pair.env("--S"));
    const write = async (message: Message) => String(await other.call("messageService", "saveHumanMessage", message));
    await server.crash();
    expect(await staleAnswers({ database, write })).toBe(0);
    expect((await database.status()).reads.fenced).toBe(0);
    await server.restart();
    await pair.expectConverged(database);
  });

  test.each([
    ["from SQLite", "owed", "100"],
    ["late, from PostgreSQL", "fenced", "10000"],
  ] as const)(`slow: answers to ${rounds / 2} writes come %s, never stale`, async (_, most, READ_FENCE_MS) => {
    const { pair, database } = await opened("-RS", { READ_FENCE_MS });
    proxy.delay(30);
    expect(await staleAnswers(here(database), rounds / 2, 10)).toBe(0);
    proxy.delay(0);
    expect((await database.status()).reads[most]).toBeGreaterThan(rounds / 2);
    await pair.expectConverged(database);
  });

  test(`cut again and again: none of ${rounds} writes is missed, no call fails`, async () => {
    const { pair, database } = await opened();
    const cutting = setInterval(() => proxy.cut(), 20);
    expect(await staleAnswers(here(database))).toBe(0);
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
