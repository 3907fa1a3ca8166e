import { execFileSync } from "node:child_process";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { PostgresConfig } from "../../src/config.js";
import type { PostgresEngine, Statement } from "../../src/engines/engine.js";
import { openPostgres } from "../../src/engines/postgres.js";
import { silentLogger } from "../../src/logger.js";
import { type PostgresServer, runAt, startPostgres } from "../support/postgres.js";
import { configOf } from "../support/postgres-config.js";
import { type FaultProxy, startProxy } from "../support/proxy.js";

let server: PostgresServer;
let proxy: FaultProxy;
let url: string;
const engines: PostgresEngine[] = [];

beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

beforeEach(async () => {
  proxy = await startProxy(server.port);
  url = await server.createDatabase();
  await runAt(url, "CREATE TABLE t (i int)");
});
afterEach(async () => {
  server.thaw();
  await Promise.all(engines.splice(0).map((engine) => engine.close()));
  await proxy.close();
});

function open(changes: Partial<PostgresConfig> = {}): PostgresEngine {
  const engine = openPostgres({ config: configOf(url, { sslMode: "disable", ...changes }), logger: silentLogger });
  engines.push(engine);
  return engine;
}

function statement(text: string): Statement {
  return { sql: text, text, values: [] };
}

const one = statement("SELECT 1 AS one");
const insert = statement("INSERT INTO t VALUES (1)");
const count = async () => Number((await runAt(url, "SELECT count(*) FROM t"))[0]?.count);
const killOthers = () =>
  runAt(
    url,
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
  );

describe("a connection that the server ends", () => {
  test("while idle: reads and writes take another", async () => {
    const engine = open();
    for (const call of [() => engine.read(one), () => engine.write([insert]), () => engine.write([insert, insert])]) {
      await Promise.all([engine.read(one), engine.read(one)]);
      await killOthers();
      await call();
    }
    expect(await count()).toBe(3);
  });

  test.each(["SIGTERM", "SIGKILL"])(
    "by %s, while the process was busy: a write is not sent into the void",
    async (signal) => {
      const engine = open({ poolSize: 1 });
      await engine.write([insert]);
      const [row] = await engine.read(statement("SELECT pg_backend_pid() AS pid"));
      execFileSync(process.execPath, [
        "-e",
        `process.kill(${Number(row?.pid)}, "${signal}"); setTimeout(() => {}, 700)`,
      ]);
      const outcomes: string[] = [];
      const attempt = () =>
        engine.write([insert]).then(
          () => "done",
          (error) => error.code,
        );
      await expect.poll(async () => outcomes[outcomes.push(await attempt()) - 1]).toBe("done");
      expect(outcomes).not.toContain("OUTCOME_UNKNOWN");
      expect(await count()).toBe(2);
    },
  );

  test("in use: the transaction fails, nothing of it stays, and the engine goes on", async () => {
    const engine = open();
    const broken = engine.transaction({ mode: "write" }, async (transaction) => {
      await transaction.execute(insert);
      await killOthers();
      await transaction.execute(insert);
    });
    await expect(broken).rejects.toMatchObject({ code: "DATABASE_UNAVAILABLE", retry: true });
    await engine.write([insert]);
    expect(await count()).toBe(1);
  });

  test("in use while nothing is asked: the commit fails and nothing stays", async () => {
    const engine = open();
    const broken = engine.transaction({ mode: "write" }, async (transaction) => {
      await transaction.execute(insert);
      await killOthers();
    });
    await expect(broken).rejects.toMatchObject({ code: expect.stringMatching(/DATABASE_UNAVAILABLE|OUTCOME_UNKNOWN/) });
    expect(await count()).toBe(0);
  });
});

