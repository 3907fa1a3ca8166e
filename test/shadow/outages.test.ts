import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import type { DualDatabase } from "../../src/database.js";
import { openPostgres } from "../../src/engines/postgres.js";
import { sql } from "../../src/index.js";
import { silentLogger } from "../../src/logger.js";
import { speaker, TestPair, until } from "../support/pair.js";
import { available, startPgBouncer } from "../support/pgbouncer.js";
import { type PostgresServer, runAt, startPostgres } from "../support/postgres.js";
import { configOf } from "../support/postgres-config.js";
import { type FaultProxy, startProxy } from "../support/proxy.js";
import { Recorder } from "../support/recorder.js";

const say = (messageContent: string) => ({ ...speaker, messageContent });

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

// A test that failed may have left it down.
beforeEach(async () => {
  await runAt(server.url(), "SELECT 1").catch(() => server.restart());
});

/** A pair whose databases reach PostgreSQL through the proxy, while the test reaches it directly. */
async function behindProxy(): Promise<{ pair: TestPair; env: NodeJS.ProcessEnv }> {
  const pair = await TestPair.create({ server: server.url() });
  const url = new URL(pair.url);
  url.port = String(proxy.port);
  return { pair, env: { DATABASE_URL: url.href } };
}

/** How long the slowest of so many saves took, in milliseconds. */
async function slowestSave(database: DualDatabase, saves: number): Promise<number> {
  let slowest = 0;
  for (let index = 0; index < saves; index++) {
    const began = performance.now();
    await database.messageService.saveHumanMessage(say(`row ${index}`));
    slowest = Math.max(slowest, performance.now() - began);
  }
  return slowest;
}

describe("PostgreSQL absent at start", () => {
  test.each(["--S", "-RS", "-R-"])("with %s SQLite works, and it comes in later", async (letters) => {
    const pair = await TestPair.create({ server: server.url() });
    await (await pair.open("---")).close();
    await server.crash();
    const recorder = new Recorder();
    const began = performance.now();
    const database = await pair.open(letters, { logger: recorder });
    expect(performance.now() - began).toBeLessThan(5_000);
    expect(await slowestSave(database, 20)).toBeLessThan(1_000);
    expect(await database.messageService.getMessageCount()).toBe(20);
    const status = await database.status();
    expect(status).toMatchObject({ primary: "sqlite", problem: { code: "DATABASE_UNAVAILABLE" } });
    expect(recorder.of("relay-failed").length).toBeLessThanOrEqual(1);
    await server.restart();
    const mirroring = letters.includes("S") ? database : await pair.open("--S");
    await pair.expectConverged(mirroring);
    await until("the problem is over", async () => (await mirroring.status()).problem === null);
  });

  test("with a new SQLite file it cannot be told whether there was another: it is said, and no file is made", async () => {
    const pair = await TestPair.create({ server: server.url() });
    await server.crash();
    await expect(pair.open("---")).rejects.toMatchObject({
      code: "DATABASE_UNAVAILABLE",
      message: expect.stringContaining(pair.file),
    });
    await server.restart();
    await (await pair.open("---")).close();
  });

  test("with PostgreSQL primary the error is typed, and the next call tries again", async () => {
    const pair = await TestPair.create({ server: server.url() });
    await (await pair.open("P-S")).close();
    await server.crash();
    const database = pair.database("P-S");
    await expect(database.messageService.getMessageCount()).rejects.toMatchObject({ code: "DATABASE_UNAVAILABLE" });
    await server.restart();
    expect(await database.messageService.getMessageCount()).toBe(0);
    await pair.expectConverged(database);
  });
});

describe("PostgreSQL killed during traffic", () => {
  test("while SQLite is primary: nothing is noticed but by the log, and everything arrives", async () => {
    const pair = await TestPair.create({ server: server.url() });
    const recorder = new Recorder();
    const database = await pair.open("--S", { logger: recorder });
    const traffic = slowestSave(database, 300);
    for (let crash = 0; crash < 2; crash++) {
      await until("rows flow", async () => (await database.status()).relay?.mirrored !== 0);
      await server.crash();
      await server.restart();
    }
    expect(await traffic).toBeLessThan(1_000);
    await pair.expectConverged(database);
    expect(await pair.count("postgres", "messages")).toBe(300);
    expect(recorder.of("relay-failed").length).toBeLessThan(10);
  });

  test("while PostgreSQL is primary: every acknowledged write is there, every error is typed", async () => {
    const pair = await TestPair.create({ server: server.url() });
    const database = await pair.open("P-S");
    const acknowledged: string[] = [];
    const codes = new Set<unknown>();
    let running = true;
    const writer = async () => {
      while (running)
        await database.messageService.saveHumanMessage(say("x")).then(
          (id) => acknowledged.push(id),
          (error: unknown) => codes.add(Reflect.get(Object(error), "code")),
        );
    };
    const writers = Promise.all([writer(), writer(), writer()]);
    await until("writes flow", () => acknowledged.length > 50);
    await server.crash();
    await until("the crash is noticed", () => codes.size > 0);
    await server.restart();
    const before = acknowledged.length;
    await until("writes flow again", () => acknowledged.length > before + 50);
    running = false;
    await writers;
    for (const code of codes) expect(["DATABASE_UNAVAILABLE", "OUTCOME_UNKNOWN"]).toContain(code);
    await pair.expectConverged(database);
    const found = new Set((await pair.rows("sqlite", "SELECT id FROM messages")).map(({ id }) => id));
    expect(acknowledged.filter((id) => !found.has(id))).toEqual([]);
  });
});

