import { describe, expect, test } from "vitest";
import type { DualDatabase } from "../../src/database.js";
import type { Side } from "../../src/engines/engine.js";
import { sql } from "../../src/index.js";
import { TestPair, until } from "../support/pair.js";
import { runAt } from "../support/postgres.js";

/** What becomes of values, each row of the table in DESIGN.md, on the way from the side that took them to the other one and back. */
const ways = [
  ["SQLite", "sqlite", "--S", "P-S"],
  ["PostgreSQL", "postgres", "P-S", "--S"],
] as const;

const other: Readonly<Record<Side, Side>> = { sqlite: "postgres", postgres: "sqlite" };
const user = "123456789012345678";

/** JSON columns by what they parse to, and everything else as it is. */
function readable(record: object | null): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(record ?? {}).map(([name, value]) => [name, typeof value === "string" ? parsed(value) : value]),
  );
}

function parsed(text: string): unknown {
  if (!/^\s*[[{"]/.test(text)) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** JSON as it comes back; what is no JSON comes back as the text that it was. */
const documents: readonly (readonly [name: string, given: unknown, read: unknown])[] = [
  ["an object", { b: [1, null, "two"], a: false }, { b: [1, null, "two"], a: false }],
  ["an array", [], []],
  ["JSON text", ' {"a" : 1.50}', { a: 1.5 }],
  ["an integer of 20 digits", '{"id": 12345678901234567890}', { id: 12345678901234567890n }],
  ["duplicate keys", '{"a": 1, "a": 2}', { a: 2 }],
  ["text that is no JSON", "not {json", "not {json"],
  ["empty text", "", ""],
  ["NUL in JSON", '{"n": "\\u0000"}', { n: "\ufffd" }],
  ["half a surrogate pair", ["\ud800"], ["\ufffd"]],
  ["the wrapper's own form", '{"$dualdb:text": "x"}', { "$dualdb:text": "x" }],
  ["0", 0, "0"],
  ["false", false, "false"],
];

const numbers: readonly (readonly [given: unknown, read: number | null])[] = [
  [0, 0],
  [false, 0],
  [2.5, 3],
  [-2.5, -3],
  ["12", 12],
  [2_147_483_647, 2_147_483_647],
  [null, null],
];

const texts: readonly (readonly [given: string, read: string])[] = [
  ["", ""],
  ["0", "0"],
  ["false", "false"],
  ["a\0b", "a\ufffdb"],
  ["\ud800x", "\ufffdx"],
];

describe.each(ways)("values that a service takes with %s primary", (_, side, first, second) => {
  /** Everything that the services give of what they have been given. */
  async function readAll(database: DualDatabase, ids: readonly string[]) {
    const records = ids.map(async (id) => readable(await database.queryService.getQueryById(id)));
    const [document] = await database.documentService.listDocuments();
    const profile = await database.userProfileService.getUserProfile(user);
    return [...(await Promise.all(records)), readable(document ?? null), readable(profile)];
  }

  test("are the same on the other side, and when they have come back", async () => {
    const pair = await TestPair.create();
    const database = await pair.open(first);
    const { queryService, documentService, userProfileService } = database;
    const question = { userId: user, username: "ada", queryText: "?" };
    const ids: string[] = [];
    const save = async (more: object) => ids.push(await queryService.saveQuery({ ...question, ...more }));
    for (const [, queryResult] of documents) await save({ queryResult });
    for (const [resultCount] of numbers) await save({ resultCount });
    for (const [error] of texts) await save({ error });
    await documentService.createDocument({ title: "", createdBy: user, isPublic: false });
    await userProfileService.getOrCreateUserProfile(user, "ada");
    const changes = { zodiac_sign: "", trust_level: 0, archetype_confidence: 0, feelings_json: { joy: 0 } };
    expect(await userProfileService.updateUserProfile(user, changes)).toBe(true);

    const before = await readAll(database, ids);
    const results = before.slice(0, documents.length).map(({ query_result }) => query_result);
    for (const [index, [name, , read]] of documents.entries())
      if (name !== "an integer of 20 digits") expect([name, results[index]]).toEqual([name, read]);
    const [long] = await pair.rows(side, `SELECT query_result AS json FROM queries WHERE id = '${ids[3]}'`);
    expect(String(long?.json)).toContain("12345678901234567890");
    const rest = before.slice(documents.length);
    expect(rest.slice(0, numbers.length).map(({ result_count }) => result_count)).toEqual(
      numbers.map(([, read]) => read),
    );
    expect(rest.slice(numbers.length, -2).map(({ error }) => error)).toEqual(texts.map(([, read]) => read));
    expect(rest.at(-2)).toMatchObject({ title: "", content: "", is_public: 0 });
    expect(rest.at(-1)).toMatchObject({ ...changes, archetype_confidence: 0, message_count: 0 });
    await pair.expectConverged(database);
    await database.close();

    const there = await pair.open(second);
    expect(await readAll(there, ids)).toEqual(before);
    const [carried] = await pair.rows(other[side], `SELECT query_result AS json FROM queries WHERE id = '${ids[3]}'`);
    expect(String(carried?.json)).toContain("12345678901234567890");
    await there.write(
      sql`UPDATE queries SET ai_summary = 'touched'`,
      sql`UPDATE documents SET created_by_username = 'x'`,
    );
    await pair.expectConverged(there);
    await there.close();

    const back = await pair.open(first);
    const touched = before.map((record) => ({
      ...record,
      ...("ai_summary" in record ? { ai_summary: "touched" } : {}),
      ...("created_by_username" in record ? { created_by_username: "x" } : {}),
    }));
    expect(await readAll(back, ids)).toEqual(touched);
    await pair.expectConverged(back);
  });

  test.each<[string, object]>([
    ["text that is no number", { resultCount: "many" }],
    ["NaN", { resultCount: Number.NaN }],
    ["Infinity", { resultCount: Number.POSITIVE_INFINITY }],
    ["an integer beyond the column's range", { resultCount: 2 ** 31 }],
    ["what JSON cannot say", { queryResult: 5n }],
  ])("never have %s among them", async (_name, more) => {
    const pair = await TestPair.create();
    const { queryService } = await pair.open(first);
    const saving = queryService.saveQuery({ userId: user, username: "ada", queryText: "?", ...more });
    await expect(saving).rejects.toMatchObject({ code: "VALIDATION_FAILED" });
    expect(await pair.count(side, "queries")).toBe(0);
  });

  test("never change a column of a profile that is protected or not there", async () => {
    const pair = await TestPair.create();
    const { userProfileService } = await pair.open(first);
    const profile = await userProfileService.getOrCreateUserProfile(user, "ada");
    for (const column of ["id", "user_id", "created_at", "no_such_column"])
      await expect(userProfileService.updateUserProfile(user, { [column]: "1" })).rejects.toMatchObject({
        code: "VALIDATION_FAILED",
      });
    expect(await userProfileService.getUserProfile(user)).toEqual(profile);
  });
});

/** More than PostgreSQL takes: in an index, in 16 KiB that cannot be compressed, and in a search vector. */
const tooLarge = [
  ["indexed text", { userId: noise(8_000) }],
  ["a search vector", { messageContent: Array.from({ length: 700 }, (_, n) => `w${"0".repeat(1_800)}${n}`).join(" ") }],
] as const;

function noise(bytes: number): string {
  let state = 1;
  const next = () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 16) & 0xff;
  };
  return Buffer.from(Uint8Array.from({ length: bytes }, next)).toString("base64");
}

describe.each(tooLarge)("%s over PostgreSQL's limit", (_, large) => {
  const message = { userId: user, username: "ada", channelId: "1", channelName: "general", messageContent: "x" };

  test("is refused by PostgreSQL when it is primary, typed, and nothing is written", async () => {
    const pair = await TestPair.create();
    const database = await pair.open("P-S");
    const saving = database.messageService.saveHumanMessage({ ...message, ...large });
    await expect(saving).rejects.toMatchObject({ name: "DualDbError", code: "VALUE_REFUSED", retry: false });
    expect(await database.messageService.getMessageCount()).toBe(0);
    await database.messageService.saveHumanMessage(message);
    await pair.expectConverged(database);
  });

  test("stays on SQLite, is set aside after a few tries, stops a flip, and arrives when it has been mended", async () => {
    const pair = await TestPair.create();
    const database = await pair.open("--S");
    const id = await database.messageService.saveHumanMessage({ ...message, ...large });
    await database.messageService.saveHumanMessage(message);
    const isSetAside = async () => (await database.drain({ timeoutMs: 100 })).quarantined === 1;
    await until("it is set aside", isSetAside);
    expect(await database.drain()).toEqual({ pending: 0, quarantined: 1 });
    const { sqlite } = await database.status();
    const { refused } = sqlite?.reachable ? sqlite : { refused: [] };
    expect(refused).toMatchObject([{ table: "messages", key: id }]);
    const attempts = async () => (await pair.rows("sqlite", "SELECT attempts FROM dualdb_journal"))[0]?.attempts;
    const before = await attempts();
    for (let write = 0; write < 5; write++) await database.messageService.saveHumanMessage(message);
    expect(await database.drain()).toEqual({ pending: 0, quarantined: 1 });
    expect(await attempts()).toBe(before);
    await expect(pair.open("P--")).rejects.toMatchObject({ code: "FLIP_REFUSED" });
    await database.write(sql`UPDATE messages SET user_id = '1', message_content = 'mended' WHERE id = ${id}`);
    await pair.expectConverged(database);
    expect(await pair.count("postgres", "messages")).toBe(7);
  });
});

describe("old rows", () => {
  test("with 0, '' and false have them on PostgreSQL and when they have come back", async () => {
    const pair = await TestPair.create();
    await (await pair.open("---")).close();
    const old = [
      `INSERT INTO queries (id, timestamp, user_id, username, query_text, result_count, execution_time_ms, error, ai_summary, created_at)
       VALUES ('q', 0, '', '', '', 0, '0', '', '0', 0)`,
      "INSERT INTO documents (id, title, content, created_by, is_public, created_at) VALUES ('d', '', '', '', 0, 0)",
      `INSERT INTO user_profiles (id, user_id, username, first_seen_at, last_interaction_at, message_count, archetype_confidence, zodiac_sign)
       VALUES ('p', '', '', 0, 0, 0, 0, '')`,
    ];
    await (await pair.sqlite).transaction({ mode: "write" }, (transaction) => transaction.script(old.join(";")));
    const query = {
      timestamp: 0,
      user_id: "",
      username: "",
      query_text: "",
      result_count: 0,
      execution_time_ms: 0,
      error: "",
    };
    const document = { title: "", content: "", created_by: "", is_public: 0, created_at: 0 };
    const profile = { user_id: "", username: "", message_count: 0, archetype_confidence: 0, zodiac_sign: "" };
    const expectThem = async ({ queryService, documentService, userProfileService }: DualDatabase) => {
      expect(await queryService.getQueryById("q")).toMatchObject({ ...query, ai_summary: "0", created_at: 0 });
      expect(await documentService.getDocument("d")).toMatchObject(document);
      expect(await userProfileService.getUserProfile("")).toMatchObject({ ...profile, first_seen_at: 0 });
    };
    for (const letters of ["--S", "P-S"]) {
      const database = await pair.open(letters);
      await expectThem(database);
      await pair.expectConverged(database);
      await database.close();
    }
    expect(await pair.rows("postgres", "SELECT is_public = FALSE AS no, title = '' AS empty FROM documents")).toEqual([
      { no: 1, empty: 1 },
    ]);
    await runAt(pair.url, "UPDATE queries SET translated_sql = ''; UPDATE documents SET metadata = NULL");
    const back = await pair.open("--S");
    await expectThem(back);
    await pair.expectConverged(back);
  });

  test.each([
    ["an infinite REAL in an INTEGER column", "result_count", "9e999"],
    ["a negative infinite one", "result_count", "-9e999"],
    ["an infinite REAL in a BIGINT column", "timestamp", "9e999"],
  ])("with %s are refused with a finding, and arrive when they have been mended", async (_, column, value) => {
    const pair = await TestPair.create();
    await (await pair.open("---")).close();
    const columns = "(id, timestamp, user_id, username, query_text, result_count)";
    const values = column === "timestamp" ? `${value}, '1', 'u', 'q', 1` : `1, '1', 'u', 'q', ${value}`;
    const text = `INSERT INTO queries ${columns} VALUES ('old', ${values}), ('fine', 1, '1', 'u', 'q', 1)`;
    await (await pair.sqlite).transaction({ mode: "write" }, (transaction) => transaction.script(text));
    const database = await pair.open("--S");
    const isSetAside = async () => (await database.drain({ timeoutMs: 100 })).quarantined === 1;
    await until("it is set aside", isSetAside);
    const { sqlite } = await database.status();
    const { refused } = sqlite?.reachable ? sqlite : { refused: [] };
    expect(refused).toMatchObject([{ table: "queries", key: "old", lastError: expect.stringContaining(column) }]);
    expect(await pair.rows("postgres", "SELECT id FROM queries")).toEqual([{ id: "fine" }]);
    await database.write(
      sql`UPDATE queries SET timestamp = CAST(1 AS BIGINT), result_count = CAST(2 AS INTEGER) WHERE id = 'old'`,
    );
    await pair.expectConverged(database);
  });

  test("with a search vector over PostgreSQL's limit are set aside, and hold up nobody", async () => {
    const pair = await TestPair.create();
    await (await pair.open("---")).close();
    const words = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 700) SELECT group_concat('w' || hex(zeroblob(900)) || i, ' ') FROM n`;
    const columns = "(id, timestamp, sender_type, message_content)";
    const text = `INSERT INTO messages ${columns} VALUES ('huge', 1, 'human', (${words})), ('fine', 1, 'human', 'x')`;
    await (await pair.sqlite).transaction({ mode: "write" }, (transaction) => transaction.script(text));
    const database = await pair.open("--S");
    const isSetAside = async () => (await database.drain({ timeoutMs: 100 })).quarantined === 1;
    await until("it is set aside", isSetAside);
    expect(await pair.rows("postgres", "SELECT id FROM messages")).toEqual([{ id: "fine" }]);
    await database.write(sql`DELETE FROM messages WHERE id = 'huge'`);
    await pair.expectConverged(database);
  });
});
