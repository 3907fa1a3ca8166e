import { describe, expect, test } from "vitest";
import type { DualDatabase } from "../../src/database.js";
import { sql } from "../../src/index.js";
import { dirtyIds, makeOldBotFile } from "../support/old-bot.js";
import { speaker, TestPair, until } from "../support/pair.js";
import { runAt } from "../support/postgres.js";
import { Recorder } from "../support/recorder.js";

const fields = "id, timestamp, sender_type, message_content, metadata";

async function withOldBot(rows = 20, dirty = true): Promise<TestPair> {
  const pair = await TestPair.create();
  await makeOldBotFile(pair.file, { rows, dirty });
  return pair;
}

describe("the rows of a bot that had never heard of this package", () => {
  test("all arrive, in every table, and both sides give the same answers", async () => {
    const pair = await withOldBot(300, false);
    const database = await pair.open("--S");
    await pair.expectConverged(database);
    const before = await answers(database);
    await database.close();
    const primary = await pair.open("P-S");
    expect(await answers(primary)).toEqual(before);
    await pair.expectConverged(primary);
  });

  test("arrive where both sides are armed by a flip, and where PostgreSQL already has rows of its own", async () => {
    const pair = await withOldBot(30, false);
    const text = `INSERT INTO messages (${fields}) VALUES ('only-here', 1, 'human', 'x', NULL), ('old-message-3', 1, 'human', 'other', NULL)`;
    await pair.postgres.transaction({ mode: "write" }, (transaction) => transaction.script(text));
    const database = await pair.open("P--");
    expect(await database.messageService.getMessageCount()).toBe(30);
    expect(await database.messageService.getMessageById("only-here")).toBeNull();
    expect(await database.messageService.getMessageById("old-message-3")).toMatchObject({
      message_content: "running message number 3",
    });
    await pair.expectEqual();
  });

  test("arrive over several starts and crashes in between", async () => {
    // More than one pass takes.
    const pair = await withOldBot(6_000, false);
    for (const point of ["after-read", "after-apply", "before-acknowledge"] as const) {
      let deaths = 0;
      const dying = await pair.open("--S", {
        reached: (at) => {
          if (at !== point) return;
          deaths++;
          throw new Error("died");
        },
      });
      await until("it has died", () => deaths > 0);
      await dying.close();
    }
    await pair.expectConverged(await pair.open("--S"));
  });
});

