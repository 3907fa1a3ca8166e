import pg from "pg";
import { describe, expect, onTestFinished, test } from "vitest";
import type { DualDatabase } from "../../src/database.js";
import { sql } from "../../src/index.js";
import { speaker, TestPair, until } from "../support/pair.js";
import { Recorder } from "../support/recorder.js";
import { RemoteBot } from "../support/remote.js";

const say = (messageContent: string) => ({ ...speaker, messageContent });

/** Calls of every kind without a pause, until told to stop; every one must succeed. */
class Traffic {
  readonly ids: string[] = [];
  readonly #database: DualDatabase;
  readonly #running: Promise<void>;
  #stopping = false;

  constructor(database: DualDatabase) {
    this.#database = database;
    this.#running = this.#run();
    this.#running.catch(() => undefined);
  }

  async stop(): Promise<string[]> {
    this.#stopping = true;
    await this.#running;
    return this.ids;
  }

  async #run(): Promise<void> {
    const { messageService, documentService, userProfileService } = this.#database;
    while (!this.#stopping) {
      this.ids.push(await messageService.saveHumanMessage(say(`row ${this.ids.length}`)));
      const doc = await documentService.createDocument({ title: "t", createdBy: speaker.userId });
      expect(await documentService.updateDocumentTitle(doc.id, "changed")).toBe(true);
      expect(await documentService.getDocument(doc.id)).toMatchObject({ title: "changed" });
      expect(await documentService.deleteDocument(doc.id)).toBe(true);
      expect(await documentService.deleteDocument("nobody")).toBe(false);
      await userProfileService.getOrCreateUserProfile(speaker.userId, "ada");
      await userProfileService.incrementMessageCount(speaker.userId);
      await new Promise(setImmediate);
    }
  }
}

async function countOf(database: DualDatabase): Promise<number> {
  const profile = await database.userProfileService.getUserProfile(speaker.userId);
  return Number(profile?.message_count);
}

describe.each([
  ["--S", "P-S"],
  ["-RS", "PRS"],
  ["---", "P--"],
  ["P-S", "--S"],
  ["P-S", "-RS"],
  ["P--", "---"],
])("a rolling deploy from %s to %s", (before, after) => {
  test("loses nothing, fails no call, and writes to one primary at a time", async () => {
    const pair = await TestPair.create();
    const recorder = new Recorder();
    const old = await pair.open(before, { logger: recorder });
    const traffic = new Traffic(old);
    await until("the old process is at work", () => traffic.ids.length > 5);
    const fresh = await pair.open(after);
    const second = new Traffic(fresh);
    const atFlip = traffic.ids.length;
    await until("both are at work", () => traffic.ids.length > atFlip + 5 && second.ids.length > 5);
    const ids = [...(await traffic.stop()), ...(await second.stop())];

    const primary = after.startsWith("P") ? "postgres" : "sqlite";
    expect(await old.status()).toMatchObject({ primary });
    expect(recorder.of("primary-moved").map(({ level }) => level)).toEqual(["warn"]);
    await old.close();
    await fresh.close();
    const last = await pair.open(after.startsWith("P") ? "P-S" : "--S");
    const found = await last.read(sql`SELECT id FROM messages`);
    expect(new Set(found.map(({ id }) => id))).toEqual(new Set(ids));
    expect(await countOf(last)).toBe(ids.length);
    await pair.expectConverged(last);
  });
});

describe("the process with the old flags", () => {
  /** A process that has not noticed yet that the primary moved. */
  async function left(before: string, after: string) {
    const pair = await TestPair.create();
    const old = await pair.open(before);
    const id = await old.messageService.saveHumanMessage(say("one"));
    const doc = await old.documentService.createDocument({ title: "t", createdBy: speaker.userId });
    const fresh = await pair.open(after);
    const changed = await fresh.documentService.updateDocumentTitle(doc.id, "changed elsewhere");
    expect(changed).toBe(true);
    await fresh.close();
    return { pair, old, id, doc };
  }

  describe.each([
    ["---", "P--"],
    ["-RS", "P--"],
    ["P--", "---"],
    ["PRS", "---"],
  ])("%s beside %s", (before, after) => {
    const side = after.startsWith("P") ? "postgres" : "sqlite";

    test("reads what is true now", async () => {
      const { old, doc } = await left(before, after);
      expect(await old.documentService.getDocument(doc.id)).toMatchObject({ title: "changed elsewhere" });
      expect((await old.status()).primary).toBe(side);
    });

    test("is not told that a row does not exist by the side that lags behind", async () => {
      const { pair, old } = await left(before, after);
      const other = await pair.open(after);
      const late = await other.documentService.createDocument({ title: "late", createdBy: speaker.userId });
      expect(await old.documentService.deleteDocument(late.id)).toBe(true);
      expect(await old.documentService.deleteDocument("nobody")).toBe(false);
    });

    test("writes several statements all on the new primary", async () => {
      const { pair, old, id } = await left(before, after);
      const insert = sql`INSERT INTO queries (id, timestamp, user_id, username, query_text) VALUES ('q', 1, '1', 'u', 't')`;
      await old.write(sql`UPDATE messages SET ai_summary = 's' WHERE id = ${id}`, insert);
      expect(await pair.rows(side, "SELECT id FROM queries")).toEqual([{ id: "q" }]);
      const [message] = await pair.rows(side, `SELECT ai_summary FROM messages WHERE id = '${id}'`);
      expect(message).toEqual({ ai_summary: "s" });
    });
  });
});

