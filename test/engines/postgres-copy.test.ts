import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
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
  await runAt(url, "CREATE TABLE t (i int PRIMARY KEY, s text CHECK (s <> 'no'), b boolean)");
});
afterEach(async () => {
  server.thaw();
  await Promise.all(engines.splice(0).map((engine) => engine.close()));
  await proxy.close();
});

function open(at: string = url): PostgresEngine {
  const engine = openPostgres({ config: configOf(at, { sslMode: "disable" }), logger: silentLogger });
  engines.push(engine);
  return engine;
}

function throughProxy(): PostgresEngine {
  const through = new URL(url);
  through.port = String(proxy.port);
  return open(through.href);
}

function statement(text: string): Statement {
  return { sql: text, text, values: [] };
}

async function* pieces(...texts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text);
}

async function* endless(): AsyncGenerator<Uint8Array> {
  for (let i = 0; ; i += 10_000) {
    yield Buffer.from(Array.from({ length: 10_000 }, (_, n) => `${i + n}\tyes\tt\n`).join(""));
  }
}

const into = "COPY t FROM STDIN";
const count = async () => Number((await runAt(url, "SELECT count(*) FROM t"))[0]?.count);
const write = { mode: "write" } as const;

test("the rows are there when the transaction ends, and counted", async () => {
  const rows = await open().transaction(write, async (transaction) => {
    const copied = await transaction.copyIn(into, pieces("1\tone\tt\n2\t", "two\tf\n"));
    expect(await count()).toBe(0);
    return copied;
  });
  expect(rows).toBe(2);
  expect(await count()).toBe(2);
  expect(await open().transaction(write, (transaction) => transaction.copyIn(into, pieces()))).toBe(0);
});

test.each([
  ["1\tyes\tt\n2\tyes\tperhaps, line 7\n", "VALUE_REFUSED", { line: 2, sqlState: "22P02" }, "b"],
  ["1\tyes\tt\n2\tyes\n", "VALUE_REFUSED", { line: 2, sqlState: "22P04" }, undefined],
  ["1\tyes\tt\n1\tyes\tt\n", "CONSTRAINT_VIOLATED", { line: 2, constraint: "t_pkey" }, undefined],
  ["3\tno\tt\n", "CONSTRAINT_VIOLATED", { line: 1, constraint: "t_s_check" }, undefined],
])("a refused row is named by its line, not by its values: %j", async (data, code, details, column) => {
  const engine = open();
  const copying = engine.transaction(write, (transaction) => transaction.copyIn(into, pieces(data)));
  const error = await copying.catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code, details, column, side: "postgres" });
  expect(String(error)).not.toMatch(/perhaps|yes/);
  expect(await engine.read(statement("SELECT count(*) AS n FROM t"))).toEqual([{ n: 0 }]);
  expect(engine.statistics().connections).toBe(1);
});

test("after a savepoint the transaction goes on behind a refused COPY", async () => {
  await open().transaction(write, async (transaction) => {
    await transaction.copyIn(into, pieces("1\tone\tt\n"));
    await transaction.script("SAVEPOINT here");
    await expect(transaction.copyIn(into, pieces("2\tno\tt\n"))).rejects.toMatchObject({ code: "CONSTRAINT_VIOLATED" });
    await transaction.script("ROLLBACK TO SAVEPOINT here");
    await transaction.copyIn(into, pieces("3\tthree\tt\n"));
  });
  expect(await runAt(url, "SELECT i FROM t ORDER BY i")).toEqual([{ i: 1 }, { i: 3 }]);
});

test("where the source fails its own error comes out, nothing is kept, and the connection is good", async () => {
  const engine = open();
  const failure = new Error("a secret value");
  const failing = (async function* () {
    yield* pieces("1\tone\tt\n");
    throw failure;
  })();
  const copying = engine.transaction(write, (transaction) => transaction.copyIn(into, failing));
  await expect(copying).rejects.toBe(failure);
  expect(await engine.read(statement("SELECT count(*) AS n FROM t"))).toEqual([{ n: 0 }]);
  expect(engine.statistics().connections).toBe(1);
});

