import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Engine } from "../../src/engines/engine.js";
import { oneValue, openAt, script, serverConfig, sqlite } from "../support/libsql.js";
import { freePort } from "../support/postgres.js";
import { type FaultProxy, startProxy } from "../support/proxy.js";
import { type SqldServer, sqldRuns, startSqld } from "../support/sqld.js";

const unavailable = { code: "DATABASE_UNAVAILABLE", side: "sqlite", retry: true };

test("a server that is not there is named, without the token", async () => {
  const port = await freePort();
  const error = await openAt(serverConfig(`http://127.0.0.1:${port}`, "top-secret")).catch((reason: unknown) => reason);
  expect(error).toMatchObject(unavailable);
  expect((error as Error).message).toContain(`http://127.0.0.1:${port}`);
  expect((error as Error).message).not.toContain("top-secret");
  await expect(openAt(serverConfig("libsql://nowhere.invalid"))).rejects.toMatchObject(unavailable);
});

describe.runIf(sqldRuns)("libSQL on a server", () => {
  let sqld: SqldServer;
  let link: FaultProxy;
  let engine: Engine;
  const insert = (id: string) => sqlite("INSERT INTO items (id) VALUES (?)", id);
  const count = () => oneValue(engine, "SELECT count(*) FROM items");

  beforeEach(async () => {
    sqld = await startSqld();
    link = await startProxy(sqld.port);
    engine = await openAt(serverConfig(`http://127.0.0.1:${link.port}`));
    await script(engine, "CREATE TABLE items (id TEXT PRIMARY KEY);");
  });

  afterEach(async () => {
    await engine.close();
    await link.close();
    await sqld.stop();
  });

  test("a wrong token is ACCESS_DENIED", async () => {
    const closed = await startSqld({ basicAuth: Buffer.from("bot:right").toString("base64") });
    const error = await openAt(serverConfig(closed.url, "wrong-token")).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "ACCESS_DENIED", message: expect.stringContaining("TURSO_AUTH_TOKEN") });
    expect((error as Error).message).not.toContain("wrong-token");
    await closed.stop();
  });

  test("a server that went away: reads and transactions can be repeated, nothing was sent", async () => {
    await sqld.kill();
    link.refuse();
    await expect(engine.read(sqlite("SELECT 1"))).rejects.toMatchObject(unavailable);
    await expect(engine.transaction({ mode: "write" }, (t) => t.execute(insert("a")))).rejects.toMatchObject(
      unavailable,
    );
    await link.close();
    await expect(engine.write([insert("a")])).rejects.toMatchObject(unavailable);
  });

  test("a reply that is lost leaves the outcome of a change open, and of nothing else", async () => {
    const unknown = { code: "OUTCOME_UNKNOWN", side: "sqlite", retry: false };
    const cut = async (run: () => Promise<unknown>) => {
      const done = link.cutAfter("before-reply");
      const error = await run().catch((reason: unknown) => reason);
      await done;
      return error;
    };
    expect(await cut(() => engine.write([insert("a")]))).toMatchObject(unknown);
    expect(await count()).toBe(1);
    expect(await cut(() => engine.write([insert("b"), insert("c")]))).toMatchObject(unknown);
    expect(await count()).toBe(3);
    expect(await cut(() => engine.read(sqlite("SELECT 1")))).toMatchObject(unavailable);
    expect(await cut(() => engine.transaction({ mode: "write" }, (t) => t.execute(insert("d"))))).toMatchObject(
      unavailable,
    );
    const committing = engine.transaction({ mode: "write" }, async (transaction) => {
      await transaction.execute(insert("e"));
      void link.cutAfter("before-reply");
    });
    await expect(committing).rejects.toMatchObject(unknown);
    const last = await openAt(serverConfig(sqld.url));
    expect(await last.read(sqlite("SELECT id FROM items WHERE id IN ('d', 'e')"))).toEqual([{ id: "e" }]);
    await last.close();
  });

  test("a silent server is given up after timeoutMs, and the next call does not wait behind it", async () => {
    link.hang();
    const late = { ...unavailable, message: expect.stringContaining("has not answered in time") };
    const reads = [1, 2].map(() => engine.read(sqlite("SELECT 1"), { timeoutMs: 50 }));
    await Promise.all(reads.map((read) => expect(read).rejects.toMatchObject(late)));
    link.accept();
    link.cut();
    expect(await count()).toBe(0);
    await engine.write([insert("a")]);
  });

  test("a transaction that the server has ended can be repeated", async () => {
    let runs = 0;
    const slow = engine.transaction({ mode: "write" }, async (transaction) => {
      runs++;
      await transaction.execute(insert("slow"));
      const other = await openAt(serverConfig(sqld.url));
      // The server takes the lock away from a transaction that stands in another's way for five seconds.
      await other.write([insert("other")]);
      await other.close();
    });
    await expect(slow).rejects.toMatchObject(unavailable);
    expect(runs).toBe(1);
    expect(await engine.read(sqlite("SELECT id FROM items"))).toEqual([{ id: "other" }]);
  });

  test("a transaction that failed does not stand in the way of the next", async () => {
    const began = performance.now();
    for (let index = 0; index < 3; index++) {
      const failing = engine.transaction({ mode: "write" }, async (transaction) => {
        await transaction.execute(insert("a"));
        throw new Error("mine");
      });
      await expect(failing).rejects.toThrow("mine");
      await engine.write([insert(`b${index}`)]);
    }
    expect(performance.now() - began).toBeLessThan(3000);
    expect(await count()).toBe(3);
  });

  test("foreign keys hold there too", async () => {
    await script(engine, "CREATE TABLE pets (id TEXT PRIMARY KEY, owner TEXT REFERENCES items (id));");
    await expect(engine.write([sqlite("INSERT INTO pets VALUES ('1', 'none')")])).rejects.toMatchObject({
      code: "CONSTRAINT_VIOLATED",
    });
  });
});