/** Everything that the services' reads give of the old bot's rows, JSON columns parsed. */
async function answers({ messageService, queryService, documentService, userProfileService }: DualDatabase) {
  const user = "100000000000000001";
  const found = {
    messages: await messageService.queryMessages({ limit: 1_000 }),
    found: await messageService.queryMessages({ searchText: "number 7", userId: "100000000000000002" }),
    queries: await queryService.getRecentQueries({}),
    documents: await documentService.listDocuments({}),
    profiles: await userProfileService.getAllUserProfiles(),
    history: await userProfileService.getAnalysisHistory(user),
    counts: [await messageService.getMessageCount({ userId: user }), await documentService.getDocumentCount({})],
  };
  const parsed = (_: string, value: unknown) =>
    typeof value === "string" && /^[[{]/.test(value) ? JSON.parse(value) : value;
  return JSON.parse(JSON.stringify(found), parsed) as typeof found;
}

/** A row that PostgreSQL does not take as it is: what is in SQLite → what PostgreSQL gets, and what is said about it. */
interface DirtyRow {
  readonly name: string;
  /** SQL literals. */
  readonly content?: string;
  readonly metadata?: string;
  readonly column: "message_content" | "metadata" | "timestamp";
  readonly timestamp?: string;
  readonly reason: RegExp;
  readonly action: "altered" | "wrapped" | "refused";
  /** What the services give of the column, on either side. */
  readonly given?: unknown;
}

const carried: readonly DirtyRow[] = [
  {
    name: "text that is no JSON",
    metadata: "'not json at all'",
    column: "metadata",
    reason: /jsonb cannot hold/,
    action: "wrapped",
    given: "not json at all",
  },
  {
    name: "empty text in a JSON column",
    metadata: "''",
    column: "metadata",
    reason: /jsonb cannot hold/,
    action: "wrapped",
    given: "",
  },
  {
    name: "single quotes for JSON",
    metadata: `'{''a'': 1}'`,
    column: "metadata",
    reason: /jsonb cannot hold/,
    action: "wrapped",
    given: "{'a': 1}",
  },
  {
    name: "a document in the wrapper's own form",
    metadata: `'{"$dualdb:text": "x"}'`,
    column: "metadata",
    reason: /jsonb cannot hold/,
    action: "wrapped",
    given: '{"$dualdb:text": "x"}',
  },
  {
    name: "a text with NUL",
    content: "'before' || char(0) || 'after'",
    column: "message_content",
    reason: /NUL/,
    action: "altered",
  },
  {
    name: "text that is not UTF-8",
    content: "CAST(x'68e96c6c6f' AS TEXT)",
    column: "message_content",
    reason: /not UTF-8/,
    action: "altered",
  },
  {
    name: "bytes in a column of text",
    content: "x'68656c6c6f'",
    column: "message_content",
    reason: /bytes/,
    action: "altered",
    given: "hello",
  },
  {
    name: "duplicate keys",
    metadata: `'{"a": 1, "a": 2}'`,
    column: "metadata",
    reason: /duplicate keys/,
    action: "altered",
  },
  {
    name: "half a surrogate pair in JSON",
    metadata: `'{"half": "\\ud800"}'`,
    column: "metadata",
    reason: /surrogate/,
    action: "altered",
  },
  {
    name: "NUL in JSON",
    metadata: `'{"nul": "\\u0000"}'`,
    column: "metadata",
    reason: /NUL/,
    action: "altered",
  },
  { name: "a fraction", timestamp: "1700000000000.5", column: "timestamp", reason: /fraction/, action: "altered" },
];

const exact: readonly Pick<DirtyRow, "name" | "metadata" | "timestamp">[] = [
  {
    name: "an integer of 20 digits",
    metadata: `'{"id": 12345678901234567890}'`,
  },
  { name: "a number as JSON", metadata: "'5'" },
  { name: "an integer stored in a JSON column", metadata: "5" },
  { name: "JSON null", metadata: "'null'" },
  { name: "numeric text", timestamp: "' 1700000000000 '" },
];

function insertOf(
  id: string,
  { content = "'plain'", metadata = "NULL", timestamp = "1700000000000" }: Partial<DirtyRow>,
) {
  return `INSERT INTO messages (${fields}) VALUES ('${id}', ${timestamp}, 'human', ${content}, ${metadata});`;
}

/** A pair whose SQLite file holds the old rows, and nothing has been mirrored yet. */
async function withRows(statements: readonly string[]): Promise<TestPair> {
  const pair = await TestPair.create();
  await (await pair.open("---")).close();
  await (await pair.sqlite).transaction({ mode: "write" }, (transaction) => transaction.script(statements.join("\n")));
  return pair;
}

describe("values of old rows", () => {
  test("that PostgreSQL cannot hold are carried with a change, and each is named", async () => {
    const pair = await withRows(carried.map((row, index) => insertOf(`row-${index}`, row)));
    const recorder = new Recorder();
    const database = await pair.open("--S", { logger: recorder });
    await pair.expectConverged(database);
    for (const [index, row] of carried.entries()) {
      const found = recorder.of("finding").filter(({ fields: f }) => f.key === `row-${index}`);
      expect(found.map(({ level, fields: f }) => ({ level, ...f }))).toMatchObject([
        {
          level: "warn",
          table: "messages",
          column: row.column,
          action: row.action,
          reason: expect.stringMatching(row.reason),
        },
      ]);
    }
    const { relay } = await database.status();
    expect(relay).toMatchObject({ wrapped: 4, altered: 7, refused: 0 });
  });

  test("are the same from both sides, and text that is no JSON is the original text", async () => {
    const pair = await withRows(carried.map((row, index) => insertOf(`row-${index}`, row)));
    const database = await pair.open("--S");
    await database.drain();
    await database.close();
    const before = await pair.open("---");
    const sqlite = await readAll(before, carried.length);
    await before.close();
    const primary = await pair.open("P-S");
    expect(normal(await readAll(primary, carried.length))).toEqual(normal(sqlite));
    for (const [index, { given, column }] of carried.entries())
      if (given !== undefined)
        expect((await primary.messageService.getMessageById(`row-${index}`))?.[column]).toBe(given);
    await primary.messageService.saveHumanMessage({ ...speaker, messageContent: "written since" });
    await runAt(pair.url, "UPDATE messages SET ai_summary = 'touched'");
    await pair.expectConverged(primary);
    await primary.close();
    const back = await pair.open("--S");
    for (const [index, { given, column }] of carried.entries())
      if (given !== undefined) expect((await back.messageService.getMessageById(`row-${index}`))?.[column]).toBe(given);
    await pair.expectConverged(back);
  });

  test("that need no change arrive without a word", async () => {
    const pair = await withRows(exact.map((row, index) => insertOf(`row-${index}`, row)));
    const recorder = new Recorder();
    const database = await pair.open("--S", { logger: recorder });
    await pair.expectConverged(database);
    expect(recorder.of("finding")).toEqual([]);
    await database.close();
    const primary = await pair.open("P-S");
    for (const [index, { metadata }] of exact.entries()) {
      const record = await primary.messageService.getMessageById(`row-${index}`);
      expect(record?.timestamp).toBe(1_700_000_000_000);
      if (metadata === undefined) continue;
      // As text: JSON.parse would round the long integer on both sides alike.
      expect(String(record?.metadata).replaceAll(" ", "")).toBe(metadata.replaceAll(/[' ]/g, ""));
    }
  });

  async function readAll({ messageService }: DualDatabase, rows: number) {
    const found = [];
    for (let index = 0; index < rows; index++) found.push(await messageService.getMessageById(`row-${index}`));
    return found;
  }

  /** Repaired text counts as what the mirror makes of it, and JSON as what it parses to. */
  function normal(records: Awaited<ReturnType<typeof readAll>>): unknown[] {
    return records.map((record) => ({
      ...record,
      message_content: record?.message_content?.replace(/\0.*$/, "").replace(/\ufffdafter$/, ""),
      metadata: parsed(record?.metadata ?? null),
      timestamp: Math.round(Number(record?.timestamp)),
      tokens: undefined,
    }));
  }

  function parsed(text: string | null): unknown {
    if (text === null) return null;
    try {
      const cleaned = text.replace("\\ud800", "\ufffd").replace("\\u0000", "\ufffd");
      return JSON.parse(cleaned);
    } catch {
      return text;
    }
  }
});

describe("rows that PostgreSQL refuses", () => {
  const refused = [
    `INSERT INTO queries (id, timestamp, user_id, username, query_text, result_count) VALUES ('word', 1, '1', 'u', 'q', 'secret-many');`,
    `INSERT INTO queries (id, timestamp, user_id, username, query_text, result_count) VALUES ('wide', 1, '1', 'u', 'q', 4294967296);`,
    `INSERT INTO documents (id, title, created_by, is_public) VALUES ('flag', 'secret-title', '1', 'secret-maybe');`,
  ];
  const huge = `INSERT INTO messages (id, timestamp, sender_type, user_id, message_content)
    SELECT 'huge', 1, 'human', group_concat(hex(randomblob(16)), ' '), 'x' FROM (WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) SELECT i FROM n);`;
  const good = (count: number) =>
    `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})
     INSERT INTO messages (id, timestamp, sender_type, message_content) SELECT 'good-' || i, i, 'human', 'g' FROM n;`;

  test("are set aside with their findings, and every other row arrives", async () => {
    const pair = await withRows([...refused, huge, good(700)]);
    const recorder = new Recorder();
    const database = await pair.open("--S", { logger: recorder });
    await until(
      "they are quarantined",
      async () => (await database.drain({ timeoutMs: 100 })).quarantined === 4,
      20_000,
    );
    expect(await database.drain()).toEqual({ pending: 0, quarantined: 4 });
    expect(await pair.count("postgres", "messages")).toBe(700);
    const { sqlite, relay } = await database.status();
    expect(sqlite?.reachable && sqlite.refused.map(({ table, key }) => `${table} ${key}`).sort()).toEqual([
      "documents flag",
      "messages huge",
      "queries wide",
      "queries word",
    ]);
    expect(relay?.refused).toBeGreaterThanOrEqual(4);
    const said = recorder.of("refused").map(({ fields: f }) => f);
    expect(said).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ table: "queries", key: "word", column: "result_count", action: "refused" }),
        expect.objectContaining({ table: "documents", key: "flag", column: "is_public", action: "refused" }),
      ]),
    );
    expect(recorder.text + JSON.stringify(await database.status())).not.toContain("secret");

    await database.write(
      sql`UPDATE queries SET result_count = 7 WHERE id IN ('word', 'wide')`,
      sql`UPDATE documents SET is_public = 0 WHERE id = 'flag'`,
      sql`DELETE FROM messages WHERE id = 'huge'`,
    );
    await pair.expectConverged(database);
    expect(await pair.rows("postgres", "SELECT result_count AS n FROM queries WHERE id = 'wide'")).toEqual([{ n: 7 }]);
  });

  test("keep reads of their table at SQLite, and other tables at PostgreSQL", async () => {
    const pair = await withRows([refused[0] ?? ""]);
    const database = await pair.open("-RS");
    await until("it is set aside", async () => (await database.drain({ timeoutMs: 50 })).quarantined === 1, 20_000);
    expect(await database.queryService.getQueryCount()).toBe(1);
    expect(await database.messageService.getMessageCount()).toBe(0);
    expect((await database.status()).reads).toMatchObject({ fenced: 1, owed: 1 });
  });

  test("stop a flip, which names them", async () => {
    const pair = await withRows([...refused, good(5)]);
    const failure = await pair.open("P--").catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "FLIP_REFUSED" });
    const { details } = failure as { details: { refusals: { table: string; key: string }[] } };
    expect(details.refusals.map(({ key }) => key).sort()).toEqual(["flag", "wide", "word"]);
    expect(JSON.stringify(failure)).not.toContain("secret");
    expect(await pair.primaries()).toEqual({ sqlite: "sqlite", postgres: "sqlite" });
  });

  test("the whole old bot, dirty rows too: all but one arrive", async () => {
    const pair = await withOldBot(50);
    const database = await pair.open("--S");
    await until(
      "all is settled",
      async () => {
        const { pending, quarantined } = await database.drain({ timeoutMs: 100 });
        return pending === 0 && quarantined === 1;
      },
      20_000,
    );
    await database.write(sql`DELETE FROM queries WHERE id = ${dirtyIds.refused}`);
    await pair.expectConverged(database);
  });
});