describe("PostgreSQL frozen", () => {
  test("SQLite's writes do not wait, status answers, and everything arrives after the thaw", async () => {
    const pair = await TestPair.create({ server: server.url() });
    const database = await pair.open("--S");
    await slowestSave(database, 5);
    server.freeze();
    try {
      expect(await slowestSave(database, 100)).toBeLessThan(1_000);
      const began = performance.now();
      expect(await database.status()).toMatchObject({ primary: "sqlite", postgres: { reachable: false } });
      expect(performance.now() - began).toBeLessThan(4_000);
    } finally {
      server.thaw();
    }
    await pair.expectConverged(database);
    expect(await pair.count("postgres", "messages")).toBe(105);
  });

  test("close() does not wait for it long, and what is owed is durable", async () => {
    const pair = await TestPair.create({ server: server.url() });
    const database = await pair.open("--S");
    await slowestSave(database, 5);
    server.freeze();
    try {
      await slowestSave(database, 5);
      const began = performance.now();
      await database.close();
      expect(performance.now() - began).toBeLessThan(5_000);
    } finally {
      server.thaw();
    }
    const again = await pair.open("--S");
    expect(await again.messageService.getMessageCount()).toBe(10);
    await pair.expectConverged(again);
  });

  test("a roll-back does not wait for it long", async () => {
    const pair = await TestPair.create({ server: server.url() });
    await (await pair.open("P-S")).close();
    server.freeze();
    try {
      const began = performance.now();
      const database = await pair.open("---");
      await database.messageService.saveHumanMessage(say("goes on"));
      expect(performance.now() - began).toBeLessThan(20_000);
    } finally {
      server.thaw();
    }
    const last = await pair.open("--S");
    await until(
      "recovered",
      async () => (await pair.rows("sqlite", "SELECT forced FROM dualdb_state"))[0]?.forced === 0,
    );
    await pair.expectConverged(last);
  }, 45_000);
});