test("the source is asked for no more than the server takes, and told when that is nothing", async () => {
  let asked = 0;
  let ended = false;
  const source = (async function* () {
    try {
      for await (const chunk of endless()) {
        asked++;
        yield chunk;
      }
    } finally {
      ended = true;
    }
  })();
  const engine = throughProxy();
  const sprung = proxy.cutAfter(2_000_000);
  const copying = engine.transaction(write, (transaction) => transaction.copyIn(into, source));
  await expect(copying).rejects.toMatchObject({ code: "DATABASE_UNAVAILABLE" });
  await sprung;
  expect(asked).toBeLessThan(100);
  expect(ended).toBe(true);
  await engine.transaction(write, (transaction) => transaction.copyIn(into, pieces("1\tone\tt\n")));
  expect(await count()).toBe(1);
});

test("the time limit is for each piece, both ways, and holds for the other statements", async () => {
  const engine = open();
  const options = { mode: "write", timeoutMs: 300 } as const;
  const slow = (async function* () {
    for (let i = 0; i < 5; i++) {
      await sleep(100);
      yield Buffer.from(`${i}\tyes\tt\n`);
    }
  })();
  await engine.transaction(options, (transaction) => transaction.copyIn(into, slow));
  expect(await count()).toBe(5);
  const sleeping = engine.transaction(options, async (transaction) => {
    await transaction.copyIn(into, pieces("9\tyes\tt\n"));
    for await (const chunk of transaction.copyOut("COPY t TO STDOUT")) expect(chunk.length).toBeGreaterThan(0);
    await transaction.query(statement("SELECT pg_sleep(1)"));
  });
  await expect(sleeping).rejects.toMatchObject({ code: "DATABASE_UNAVAILABLE", details: { sqlState: "57014" } });
});

test("a server that falls silent is given up", async () => {
  const engine = open();
  const frozen = (async function* () {
    yield* pieces("1\tone\tt\n");
    server.freeze();
    yield* endless();
  })();
  const copying = engine.transaction({ mode: "write", timeoutMs: 200 }, (transaction) =>
    transaction.copyIn(into, frozen),
  );
  await expect(copying).rejects.toMatchObject({ code: "DATABASE_UNAVAILABLE" });
  server.thaw();
  expect(await engine.read(statement("SELECT count(*) AS n FROM t"))).toEqual([{ n: 0 }]);
});

test("rows that come out are whole, and statements behind wait for them", async () => {
  await runAt(url, "INSERT INTO t SELECT i, repeat('x', 100), true FROM generate_series(1, 20000) AS i");
  await open().transaction({ mode: "read" }, async (transaction) => {
    let text = "";
    let later: Promise<unknown> | undefined;
    for await (const chunk of transaction.copyOut("COPY t TO STDOUT")) {
      later ??= transaction.query(statement("SELECT 1 AS one"));
      text += Buffer.from(chunk).toString();
    }
    expect(text.split("\n")).toHaveLength(20_001);
    expect(await later).toEqual([{ one: 1n }]);
  });
});

test("who leaves before the end, or meets an error, costs a connection at most", async () => {
  await runAt(url, "INSERT INTO t SELECT i, repeat('x', 1000), true FROM generate_series(1, 20000) AS i");
  const engine = open();
  const failure = new Error("enough");
  const leaving = engine.transaction({ mode: "read" }, async (transaction) => {
    for await (const chunk of transaction.copyOut("COPY t TO STDOUT")) if (chunk.length > 0) throw failure;
  });
  await expect(leaving).rejects.toBe(failure);
  const text = "COPY (SELECT 1 / (i - 15000) FROM t ORDER BY i) TO STDOUT";
  const failing = engine.transaction({ mode: "read" }, async (transaction) => {
    for await (const chunk of transaction.copyOut(text)) expect(chunk.length).toBeGreaterThan(0);
  });
  await expect(failing).rejects.toMatchObject({ code: "VALUE_REFUSED", details: { sqlState: "22012" } });
  const cut = throughProxy().transaction({ mode: "read" }, async (transaction) => {
    for await (const chunk of transaction.copyOut("COPY t TO STDOUT")) if (chunk.length > 0) proxy.cut();
  });
  await expect(cut).rejects.toMatchObject({ code: "DATABASE_UNAVAILABLE" });
  expect(await engine.read(statement("SELECT count(*) AS n FROM t"))).toEqual([{ n: 20_000 }]);
});
