import { describe, expect, test } from "vitest";
import type { DualDatabase } from "../../src/database.js";
import type { Side } from "../../src/engines/engine.js";
import { sql } from "../../src/index.js";
import { speaker, TestPair } from "../support/pair.js";
import { runAt } from "../support/postgres.js";
import { RemoteBot } from "../support/remote.js";

const say = (messageContent: string) => ({ ...speaker, messageContent });
const other = "323456789012345678";

/** Runs statements on one side as the mirror does: unseen by its triggers. */
async function unseen(pair: TestPair, side: Side, ...statements: readonly string[]): Promise<void> {
  if (side === "postgres") {
    await pair.postgres.transaction({ mode: "write" }, async (transaction) => {
      await transaction.query(sql`SELECT set_config('dualdb.mirror', 'on', true)`);
      for (const text of statements) await transaction.script(text);
    });
    return;
  }
  await (await pair.sqlite).transaction({ mode: "write" }, async (transaction) => {
    await transaction.script("INSERT INTO dualdb_guard (id, never) VALUES (1, 1)");
    for (const text of statements) await transaction.script(text);
    await transaction.script("DELETE FROM dualdb_guard");
  });
}

describe.each([
  ["sqlite", "--S", "---"],
  ["postgres", "P-S", "P--"],
] as const)("with %s primary", (primary, mirroring, recording) => {
  const shadow: Side = primary === "sqlite" ? "postgres" : "sqlite";

  async function opened(): Promise<{ pair: TestPair; database: DualDatabase }> {
    const pair = await TestPair.create();
    return { pair, database: await pair.open(mirroring) };
  }

  test("quick changes of the same rows converge", async () => {
    const { pair, database } = await opened();
    const { documentService: docs } = database;
    for (let round = 0; round < 40; round++) {
      const doc = await docs.createDocument({ title: "t", createdBy: speaker.userId });
      await docs.updateDocumentContent(doc.id, `content ${round}`);
      await docs.addCollaborator({ documentId: doc.id, userId: other });
      await docs.removeCollaborator(doc.id, other);
      await docs.addCollaborator({ documentId: doc.id, userId: other, role: "viewer" });
      await docs.addCollaborator({ documentId: doc.id, userId: other, role: "editor" });
      if (round % 3 === 0) await docs.deleteDocument(doc.id);
      else if (round % 3 === 1) await docs.removeCollaborator(doc.id, other);
    }
    await pair.expectConverged(database);
    expect(await pair.count(shadow, "documents")).toBe(26);
    expect(await pair.count(shadow, "document_collaborators")).toBe(26 + 13);
  });

  test("changes of the same rows from many sides at once converge", async () => {
    const { pair, database } = await opened();
    const second = await pair.open(mirroring);
    const third = await pair.open(recording);
    const doc = await database.documentService.createDocument({ title: "t", createdBy: speaker.userId });
    const hammer = async ({ documentService, userProfileService }: DualDatabase, name: string) => {
      for (let round = 0; round < 40; round++) {
        await documentService.updateDocumentContent(doc.id, `${name} ${round}`);
        await documentService.addCollaborator({ documentId: doc.id, userId: other, role: name });
        await documentService.removeCollaborator(doc.id, other);
        await userProfileService.getOrCreateUserProfile(speaker.userId, name);
        await userProfileService.incrementMessageCount(speaker.userId);
      }
    };
    await Promise.all([hammer(database, "one"), hammer(second, "two"), hammer(third, "three")]);
    await pair.expectConverged(database);
    const [row] = await pair.rows(shadow, "SELECT message_count AS n FROM user_profiles");
    expect(row?.n).toBe(120);
  });

  test("a shadow that holds another id under the same unique key is healed, with its children", async () => {
    const { pair, database } = await opened();
    await unseen(
      pair,
      shadow,
      `INSERT INTO user_profiles (id, user_id, username, first_seen_at, last_interaction_at) VALUES ('stranger', '${other}', 'x', 1, 1)`,
      `INSERT INTO user_analysis_history (id, user_id, analysis_timestamp) VALUES ('lost', '${other}', 1)`,
    );
    const id = await database.userProfileService.createUserProfile(other, "ada");
    await database.userProfileService.saveAnalysisHistory(other, { joy: 1 }, {}, 1);
    const doc = await database.documentService.createDocument({ title: "t", createdBy: speaker.userId });
    await database.drain();
    await unseen(
      pair,
      shadow,
      `DELETE FROM document_collaborators`,
      `INSERT INTO document_collaborators (id, document_id, user_id) VALUES ('stranger', '${doc.id}', '${other}')`,
    );
    await database.documentService.addCollaborator({ documentId: doc.id, userId: other });
    await database.write(sql`UPDATE document_collaborators SET role = 'owner' WHERE user_id = ${speaker.userId}`);
    await pair.expectConverged(database);
    expect(await pair.rows(shadow, "SELECT id FROM user_profiles")).toEqual([{ id }]);
    expect(await pair.count(shadow, "user_analysis_history")).toBe(1);
    expect(await pair.count(shadow, "document_collaborators")).toBe(2);
  });

  test("unique values that rows swap converge", async () => {
    const { pair, database } = await opened();
    const [first, second] = await Promise.all(
      [speaker.userId, other].map((user) => database.userProfileService.createUserProfile(user, "n")),
    );
    await database.userProfileService.saveAnalysisHistory(other, {}, {}, 1);
    await database.drain();
    await database.write(
      sql`DELETE FROM user_analysis_history`,
      sql`UPDATE user_profiles SET user_id = 'parked' WHERE id = ${first}`,
      sql`UPDATE user_profiles SET user_id = ${speaker.userId} WHERE id = ${second}`,
      sql`UPDATE user_profiles SET user_id = ${other} WHERE id = ${first}`,
    );
    await database.userProfileService.saveAnalysisHistory(other, {}, {}, 2);
    await pair.expectConverged(database);
    expect(
      await pair.rows(shadow, "SELECT id FROM user_profiles WHERE user_id = ?".replace("?", `'${other}'`)),
    ).toEqual([{ id: first }]);
  });

  test("keys that change, one by one and in a chain, converge", async () => {
    const { pair, database } = await opened();
    for (const id of ["a", "b", "c"])
      await database.write(
        sql`INSERT INTO messages (id, timestamp, sender_type, message_content) VALUES (${id}, 1, 'human', ${id})`,
      );
    await database.drain();
    await database.write(
      sql`UPDATE messages SET id = 'z' WHERE id = 'c'`,
      sql`UPDATE messages SET id = 'c' WHERE id = 'b'`,
    );
    await database.write(sql`UPDATE messages SET id = id || '-new'`);
    await pair.expectConverged(database);
    expect(await pair.rows(shadow, "SELECT id, message_content AS t FROM messages ORDER BY id")).toEqual([
      { id: "a-new", t: "a" },
      { id: "c-new", t: "b" },
      { id: "z-new", t: "c" },
    ]);
  });

  test("children go with their parent, and come back with it", async () => {
    const { pair, database } = await opened();
    const make = async (id: string) => {
      await database.write(sql`INSERT INTO documents (id, title, created_by) VALUES (${id}, 't', '1')`);
      for (let user = 0; user < 20; user++)
        await database.documentService.addCollaborator({
          documentId: id,
          userId: `40000000000000000${user % 10}${user}`,
        });
    };
    await make("d");
    await make("e");
    await database.drain();
    await database.documentService.deleteDocument("d");
    await pair.expectConverged(database);
    expect(await pair.count(shadow, "document_collaborators")).toBe(20);
    await database.documentService.deleteDocument("e");
    await make("e");
    await pair.expectConverged(database);
    expect(await pair.count(shadow, "document_collaborators")).toBe(20);
  });

  test("rows that the shadow lost or never should have had are mended by writing them again", async () => {
    const { pair, database } = await opened();
    const id = await database.messageService.saveHumanMessage(say("one"));
    const doc = await database.documentService.createDocument({ title: "t", createdBy: speaker.userId });
    await database.drain();
    await unseen(pair, shadow, "DELETE FROM messages", "DELETE FROM documents");
    await database.write(sql`UPDATE messages SET ai_summary = 's' WHERE id = ${id}`);
    await database.documentService.addCollaborator({ documentId: doc.id, userId: other });
    await database.write(sql`UPDATE document_collaborators SET role = 'owner' WHERE user_id = ${speaker.userId}`);
    await pair.expectConverged(database);
  });

  test("what is written while nobody mirrors is brought later, once per row", async () => {
    const { pair, database } = await opened();
    await database.close();
    const alone = await pair.open(recording);
    const doc = await alone.documentService.createDocument({ title: "t", createdBy: speaker.userId });
    for (let round = 0; round < 50; round++) await alone.documentService.updateDocumentContent(doc.id, `c ${round}`);
    expect(await pair.owed(primary)).toBe(2);
    await alone.close();
    await pair.expectConverged(await pair.open(mirroring));
  });
});