describe("rows under keys that PostgreSQL cannot have", () => {
  const strange =
    "VALUES (CAST(x'68e96c' AS TEXT), 'latin'), ('a' || char(0) || 'b', 'nul'), (NULL, 'one'), (NULL, 'two')";
  const reasons = ["NUL", "NULL", "UTF-8"];

  /** A pair that is there already, and a table that comes to it with such rows. */
  async function withNotes(letters: string): Promise<TestPair> {
    const pair = await TestPair.create();
    await (await pair.open(letters)).close();
    const text = "CREATE TABLE notes (name TEXT PRIMARY KEY, body TEXT)";
    await runAt(pair.url, `${text}; INSERT INTO notes VALUES ('on both', 'b')`);
    await (await pair.sqlite).transaction({ mode: "write" }, (transaction) =>
      transaction.script(`${text}; INSERT INTO notes VALUES ('on both', 'b'); INSERT INTO notes ${strange}`),
    );
    return pair;
  }

  async function quarantined(database: DualDatabase): Promise<void> {
    const isOver = async () => (await database.drain({ timeoutMs: 100 })).quarantined === reasons.length;
    await until("they are set aside", isOver, 20_000);
  }

  /** The words that tell what is wrong with the keys. */
  function saidOf(texts: readonly unknown[]): string[] {
    return texts.map((text) => /UTF-8|NULL|NUL/.exec(String(text))?.[0] ?? String(text)).sort();
  }

  async function expectMended(pair: TestPair, database: DualDatabase): Promise<void> {
    await database.write(sql`UPDATE notes SET name = 'mended ' || body WHERE name IS NULL OR name <> 'on both'`);
    await pair.expectConverged(database);
    expect(await pair.count("postgres", "notes")).toBe(5);
  }

  test("are set aside, and arrive when their keys have been mended", async () => {
    const pair = await withNotes("--S");
    const database = await pair.open("--S");
    await quarantined(database);
    const { sqlite } = await database.status();
    expect(saidOf(sqlite?.reachable ? sqlite.refused.map(({ lastError }) => lastError) : [])).toEqual(reasons);
    expect(await pair.count("postgres", "notes")).toBe(1);
    await expectMended(pair, database);
  });

  test("stay in SQLite where PostgreSQL is primary when the table is armed, and are told of", async () => {
    const pair = await withNotes("P-S");
    const recorder = new Recorder();
    const database = await pair.open("P-S", { logger: recorder });
    expect(await database.drain()).toEqual({ pending: 0, quarantined: 0 });
    const { sqlite } = await database.status();
    expect(saidOf(sqlite?.reachable ? sqlite.refused.map(({ lastError }) => lastError) : [])).toEqual(reasons);
    const said = new Set(recorder.of("refused").map(({ fields: { reason } }) => reason));
    expect(saidOf([...said])).toEqual(reasons);
    expect(await pair.count("sqlite", "notes")).toBe(5);
    await database.close();
    const back = await pair.open("--S");
    await quarantined(back);
    await expectMended(pair, back);
  });
});