describe("behind a bad link", () => {
  test("delays do not reach SQLite's writers", async () => {
    const { pair, env } = await behindProxy();
    const database = await pair.open("--S", { env });
    proxy.delay(50);
    expect(await slowestSave(database, 100)).toBeLessThan(1_000);
    await pair.expectConverged(database);
    proxy.delay(0);
  });

  test.each(["--S", "P-S"])(
    "cuts in mid-statement, also in COMMIT, with %s: nothing is lost or doubled",
    async (letters) => {
      const { pair, env } = await behindProxy();
      const database = await pair.open(letters, { env });
      const acknowledged: string[] = [];
      for (let round = 0; round < 40; round++) {
        const cut = proxy.cutAfter(round % 2 === 0 ? 1 + ((round * 97) % 1_500) : "before-reply");
        const write = database.messageService.saveHumanMessage(say(`row ${round}`)).then(
          (id) => acknowledged.push(id),
          (error: unknown) =>
            expect(["OUTCOME_UNKNOWN", "DATABASE_UNAVAILABLE"]).toContain(Reflect.get(Object(error), "code")),
        );
        await write;
        if (letters === "--S") await database.drain({ timeoutMs: 100 });
        await Promise.race([cut, write]);
      }
      if (letters === "--S") expect(acknowledged).toHaveLength(40);
      proxy.cutAfter(Number.MAX_SAFE_INTEGER);
      await pair.expectConverged(database);
      const found = new Set((await pair.rows("sqlite", "SELECT id FROM messages")).map(({ id }) => id));
      expect(acknowledged.filter((id) => !found.has(id))).toEqual([]);
    },
  );

  test.each(["after-read", "after-apply", "before-acknowledge"] as const)(
    "connections that break off %s, in both directions",
    async (point) => {
      const { pair, env } = await behindProxy();
      for (const letters of ["--S", "P-S"]) {
        let cuts = 3;
        const reached = (at: string) => {
          if (at === point && cuts-- > 0) proxy.cut();
        };
        const database = await pair.open(letters, { env, reached });
        for (let index = 0; index < 10; index++) {
          await database.messageService
            .saveHumanMessage(say(`row ${index}`))
            .catch((error: unknown) => expect(Reflect.get(Object(error), "code")).toBe("OUTCOME_UNKNOWN"));
        }
        const pending = () =>
          database.drain({ timeoutMs: 50 }).then(
            (drained) => drained.pending,
            () => 1,
          );
        await until("they got through", async () => (await pending()) === 0);
        const doc = await database.documentService.createDocument({ title: "t", createdBy: speaker.userId });
        await database.documentService.deleteDocument(doc.id);
        await pair.expectConverged(database);
        await database.close();
      }
    },
  );

  test("connections that come and go while both sides take turns as primary", async () => {
    const { pair, env } = await behindProxy();
    const acknowledged: string[] = [];
    for (const letters of ["--S", "P-S", "--S", "P-S", "---"]) {
      const database = await pair.open(letters, { env });
      const cutting = setInterval(() => proxy.cut(), 30);
      for (let index = 0; index < 30; index++)
        await database.messageService.saveHumanMessage(say(`${letters} ${index}`)).then(
          (id) => acknowledged.push(id),
          (error: unknown) =>
            expect(["OUTCOME_UNKNOWN", "DATABASE_UNAVAILABLE"]).toContain(Reflect.get(Object(error), "code")),
        );
      clearInterval(cutting);
      await database.close();
    }
    const last = await pair.open("--S");
    await pair.expectConverged(last);
    const found = new Set((await last.read(sql`SELECT id FROM messages`)).map(({ id }) => id));
    expect(acknowledged.filter((id) => !found.has(id))).toEqual([]);
  });

  test.each([
    ["SQLite", "--S"],
    ["PostgreSQL", "P-S"],
  ])("connections and statements that overtake each other, with %s primary", async (_, letters) => {
    const { pair, env } = await behindProxy();
    proxy.reorder(25);
    onTestFinished(() => proxy.reorder(0));
    const databases = [await pair.open(letters, { env }), await pair.open(letters, { env })];
    const [first] = databases as [DualDatabase];
    const doc = await first.documentService.createDocument({ title: "t", createdBy: speaker.userId });
    const ids: string[] = [];
    for (let round = 0; round < 12; round++) {
      // New connections, which come in another order than they were opened.
      if (round % 4 === 0) proxy.cut();
      await Promise.all(
        databases.flatMap((database) => [
          ...Array.from({ length: 4 }, () => saved(database, ids)),
          settled(database.documentService.updateDocumentContent(doc.id, `content ${round}`)),
          settled(database.documentService.addCollaborator({ documentId: doc.id, userId: "1", role: `role ${round}` })),
          settled(database.documentService.removeCollaborator(doc.id, "1")),
          settled(database.userProfileService.getOrCreateUserProfile(speaker.userId, `name ${round}`)),
          settled(database.userProfileService.incrementMessageCount(speaker.userId)),
        ]),
      );
    }
    await pair.expectConverged(first);
    const last = await pair.open(letters === "--S" ? "P-S" : "--S", { env });
    await pair.expectConverged(last);
    const found = new Set((await pair.rows("sqlite", "SELECT id FROM messages")).map(({ id }) => id));
    expect(ids.length).toBeGreaterThan(60);
    expect(ids.filter((id) => !found.has(id))).toEqual([]);
  });

  /** What becomes of a call that the link may have cut. */
  async function settled<T>(call: Promise<T>): Promise<T | null> {
    return call.catch((error: unknown) => {
      expect(["OUTCOME_UNKNOWN", "DATABASE_UNAVAILABLE"]).toContain(Reflect.get(Object(error), "code"));
      return null;
    });
  }

  async function saved(database: DualDatabase, ids: string[]): Promise<void> {
    const id = await settled(database.messageService.saveHumanMessage(say("x")));
    if (id !== null) ids.push(id);
  }

  test("a link that swallows everything", async () => {
    const { pair, env } = await behindProxy();
    const database = await pair.open("--S", { env });
    proxy.hang();
    expect(await slowestSave(database, 30)).toBeLessThan(1_000);
    proxy.accept();
    proxy.cut();
    await pair.expectConverged(database);
  });
});

if (!available) process.stderr.write("left out, since PgBouncer is not installed: all phases behind it\n");