describe("a server that goes down", () => {
  test("restarts in between: the engine goes on", async () => {
    const engine = open();
    await Promise.all(Array.from({ length: 10 }, () => engine.read(statement("SELECT pg_sleep(0.01)"))));
    await server.restart();
    expect(await engine.read(one)).toEqual([{ one: 1 }]);
    await server.crash();
    await expect(engine.read(one)).rejects.toMatchObject({
      code: "DATABASE_UNAVAILABLE",
      message: expect.stringContaining(`127.0.0.1:${server.port}`),
    });
    await expect(engine.write([insert])).rejects.toMatchObject({ code: "DATABASE_UNAVAILABLE" });
    await server.restart();
    await engine.write([insert, insert]);
    expect(await count()).toBe(2);
  });

  test("crashes in the middle of a write: nobody pretends to know", async () => {
    const engine = open();
    const writing = engine.write([statement("INSERT INTO t SELECT 1 FROM pg_sleep(20)")]);
    const outcome = expect(writing).rejects.toMatchObject({ code: "OUTCOME_UNKNOWN", retry: false });
    await expect.poll(() => activeSleeps()).toBe(1);
    await server.crash();
    await outcome;
    await server.restart();
    expect(await engine.read(statement("SELECT count(*) AS n FROM t"))).toEqual([{ n: 0 }]);
  });

  async function activeSleeps(): Promise<number> {
    const rows = await runAt(
      url,
      "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'INSERT INTO t SELECT 1 FROM pg_sleep%' AND state = 'active'",
    );
    return rows.length;
  }
});

describe("a server that freezes", () => {
  test("reads give up in time, also where they have to connect", async () => {
    const engine = open();
    await engine.read(one);
    server.freeze();
    const begin = performance.now();
    const reads = await Promise.allSettled([1, 2, 3].map(() => engine.read(one, { timeoutMs: 300 })));
    expect(reads).toMatchObject(Array(3).fill({ reason: { code: "DATABASE_UNAVAILABLE" } }));
    expect(performance.now() - begin).toBeLessThan(1500);
    server.thaw();
    expect(await engine.read(one)).toEqual([{ one: 1 }]);
  });

  test("a write's outcome is unknown, a transaction's is not", async () => {
    const engine = open({ queryTimeoutMs: 300 });
    await engine.read(one);
    server.freeze();
    await expect(engine.write([insert])).rejects.toMatchObject({ code: "OUTCOME_UNKNOWN" });
    server.thaw();
    const frozen = engine.transaction({ mode: "write", timeoutMs: 100 }, async (transaction) => {
      await transaction.execute(insert);
      server.freeze();
      await transaction.execute(insert);
    });
    await expect(frozen).rejects.toMatchObject({ code: "DATABASE_UNAVAILABLE" });
    server.thaw();
    await expect.poll(async () => engine.read(one)).toEqual([{ one: 1 }]);
  });

  test("closing does not wait for it", async () => {
    const engine = open();
    await Promise.all([engine.read(one), engine.read(one)]);
    server.freeze();
    const begin = performance.now();
    await engine.close();
    expect(performance.now() - begin).toBeLessThan(3000);
  });
});

