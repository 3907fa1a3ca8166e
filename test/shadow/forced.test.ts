import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TableGraph } from "../../src/data/graph.js";
import type { Engine } from "../../src/engines/engine.js";
import { sql } from "../../src/index.js";
import { arm } from "../../src/shadow/arm.js";
import type { Entry } from "../../src/shadow/journal.js";
import { type Recovered, Recovery } from "../../src/shadow/recovery.js";
import { speaker, TestPair, until } from "../support/pair.js";
import { type PostgresServer, runAt, startPostgres } from "../support/postgres.js";
import { Recorder } from "../support/recorder.js";

const say = (messageContent: string) => ({ ...speaker, messageContent });

describe("a roll-back while PostgreSQL is down", () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server.stop());

  /** PostgreSQL is primary, owes SQLite `owed`, and both have `shared`; then it crashes. */
  async function crashed() {
    const pair = await TestPair.create({ server: server.url() });
    const database = await pair.open("P-S");
    const shared = await database.messageService.saveHumanMessage(say("shared"));
    const doc = await database.documentService.createDocument({ title: "both", createdBy: speaker.userId });
    await database.drain();
    await database.close();
    const alone = await pair.open("P--");
    const owed = await alone.messageService.saveHumanMessage(say("owed by PostgreSQL"));
    await alone.documentService.updateDocumentTitle(doc.id, "changed on PostgreSQL");
    await alone.close();
    await server.crash();
    return { pair, shared, owed, doc };
  }

  test.each(["---", "--S", "-RS"])("with %s SQLite goes on, and everything comes together later", async (letters) => {
    const { pair, shared, owed, doc } = await crashed();
    const recorder = new Recorder();
    const database = await pair.open(letters, { logger: recorder });
    expect(recorder.of("forced-roll-back").map(({ level }) => level)).toEqual(["error"]);
    expect(await database.messageService.getMessageById(shared)).not.toBeNull();
    expect(await database.messageService.getMessageById(owed)).toBeNull();
    const mine = await database.messageService.saveHumanMessage(say("written on SQLite"));
    await database.documentService.updateDocumentTitle(doc.id, "changed on SQLite");
    const during = await database.status();
    expect(during).toMatchObject({ primary: "sqlite", sqlite: { state: { primary: "sqlite", forced: true } } });
    expect(during.postgres).toMatchObject({ reachable: false });

    await server.restart();
    await until("PostgreSQL's writes come in", async () => {
      return (await database.status()).sqlite?.reachable === true && (await pair.primaries()).postgres === "sqlite";
    });
    await until("the state is not forced any more", async () => {
      return (await pair.rows("sqlite", "SELECT forced FROM dualdb_state"))[0]?.forced === 0;
    });
    expect(await database.messageService.getMessageById(owed)).toMatchObject({ message_content: "owed by PostgreSQL" });
    expect(await database.messageService.getMessageById(mine)).not.toBeNull();
    expect(await database.documentService.getDocument(doc.id)).toMatchObject({ title: "changed on SQLite" });
    const { conflicts, conflictCount } = await database.status();
    expect({ conflicts, conflictCount }).toEqual({
      conflicts: [{ table: "documents", key: doc.id }],
      conflictCount: 1,
    });
    expect(recorder.of("conflicts")).toHaveLength(1);
    await pair.expectConverged(letters.includes("S") ? database : await pair.open("--S"));
  });

  test("deletes and children: what only one side did stays, what both did is SQLite's", async () => {
    const { pair, doc, shared } = await crashed();
    await server.restart();
    const primary = await pair.open("P--");
    await primary.documentService.addCollaborator({ documentId: doc.id, userId: "323456789012345678" });
    await primary.write(sql`DELETE FROM messages WHERE id = ${shared}`);
    const lonely = await primary.documentService.createDocument({ title: "on PostgreSQL", createdBy: speaker.userId });
    await primary.close();
    await server.crash();

    const database = await pair.open("--S");
    await database.documentService.deleteDocument(doc.id);
    await database.userProfileService.createUserProfile(speaker.userId, "ada");
    await server.restart();
    await until(
      "recovered",
      async () => (await pair.rows("sqlite", "SELECT forced FROM dualdb_state"))[0]?.forced === 0,
    );
    expect(await database.documentService.getDocument(doc.id)).toBeNull();
    expect(await database.documentService.getDocument(lonely.id)).not.toBeNull();
    expect(await database.documentService.getDocumentCollaborators(lonely.id)).toHaveLength(1);
    expect(await database.messageService.getMessageById(shared)).toBeNull();
    await pair.expectConverged(database);
    expect((await database.status()).conflicts.map(({ table }) => table)).toContain("documents");
  });

  test("both sides made the same user: one row, everything else kept", async () => {
    const { pair } = await crashed();
    await server.restart();
    const primary = await pair.open("P--");
    await primary.userProfileService.createUserProfile(speaker.userId, "ada");
    await primary.userProfileService.saveAnalysisHistory(speaker.userId, { joy: 1 }, {}, 3);
    await primary.close();
    await server.crash();
    const database = await pair.open("--S");
    const mine = await database.userProfileService.createUserProfile(speaker.userId, "ada");
    await server.restart();
    await until(
      "recovered",
      async () => (await pair.rows("sqlite", "SELECT forced FROM dualdb_state"))[0]?.forced === 0,
    );
    await pair.expectConverged(database);
    expect(await database.userProfileService.getUserProfile(speaker.userId)).toMatchObject({ id: mine });
    expect(await pair.count("sqlite", "user_profiles")).toBe(1);
  });

  test("PostgreSQL that never comes back costs nothing but what it alone had", async () => {
    const { pair } = await crashed();
    const database = await pair.open("-RS");
    for (let index = 0; index < 20; index++) await database.messageService.saveHumanMessage(say(`alone ${index}`));
    expect(await database.messageService.getMessageCount()).toBe(21);
    await database.close();
    const again = await pair.open("---");
    expect(await again.messageService.getMessageCount()).toBe(21);
    await again.close();
    await server.restart();
    const last = await pair.open("--S");
    await until(
      "recovered",
      async () => (await pair.rows("sqlite", "SELECT forced FROM dualdb_state"))[0]?.forced === 0,
    );
    expect(await last.messageService.getMessageCount()).toBe(22);
    await pair.expectConverged(last);
  });

  test("PostgreSQL is wanted again before anything came in: it is recovered, then made primary", async () => {
    const { pair, owed } = await crashed();
    const database = await pair.open("---");
    const mine = await database.messageService.saveHumanMessage(say("written on SQLite"));
    await database.close();
    await server.restart();
    const primary = await pair.open("P-S");
    expect(await pair.primaries()).toEqual({ sqlite: "postgres", postgres: "postgres" });
    expect(await primary.messageService.getMessageById(owed)).not.toBeNull();
    expect(await primary.messageService.getMessageById(mine)).not.toBeNull();
    await pair.expectConverged(primary);
  });

  test("a process that still believes in PostgreSQL follows when it is back", async () => {
    const { pair } = await crashed();
    await server.restart();
    const old = await pair.open("P-S");
    await old.messageService.saveHumanMessage(say("old"));
    await old.drain();
    await server.crash();
    const database = await pair.open("--S");
    await database.messageService.saveHumanMessage(say("on SQLite"));
    await expect(old.messageService.saveHumanMessage(say("nowhere"))).rejects.toMatchObject({ retry: true });
    await server.restart();
    await until(
      "recovered",
      async () => (await pair.rows("sqlite", "SELECT forced FROM dualdb_state"))[0]?.forced === 0,
    );
    await old.messageService.saveHumanMessage(say("followed"));
    expect((await old.status()).primary).toBe("sqlite");
    await pair.expectConverged(database);
  });

  test("wanted postgres while PostgreSQL is down is refused, and SQLite stays primary", async () => {
    const pair = await TestPair.create({ server: await restarted() });
    await (await pair.open("--S")).close();
    await server.crash();
    await expect(pair.open("P--")).rejects.toMatchObject({ code: "DATABASE_UNAVAILABLE" });
    const database = await pair.open("---");
    await database.messageService.saveHumanMessage(say("goes on"));
    await server.restart();
    await pair.expectConverged(await pair.open("--S"));
  });

  async function restarted(): Promise<string> {
    await server.restart();
    return server.url();
  }
});