test.runIf(available)("behind PgBouncer in transaction mode: all phases, there and back", async () => {
  const bouncer = await startPgBouncer(server.port, 3);
  const pair = await TestPair.create({ server: server.url() });
  const env = { DATABASE_URL: bouncer.url(pair.url) };
  const direct = new Set<string>();
  for (const letters of ["--S", "-RS", "P-S", "PRS", "P--", "P-S", "--S", "---", "--S"]) {
    const [one, two] = await Promise.all([pair.open(letters, { env }), pair.open(letters, { env })]);
    const ids = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        (index % 2 === 0 ? one : two).messageService.saveHumanMessage(say(`${letters} ${index}`)),
      ),
    );
    for (const id of ids) direct.add(id);
    expect(await one.messageService.getMessageCount()).toBe(direct.size);
    expect(await two.messageService.getMessageById(ids[3] ?? "")).not.toBeNull();
    await one.close();
    await two.close();
  }
  await pair.expectEqual();
  expect(await pair.count("postgres", "messages")).toBe(direct.size);
  await bouncer.stop();
});

describe("a standby that stands where PostgreSQL was", () => {
  test("answers no read, and a roll-back goes on without it", async () => {
    const pair = await TestPair.create({ server: server.url() });
    const reader = await pair.open("-RS");
    const id = await reader.messageService.saveHumanMessage(say("mirrored"));
    await pair.expectConverged(reader);
    await server.becomeStandby();
    expect(await reader.messageService.getMessageById(id)).toMatchObject({ id });
    expect((await reader.status()).reads).toMatchObject({ failedOver: 1 });
    await server.restart();
    await reader.close();
    const primary = await pair.open("P-S");
    await primary.messageService.saveHumanMessage(say("on PostgreSQL"));
    await server.becomeStandby();
    const refused = { code: "DATABASE_UNAVAILABLE", message: expect.stringContaining("standby") };
    await expect(primary.messageService.saveHumanMessage(say("nowhere"))).rejects.toMatchObject(refused);
    await primary.close();
    const back = await pair.open("--S");
    expect(await pair.rows("sqlite", `SELECT "primary", forced FROM dualdb_state`)).toEqual([
      { primary: "sqlite", forced: 1 },
    ]);
    await server.restart();
    await pair.expectConverged(back);
    expect(await back.messageService.getMessageCount()).toBe(2);
  });
});

describe("a PostgreSQL that is there, and where something else is in the way", () => {
  test("is not taken for one that is down: a roll-back waits for the lock, and is refused in the end", async () => {
    const pair = await TestPair.create({ server: server.url() });
    const other = await pair.open("P--");
    const lock = openPostgres({ config: configOf(pair.url), logger: silentLogger });
    onTestFinished(() => lock.close());
    await lock.transaction({ mode: "write", timeoutMs: 60_000 }, async (transaction) => {
      await transaction.script("SELECT 1 FROM dualdb_state FOR NO KEY UPDATE");
      const env = { FLIP_TIMEOUT_MS: "2000" };
      await expect(pair.open("---", { env })).rejects.toMatchObject({ code: "DATABASE_BUSY" });
    });
    expect(await pair.primaries()).toEqual({ sqlite: "postgres", postgres: "postgres" });
    await other.messageService.saveHumanMessage(say("goes on"));
    const back = await pair.open("--S");
    expect(await pair.rows("sqlite", "SELECT forced FROM dualdb_state")).toEqual([{ forced: 0 }]);
    await pair.expectConverged(back);
  });

  test("a fault of the server is held against no row, and everything arrives when it is over", async () => {
    const pair = await TestPair.create({ server: server.url() });
    const database = await pair.open("--S");
    await database.messageService.saveHumanMessage(say("one"));
    await database.drain();
    await runAt(
      pair.url,
      `CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'could not read' USING ERRCODE = '58030'; END $$;
       CREATE TRIGGER fail BEFORE INSERT OR UPDATE ON messages FOR EACH STATEMENT EXECUTE FUNCTION fail()`,
    );
    await database.messageService.saveHumanMessage(say("two"));
    await until("it is noticed", async () => ((await database.status()).relay?.failures ?? 0) > 2);
    expect(await pair.rows("sqlite", "SELECT attempts FROM dualdb_journal")).toEqual([{ attempts: 0 }]);
    await runAt(pair.url, "DROP TRIGGER fail ON messages");
    await pair.expectConverged(database);
  });
});

test("a flip is taken up by a process whose clock is an hour behind that of the one that left it", async () => {
  const pair = await TestPair.create({ server: server.url() });
  const database = await pair.open("--S");
  await database.messageService.saveHumanMessage(say("before"));
  await database.drain();
  const later = Date.now() + 3_600_000;
  await runAt(pair.url, `UPDATE dualdb_state SET wanted = 'postgres', changed_at = ${later}`);
  const sqlite = await pair.sqlite;
  await sqlite.write([sql`UPDATE dualdb_state SET "primary" = 'postgres', cas = cas + 1, changed_at = ${later}`]);
  await database.messageService.saveHumanMessage(say("after"));
  await pair.expectConverged(database);
});