describe("a link that fails", () => {
  const through = (changes: Partial<PostgresConfig> = {}) => open({ port: proxy.port, ...changes });

  test("before the reply of a read: it is repeated", async () => {
    const engine = through();
    await engine.read(one);
    const cut = proxy.cutAfter("before-reply");
    expect(await engine.read(one)).toEqual([{ one: 1 }]);
    await cut;
  });

  test("one connection after the other, as each is used: a read and a transaction take a new one", async () => {
    const engine = through({ poolSize: 8 });
    for (const call of [() => engine.read(one), () => engine.write([insert, insert])]) {
      await Promise.all(Array.from({ length: 8 }, () => engine.read(statement("SELECT pg_sleep(0.05)"))));
      expect(proxy.connections).toBe(8);
      proxy.cutOnUse();
      await call();
      expect(proxy.connections).toBe(1);
    }
    expect(await count()).toBe(2);
  });

  test("while a connection is made: it is made again", async () => {
    for (const call of [
      (engine: PostgresEngine) => engine.read(one),
      (engine: PostgresEngine) => engine.write([insert]),
      (engine: PostgresEngine) => engine.write([insert, insert]),
    ]) {
      const cut = proxy.cutAfter("before-reply");
      await call(through());
      await cut;
    }
    expect(await count()).toBe(3);
  });

  test("before the reply of a write: it may have happened", async () => {
    const engine = through();
    await engine.read(one);
    const cut = proxy.cutAfter("before-reply");
    await expect(engine.write([insert])).rejects.toMatchObject({ code: "OUTCOME_UNKNOWN" });
    await cut;
    await expect.poll(count).toBe(1);
  });

  test("in mid-statement of a write: nobody can know either", async () => {
    const engine = through();
    await engine.read(one);
    const cut = proxy.cutAfter(10);
    await expect(engine.write([insert])).rejects.toMatchObject({ code: "OUTCOME_UNKNOWN" });
    await cut;
    expect(await count()).toBe(0);
  });

  test("before the reply of a BEGIN: another connection is taken", async () => {
    const engine = through();
    await engine.read(one);
    const cut = proxy.cutAfter("before-reply");
    await engine.write([insert, insert]);
    await cut;
    expect(await count()).toBe(2);
  });

  test("inside a transaction: nothing happened", async () => {
    const engine = through();
    const broken = engine.transaction({ mode: "write" }, async (transaction) => {
      await transaction.execute(insert);
      void proxy.cutAfter("before-reply");
      await transaction.execute(insert);
    });
    await expect(broken).rejects.toMatchObject({ code: "DATABASE_UNAVAILABLE" });
    expect(await count()).toBe(0);
  });

  test("before the reply of a COMMIT: it may have happened", async () => {
    const engine = through();
    const broken = engine.transaction({ mode: "write" }, async (transaction) => {
      await transaction.execute(insert);
      void proxy.cutAfter("before-reply");
    });
    await expect(broken).rejects.toMatchObject({ code: "OUTCOME_UNKNOWN" });
    await expect.poll(count).toBe(1);
  });

  test("refusing or silent: the error names the place", async () => {
    const engine = through({ password: "hidden" });
    proxy.refuse();
    const refused = await engine.read(one).catch((error: unknown) => error);
    expect(refused).toMatchObject({
      code: "DATABASE_UNAVAILABLE",
      message: expect.stringContaining(`127.0.0.1:${proxy.port}/`),
    });
    expect((refused as Error).message).not.toContain("hidden");
    proxy.hang();
    await expect(engine.read(one, { timeoutMs: 200 })).rejects.toMatchObject({ code: "DATABASE_UNAVAILABLE" });
    proxy.accept();
    expect(await engine.read(one)).toEqual([{ one: 1 }]);
  });

  test("in the middle of much traffic: every call ends, and no error but a typed one", async () => {
    const engine = through({ poolSize: 8 });
    const outcomes: Promise<unknown>[] = [];
    for (let round = 0; round < 20; round++) {
      for (let call = 0; call < 10; call++)
        outcomes.push(
          engine.write([insert]).then(
            () => "done",
            (error) => error.code,
          ),
        );
      await engine.read(one).catch(() => {});
      if (round % 4 === 3) proxy.cut();
    }
    const seen = await Promise.all(outcomes);
    const done = seen.filter((outcome) => outcome === "done").length;
    const unknown = seen.filter((outcome) => outcome === "OUTCOME_UNKNOWN").length;
    expect(new Set(seen)).toEqual(
      new Set(["done", ...seen.filter((code) => code === "OUTCOME_UNKNOWN" || code === "DATABASE_UNAVAILABLE")]),
    );
    const rows = await count();
    expect(rows).toBeGreaterThanOrEqual(done);
    expect(rows).toBeLessThanOrEqual(done + unknown);
  });

  test("a pool that is used up says so", async () => {
    const engine = through({ poolSize: 1 });
    await engine.transaction({ mode: "read" }, async () => {
      await expect(engine.read(one, { timeoutMs: 100 })).rejects.toMatchObject({ code: "DATABASE_UNAVAILABLE" });
      expect(engine.statistics()).toMatchObject({ connections: 1, idle: 0 });
    });
    expect(await engine.read(one)).toEqual([{ one: 1 }]);
  });
});

test("a process with an idle engine ends by itself", () => {
  const source = new URL("../../src/engines/postgres.ts", import.meta.url).pathname;
  const script = `import { openPostgres } from ${JSON.stringify(source)};
    const logger = { debug() {}, info() {}, warn() {}, error() {} };
    const engine = openPostgres({ config: ${JSON.stringify(configOf(url))}, logger });
    console.log(JSON.stringify(await engine.read({ sql: "", text: "SELECT 1 AS one", values: [] })));`;
  const output = execFileSync(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script], {
    encoding: "utf8",
    timeout: 20_000,
  });
  expect(output.trim()).toBe('[{"one":1}]');
});