test("INSERT OR REPLACE that evicts another row is mirrored, by one unique key and by two", async () => {
  const pair = await TestPair.create();
  const database = await pair.open("--S");
  const profile = (id: string, user: string, name: string) => {
    const text = `INSERT OR REPLACE INTO user_profiles (id, user_id, username, first_seen_at, last_interaction_at) VALUES ('${id}', '${user}', '${name}', 1, 1)`;
    return { sql: text, text, values: [] };
  };
  const console = await pair.sqlite;
  await console.write([profile("a", "1", "first"), profile("b", "2", "second")]);
  await database.userProfileService.saveAnalysisHistory("2", {}, {}, 1);
  await database.drain();
  await console.write([profile("c", "1", "evicts a")]);
  await console.write([profile("b", "1", "evicts c and replaces b")]);
  await pair.expectConverged(database);
  expect(await pair.rows("postgres", "SELECT id, username FROM user_profiles")).toEqual([
    { id: "b", username: "evicts c and replaces b" },
  ]);
  const replace = "UPDATE OR REPLACE user_profiles SET user_id = '7' WHERE id = 'b'";
  await console.write([profile("d", "7", "to be evicted"), { sql: replace, text: replace, values: [] }]);
  await pair.expectConverged(database);
  expect(await pair.count("postgres", "user_profiles")).toBe(1);
});

