import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import pg from "pg";
import { from } from "pg-copy-streams";
import { describe, expect, onTestFinished, test } from "vitest";
import type { DualDatabase } from "../../src/database.js";
import { sql } from "../../src/index.js";
import { watchJournals } from "../support/journal-trail.js";
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
    const trail = await watchJournals(pair);
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
    const written = await trail.sidesOf("messages");
    expect(ids.filter((id) => written.get(id)?.size !== 1)).toEqual([]);
    expect(new Set(ids.map((id) => [...(written.get(id) ?? [])][0]))).toEqual(new Set(["sqlite", "postgres"]));
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

/** Rows in COPY's text format, sent as a console does. */
async function copyIn(console: pg.Client, text: string, rows: string): Promise<void> {
  const stream = console.query(from(text));
  await pipeline(Readable.from([rows]), stream);
}

describe("a console at the side that is not primary", () => {
  async function client(url: string): Promise<pg.Client> {
    const connected = new pg.Client({ connectionString: url });
    await connected.connect();
    onTestFinished(() => connected.end());
    return connected;
  }

  /** A row in every table, parents first. */
  const insertsOf = (id: string, user: string) => [
    `INSERT INTO messages (id, timestamp, sender_type, message_content) VALUES ('${id}', 1, 'human', 'x')`,
    `INSERT INTO queries (id, timestamp, user_id, username, query_text) VALUES ('${id}', 1, '1', 'u', 't')`,
    `INSERT INTO documents (id, title, created_by) VALUES ('${id}', 't', '1')`,
    `INSERT INTO document_collaborators (id, document_id, user_id) VALUES ('${id}', 'there', '${user}')`,
    `INSERT INTO user_profiles (id, user_id, username, first_seen_at, last_interaction_at) VALUES ('${id}', '${user}', 'u', 1, 1)`,
    `INSERT INTO user_analysis_history (id, user_id, analysis_timestamp) VALUES ('${id}', '1', 1)`,
  ];
  const inserts = insertsOf("c", "2");
  const [insert = ""] = inserts;
  const tables = inserts.map((text) => text.split(" ")[2] ?? "");
  const onEveryTable = tables.flatMap((table) => {
    const time = table === "document_collaborators" ? "joined_at" : "created_at";
    // Its collaborators would keep a document from getting another key.
    const name = table === "documents" ? "title" : "id";
    return [
      `UPDATE ${table} SET ${time} = 1`,
      `UPDATE ${table} SET ${name} = 'other' WHERE id = 'there'`,
      `DELETE FROM ${table}`,
      `DELETE FROM ${table} WHERE id = 'there'`,
      `INSERT INTO ${table} SELECT * FROM ${table} WHERE id = 'there' ON CONFLICT (id) DO UPDATE SET ${time} = 2`,
    ];
  });

  async function filled(letters: string): Promise<TestPair> {
    const pair = await TestPair.create();
    const database = await pair.open(letters);
    await database.write(...insertsOf("there", "1").map((text) => sql([text])));
    await pair.expectConverged(database);
    return pair;
  }

  test("is refused by PostgreSQL, whatever it does to whichever table", async () => {
    const pair = await filled("--S");
    const console = await client(pair.url);
    const refused = { code: "DD001", message: expect.stringContaining("NOT_PRIMARY") };
    for (const text of [
      ...inserts,
      ...onEveryTable,
      ...tables.map((table) => `TRUNCATE ${table} CASCADE`),
      "TRUNCATE messages, queries",
      "UPDATE messages SET message_content = 'x' FROM queries WHERE queries.id = messages.id",
      "DELETE FROM messages USING queries WHERE queries.id = messages.id",
      `WITH gone AS (DELETE FROM queries RETURNING id) UPDATE messages SET ai_summary = gone.id FROM gone WHERE messages.id = gone.id`,
      `WITH made AS (${insert} RETURNING id) SELECT id FROM made`,
      `DO $$ BEGIN ${insert}; END $$`,
      "UPDATE messages SET message_content = 'x' WHERE id = 'nobody'",
    ])
      await expect([
        text,
        await console.query(text).then(
          () => null,
          (error: unknown) => error,
        ),
      ]).toEqual([text, expect.objectContaining(refused)]);
    for (const [index, table] of tables.entries()) {
      const columns = /\((.*?)\)/.exec(inserts[index] ?? "")?.[1] ?? "";
      const values = /VALUES \((.*?)\)/.exec(inserts[index] ?? "")?.[1] ?? "";
      const line = values.replaceAll(/'|(?<=,) /g, "").replaceAll(",", "\t");
      await expect(copyIn(console, `COPY ${table} (${columns}) FROM STDIN`, `${line}\n`)).rejects.toMatchObject(
        refused,
      );
    }
    await pair.expectEqual();
  });

  test("is refused by SQLite, whatever it does to whichever table", async () => {
    const pair = await filled("P-S");
    const console = await pair.sqlite;
    for (const texts of [
      ...inserts.map((text) => [text]),
      ...inserts.map((text) => [text.replace("INSERT", "INSERT OR REPLACE")]),
      ...onEveryTable.map((text) => [text]),
      ...tables.flatMap((table) =>
        ["REPLACE", "IGNORE", "ABORT", "FAIL", "ROLLBACK"].map((policy) => [
          `UPDATE OR ${policy} ${table} SET id = 'other' WHERE id = 'there'`,
        ]),
      ),
      [insert.replace("INSERT", "INSERT OR IGNORE")],
      [insert.replace("INSERT", "REPLACE")],
      ["UPDATE messages SET message_content = q.query_text FROM queries AS q WHERE q.id = messages.id"],
      ["DELETE FROM messages WHERE id IN (SELECT id FROM queries)"],
      ["SELECT 1", ...inserts],
      ["DELETE FROM document_collaborators", "DELETE FROM documents"],
    ]) {
      const written = console.write(texts.map((text) => ({ sql: text, text, values: [] })));
      expect([
        texts,
        await written.then(
          () => null,
          (error: unknown) => error,
        ),
      ]).toEqual([texts, expect.objectContaining({ code: "NOT_PRIMARY" })]);
    }
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