const unreachable = { env: { DATABASE_URL: "postgres://postgres@127.0.0.1:1/x" } };

describe("what PostgreSQL owed at a forced roll-back", () => {
  async function withThings() {
    const pair = await TestPair.create();
    await (await pair.open("---")).close();
    await (await pair.sqlite).transaction({ mode: "write" }, (transaction) =>
      transaction.script("CREATE TABLE things (id TEXT PRIMARY KEY, n INTEGER CHECK (n < 100))"),
    );
    await runAt(pair.url, 'CREATE TABLE things (id TEXT COLLATE "C" PRIMARY KEY, n INTEGER)');
    return pair;
  }

  test("and SQLite refuses stays there, is named, and comes in when it is mended; nothing is mirrored over it", async () => {
    const pair = await withThings();
    const primary = await pair.open("P--");
    await primary.write(sql`INSERT INTO things VALUES ('a', 500), ('b', 5)`);
    await primary.close();
    await (await pair.open("---", unreachable)).close();
    const database = await pair.open("--S");
    await until("it is said", async () => (await database.status()).problem?.code === "FLIP_REFUSED");
    const { problem, postgres } = await database.status();
    expect(problem?.message).toContain("things");
    expect(postgres?.reachable && postgres.refused).toMatchObject([{ table: "things", key: "a" }]);
    expect(await pair.rows("sqlite", "SELECT * FROM things")).toEqual([{ id: "b", n: 5 }]);
    expect(await pair.rows("postgres", "SELECT * FROM things ORDER BY id")).toHaveLength(2);
    expect(await pair.count("sqlite", "dualdb_conflicts")).toBe(0);
    await database.messageService.saveHumanMessage(say("goes on"));
    const mend = "BEGIN; SET LOCAL dualdb.mirror = 'on'; UPDATE things SET n = 50 WHERE id = 'a'; COMMIT";
    await runAt(pair.url, mend);
    await pair.expectConverged(database);
    expect(await pair.rows("sqlite", "SELECT * FROM things ORDER BY id")).toEqual([
      { id: "a", n: 50 },
      { id: "b", n: 5 },
    ]);
  });

  test("is a conflict where somebody writes the refused row on SQLite, whose version stays", async () => {
    const pair = await withThings();
    const primary = await pair.open("P--");
    await primary.write(sql`INSERT INTO things VALUES ('a', 500)`);
    await primary.close();
    await (await pair.open("---", unreachable)).close();
    const database = await pair.open("--S");
    await database.write(sql`INSERT INTO things VALUES ('a', 1)`);
    await pair.expectConverged(database);
    expect((await database.status()).conflicts).toEqual([{ table: "things", key: "a" }]);
    expect(await pair.rows("postgres", "SELECT * FROM things")).toEqual([{ id: "a", n: 1 }]);
  });

  test("is brought beside writes that come while it is planned: no acknowledged row goes", async () => {
    const pair = await TestPair.create();
    const before = await pair.open("P-S");
    const doc = await before.documentService.createDocument({ title: "t", createdBy: speaker.userId });
    await pair.expectConverged(before);
    await before.close();
    const primary = await pair.open("P--");
    await primary.documentService.deleteDocument(doc.id);
    await primary.close();
    const database = await pair.open("---", unreachable);

    // As a relay does it, with a writer between its plan and its application.
    const sqlite = await pair.sqlite;
    let isPlanned = false;
    const between: Engine = {
      side: "sqlite",
      read: (...given) => sqlite.read(...given),
      write: (...given) => sqlite.write(...given),
      statistics: () => sqlite.statistics(),
      close: () => sqlite.close(),
      transaction: async (options, work) => {
        if (options.mode === "write" && !isPlanned) {
          isPlanned = true;
          await database.documentService.addCollaborator({ documentId: doc.id, userId: "323456789012345678" });
        }
        return sqlite.transaction(options, work);
      },
    };
    const { pairing, catalogues } = await arm(sqlite, pair.postgres, Date.now);
    const { dependents } = pairing;
    const parts = { postgres: pair.postgres, graph: new TableGraph(pairing.tables), dependents, catalogues };
    const recovery = new Recovery({ ...parts, sqlite: between, timeoutMs: 10_000, reached: () => {} }, Date.now);
    await runAt(pair.url, `UPDATE dualdb_state SET "primary" = 'sqlite'`);
    for (let after: Entry | null = null; ; ) {
      const { last }: Recovered = await recovery.pass(after);
      if (last === null) break;
      after = last;
    }
    expect(isPlanned).toBe(true);
    const users = (await database.documentService.getDocumentCollaborators(doc.id)).map(({ user_id }) => user_id);
    expect(users).toContain("323456789012345678");
    expect(await database.documentService.getDocument(doc.id)).not.toBeNull();
    await database.close();
    const last = await pair.open("--S");
    await pair.expectConverged(last);
    expect((await last.status()).conflicts).toContainEqual({ table: "documents", key: doc.id });
  });
});