test("TRUNCATE on PostgreSQL is mirrored, with its cascade", async () => {
  const pair = await TestPair.create();
  const database = await pair.open("P-S");
  await database.messageService.saveHumanMessage(say("one"));
  await database.documentService.createDocument({ title: "t", createdBy: speaker.userId });
  await database.drain();
  await runAt(pair.url, "TRUNCATE documents CASCADE");
  await runAt(pair.url, "TRUNCATE messages");
  await pair.expectConverged(database);
  for (const table of ["documents", "document_collaborators", "messages"])
    expect(await pair.count("sqlite", table)).toBe(0);
});

test("one statement over many rows is mirrored both ways", async () => {
  const pair = await TestPair.create();
  const forward = await pair.open("--S");
  await forward.write(sql`INSERT INTO messages (id, timestamp, sender_type, message_content)
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
    SELECT 'm' || i, i, 'human', 'text ' || i FROM n`);
  await pair.expectConverged(forward);
  await forward.close();
  const backward = await pair.open("P-S");
  await backward.write(sql`UPDATE messages SET ai_summary = 'changed' WHERE timestamp > 1000`);
  await backward.write(sql`DELETE FROM messages WHERE timestamp <= 500`);
  await pair.expectConverged(backward);
  expect(await pair.count("sqlite", "messages")).toBe(2_500);
});