test("a process of its own with old flags goes on over both flips", async () => {
  const pair = await TestPair.create();
  const old = await RemoteBot.start(pair.env("--S"));
  const ids = await old.many(50, "before");
  const during = old.many(200, "during");
  const primary = await pair.open("P-S");
  ids.push(...(await during));
  const back = old.many(200, "back");
  const last = await pair.open("--S");
  ids.push(...(await back));
  await primary.close();
  expect(await last.messageService.getMessageCount()).toBe(450);
  expect(new Set((await last.read(sql`SELECT id FROM messages`)).map(({ id }) => id))).toEqual(new Set(ids));
  await pair.expectConverged(last);
});

describe("a console at the side that is not primary", () => {
  async function client(url: string): Promise<pg.Client> {
    const connected = new pg.Client({ connectionString: url });
    await connected.connect();
    onTestFinished(() => connected.end());
    return connected;
  }

  const insert = "INSERT INTO messages (id, timestamp, sender_type, message_content) VALUES ('c', 1, 'human', 'x')";

  test("is refused by PostgreSQL, whatever it does", async () => {
    const pair = await TestPair.create();
    const database = await pair.open("--S");
    await database.messageService.saveHumanMessage(say("one"));
    await database.drain();
    const console = await client(pair.url);
    const refused = { code: "DD001", message: expect.stringContaining("NOT_PRIMARY") };
    for (const text of [
      insert,
      "UPDATE messages SET message_content = 'x'",
      "DELETE FROM messages",
      "TRUNCATE messages",
      "TRUNCATE documents CASCADE",
      "INSERT INTO user_profiles (id, user_id, username, first_seen_at, last_interaction_at) VALUES ('p', '1', 'u', 1, 1)",
    ])
      await expect(console.query(text)).rejects.toMatchObject(refused);
    await pair.expectEqual();
  });

  test("is refused by SQLite, whatever it does", async () => {
    const pair = await TestPair.create();
    const database = await pair.open("P-S");
    await database.messageService.saveHumanMessage(say("one"));
    await database.drain();
    const console = await pair.sqlite;
    for (const text of [
      insert,
      insert.replace("INSERT", "INSERT OR REPLACE"),
      insert.replace("INSERT", "INSERT OR IGNORE"),
      "UPDATE messages SET message_content = 'x'",
      "DELETE FROM messages",
    ])
      await expect(console.write([{ sql: text, text, values: [] }])).rejects.toMatchObject({ code: "NOT_PRIMARY" });
    await pair.expectEqual();
  });

  test.each(["REPEATABLE READ", "SERIALIZABLE"])(
    "is refused in a %s transaction from before the flip",
    async (level) => {
      const pair = await TestPair.create();
      await (await pair.open("P-S")).close();
      const console = await client(pair.url);
      await console.query(`BEGIN ISOLATION LEVEL ${level}`);
      await console.query("SELECT COUNT(*) FROM messages");
      const database = await pair.open("--S");
      await expect(console.query(insert)).rejects.toMatchObject({ code: expect.stringMatching(/^(DD001|40001)$/) });
      await console.query("ROLLBACK");
      await pair.expectConverged(database);
    },
  );

  test.each(["READ COMMITTED", "REPEATABLE READ"])(
    "that wrote in a %s transaction before the flip is waited for",
    async (level) => {
      const pair = await TestPair.create();
      await (await pair.open("P-S")).close();
      const console = await client(pair.url);
      await console.query(`BEGIN ISOLATION LEVEL ${level}`);
      await console.query(insert);
      const opening = pair.open("--S");
      await until("the flip waits for the tables", async () => {
        const waiting = await pair.rows("postgres", "SELECT COUNT(*) AS n FROM pg_locks WHERE NOT granted");
        return Number(waiting[0]?.n) > 0;
      });
      await console.query("COMMIT");
      const database = await opening;
      expect(await database.messageService.getMessageById("c")).not.toBeNull();
      await pair.expectConverged(database);
    },
  );

  test("at the primary is mirrored like everybody", async () => {
    const pair = await TestPair.create();
    const forward = await pair.open("--S");
    await (await pair.sqlite).write([{ sql: insert, text: insert, values: [] }]);
    await pair.expectConverged(forward);
    const backward = await pair.open("P-S");
    await (await client(pair.url)).query("UPDATE messages SET message_content = 'by hand'");
    await pair.expectConverged(backward);
    expect(await pair.rows("sqlite", "SELECT message_content AS t FROM messages")).toEqual([{ t: "by hand" }]);
  });
});