describe("tables of the user's own", () => {
  const both = (text: string) => ({ sqlite: text, postgres: text });
  const schema = [
    both(
      "CREATE TABLE scores (guild TEXT NOT NULL, member BIGINT NOT NULL, points INTEGER, PRIMARY KEY (guild, member))",
    ),
    both("CREATE TABLE counters (id INTEGER PRIMARY KEY, n BIGINT, ratio DOUBLE PRECISION)"),
    both(`CREATE TABLE folders (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES folders (id) ON DELETE CASCADE,
      name TEXT, UNIQUE (parent, name))`),
    {
      sqlite: `CREATE TABLE everything ("odd ""name" TEXT PRIMARY KEY, flag INTEGER, doc TEXT, raw BLOB, exact NUMERIC, "select" TEXT, made TEXT, small INTEGER)`,
      postgres: `CREATE TABLE everything ("odd ""name" VARCHAR(40) PRIMARY KEY, flag BOOLEAN, doc JSONB, raw BYTEA, exact TEXT, "select" TEXT, made UUID, small SMALLINT)`,
    },
  ];

  async function opened(letters: string) {
    const pair = await TestPair.create();
    await (await pair.open("---")).close();
    for (const { sqlite, postgres } of schema) {
      await runAt(pair.url, postgres);
      await (await pair.sqlite).write([{ sql: sqlite, text: sqlite, values: [] }]);
    }
    return { pair, database: await pair.open(letters) };
  }

  test.each(["--S", "P-S"])("with every kind of key and column are mirrored with %s", async (letters) => {
    const { pair, database } = await opened(letters);
    const shadow: Side = letters === "--S" ? "postgres" : "sqlite";
    await database.write(
      sql`INSERT INTO scores (guild, member, points) VALUES ('a,b', 9007199254740993, 1), ('a\\b', 2, 2), ('', -3, NULL), ('é😀', 4, 4)`,
      sql`INSERT INTO counters (id, n, ratio) VALUES (1, 9223372036854775807, 0.1), (-2147483648, -1, 1e300), (0, NULL, NULL)`,
      sql`INSERT INTO folders (id, parent, name) VALUES (1, NULL, 'root'), (2, 1, 'child'), (3, 2, 'grandchild'), (4, 1, 'other')`,
    );
    await pair.expectConverged(database);
    await database.write(
      sql`UPDATE scores SET guild = 'moved,' WHERE member = 2`,
      sql`DELETE FROM scores WHERE guild = ''`,
      sql`UPDATE counters SET id = 7 WHERE id = 0`,
      sql`UPDATE folders SET parent = 4 WHERE id = 2`,
    );
    await pair.expectConverged(database);
    expect(await pair.count(shadow, "scores")).toBe(3);
    await database.write(sql`DELETE FROM folders WHERE id = 4`);
    await pair.expectConverged(database);
    expect(await pair.rows(shadow, "SELECT id FROM folders")).toEqual([{ id: 1 }]);
  });

  test("with a cycle and a deep chain of parents are mirrored, whatever the order", async () => {
    const { pair, database } = await opened("--S");
    await database.write(sql`INSERT INTO folders (id, parent, name) VALUES (1, NULL, 'a'), (2, 1, 'b')`);
    await database.write(sql`UPDATE folders SET parent = 2 WHERE id = 1`);
    await pair.expectConverged(database);
    await database.write(sql`INSERT INTO folders (id, parent, name) VALUES (10, 10, 'self')`);
    for (let id = 100; id < 140; id++)
      await database.write(
        sql`INSERT INTO folders (id, parent, name) VALUES (${id}, ${id === 100 ? null : id - 1}, 'deep')`,
      );
    await pair.expectConverged(database);
    await database.write(sql`DELETE FROM folders WHERE id = 100`, sql`DELETE FROM folders WHERE id IN (1, 10)`);
    await pair.expectConverged(database);
    expect(await pair.count("postgres", "folders")).toBe(0);
  });

  test("with columns of every kind keep their values on the way there and back", async () => {
    const { pair, database } = await opened("--S");
    const insert = `INSERT INTO everything VALUES ('k''1', 1, '{"a": [1, 2.50], "n": 12345678901234567890}', x'00ff10', '1.10', 'word',
      'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 32767), ('k2', NULL, NULL, NULL, NULL, NULL, NULL, NULL), ('k3', 0, '[]', x'', '', '', NULL, 0)`;
    await (await pair.sqlite).write([{ sql: insert, text: insert, values: [] }]);
    await pair.expectConverged(database);
    const there = await pair.rows(
      "postgres",
      `SELECT flag, doc, raw, "select", made, small FROM everything WHERE small > 1`,
    );
    expect(there).toMatchObject([{ flag: 1, select: "word", small: 32_767 }]);
    await database.close();
    const back = await pair.open("P-S");
    await runAt(
      pair.url,
      `UPDATE everything SET flag = NOT flag, raw = raw || '\\x01'::bytea, doc = doc WHERE flag IS NOT NULL`,
    );
    await pair.expectConverged(back);
    expect(
      await pair.rows("sqlite", "SELECT flag, hex(raw) AS raw FROM everything WHERE flag IS NOT NULL ORDER BY 2"),
    ).toEqual([
      { flag: 0, raw: "00FF1001" },
      { flag: 1, raw: "01" },
    ]);
  });

  test("that only one side has, or that have no key, are named and left alone", async () => {
    const pair = await TestPair.create();
    await (await pair.open("---")).close();
    for (const text of ["CREATE TABLE only_here (id INTEGER PRIMARY KEY)", "CREATE TABLE keyless (name TEXT)"])
      await (await pair.sqlite).write([{ sql: text, text, values: [] }]);
    await runAt(pair.url, "CREATE TABLE keyless (name TEXT)");
    const database = await pair.open("--S");
    await database.write(sql`INSERT INTO only_here (id) VALUES (1)`, sql`INSERT INTO keyless (name) VALUES ('n')`);
    expect((await database.status()).unmirrored).toEqual(
      expect.arrayContaining([
        { table: "only_here", reason: "PostgreSQL has no such table" },
        { table: "keyless", reason: "it has no primary key in SQLite" },
      ]),
    );
    await pair.expectConverged(database);
  });
});

test.each(["--S", "P-S"])("two processes with %s, 1,000 rows each: no failure, none lost", async (letters) => {
  const pair = await TestPair.create();
  await (await pair.open(letters)).close();
  const [one, two] = await Promise.all([RemoteBot.start(pair.env(letters)), RemoteBot.start(pair.env(letters))]);
  const ids = (await Promise.all([one.many(1_000, "one"), two.many(1_000, "two")])).flat();
  expect(new Set(ids).size).toBe(2_000);
  const database = await pair.open(letters);
  expect(new Set((await database.read(sql`SELECT id FROM messages`)).map(({ id }) => id))).toEqual(new Set(ids));
  await pair.expectConverged(database);
});
