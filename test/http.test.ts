import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { codes } from "../src/errors.js";
import { createMigrationHandler, type MigrationHandler, type RunReport, toNodeListener } from "../src/http.js";
import { sql } from "../src/index.js";
import { commandLine } from "./support/command-line.js";
import { freshDirectory, freshSqlite } from "./support/databases.js";
import { speaker, TestPair, until } from "./support/pair.js";
import { runAt } from "./support/postgres.js";
import { Recorder } from "./support/recorder.js";

const token = "a-very-secret-token";
const address = "http://localhost/migration";
const bearer = { authorization: `Bearer ${token}` };
const asJson = { ...bearer, "content-type": "application/json" };

const get = (headers: Record<string, string> = bearer) => new Request(address, { headers });
const post = (body?: string, headers: Record<string, string> = asJson) =>
  new Request(address, { method: "POST", headers, ...(body === undefined ? {} : { body }) });

/** copy sets rows aside below the working directory. */
function handlerOf(pair: TestPair, more: Parameters<typeof createMigrationHandler>[0] = {}): MigrationHandler {
  return createMigrationHandler({ env: pair.env("--S", { MIGRATION_TOKEN: token }), ...more });
}

async function bodyOf(response: Response) {
  expect(response.headers.get("content-type")).toBe("application/json");
  expect(response.headers.get("cache-control")).toBe("no-store");
  return JSON.parse(await response.text());
}

async function finished(handler: MigrationHandler): Promise<RunReport> {
  let run: RunReport | null = null;
  await until("the run ends", async () => {
    run = (await bodyOf(await handler(get()))).run;
    return run !== null && run.state !== "running";
  });
  if (run === null) throw new Error("no run");
  return run;
}

/** A file with rows that PostgreSQL has not got yet. */
async function filledPair(): Promise<TestPair> {
  const pair = await TestPair.create();
  const bot = await pair.open("---");
  for (let index = 0; index < 20; index++)
    await bot.messageService.saveHumanMessage({ ...speaker, messageContent: `words number ${index}` });
  await bot.close();
  return pair;
}

const env = () => ({ MIGRATION_TOKEN: token, SQLITE_DB_PATH: freshSqlite() });

describe("a request", () => {
  test.each([
    ["no token", {}],
    ["another token", { authorization: "Bearer another" }],
    ["a part of the token", { authorization: `Bearer ${token.slice(0, -1)}` }],
    ["more than the token", { authorization: `Bearer ${token}x` }],
    ["another scheme", { authorization: `Basic ${token}` }],
    ["an empty one", { authorization: "Bearer " }],
  ])("with %s is refused, whatever it asks", async (_what, headers: Record<string, string>) => {
    const handler = createMigrationHandler({ env: env() });
    for (const request of [get(headers), post("{}", headers), new Request(address, { method: "DELETE", headers })]) {
      const response = await handler(request);
      expect(response.status).toBe(401);
      expect(response.headers.get("www-authenticate")).toBe("Bearer");
      expect((await bodyOf(response)).error.code).toBe("UNAUTHORIZED");
    }
  });

  test.each([undefined, "", "  "])("is refused where the token is %j, with any", async (configured) => {
    const handler = createMigrationHandler({ env: { ...env(), MIGRATION_TOKEN: configured } });
    for (const headers of [{}, { authorization: "Bearer " }, { authorization: "Bearer undefined" }]) {
      const response = await handler(get(headers as Record<string, string>));
      expect(response.status).toBe(503);
      expect((await bodyOf(response)).error.code).toBe("TOKEN_MISSING");
    }
  });

  test("takes the token from the options first, and the environment as it is by then", async () => {
    const variables: NodeJS.ProcessEnv = { ...env(), MIGRATION_TOKEN: "" };
    const handler = createMigrationHandler({ env: variables });
    expect((await handler(post("{", asJson))).status).toBe(503);
    variables.MIGRATION_TOKEN = token;
    expect((await handler(post("{", asJson))).status).toBe(400);
    const own = createMigrationHandler({ env: variables, token: "own" });
    expect((await own(post("{", asJson))).status).toBe(401);
    expect((await own(post("{", { ...asJson, authorization: "bearer own" }))).status).toBe(400);
  });

  test.each(["PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])("%s is not allowed", async (method) => {
    const response = await createMigrationHandler({ env: env() })(new Request(address, { method, headers: bearer }));
    expect(response.status).toBe(405);
    expect(response.headers.get("allow")).toBe("GET, POST");
  });

  const large = JSON.stringify({ dryRun: true, padding: "x".repeat(16_384) });
  test.each([
    ["text", "dryRun", { ...bearer, "content-type": "text/plain" }, 415, "BODY_UNSUPPORTED"],
    ["a form", "dryRun=1", { ...bearer, "content-type": "application/x-www-form-urlencoded" }, 415, "BODY_UNSUPPORTED"],
    ["something like JSON", "{}", { ...bearer, "content-type": "application/jsonp" }, 415, "BODY_UNSUPPORTED"],
    ["half a document", '{"dryRun"', asJson, 400, "VALIDATION_FAILED"],
    ["another kind of value", '{"dryRun":"yes"}', asJson, 400, "VALIDATION_FAILED"],
    ["a list", "[]", asJson, 400, "VALIDATION_FAILED"],
    ["an unknown field", '{"dryrun":true}', asJson, 400, "VALIDATION_FAILED"],
    ["too much", large, asJson, 413, "BODY_TOO_LARGE"],
    ["what says to be too much", "{}", { ...asJson, "content-length": "16385" }, 413, "BODY_TOO_LARGE"],
    ["too much, of the wrong type", large, { ...bearer, "content-type": "text/plain" }, 413, "BODY_TOO_LARGE"],
  ])("with %s in its body is refused", async (_what, body, headers: Record<string, string>, status, code) => {
    const handler = createMigrationHandler({ env: env() });
    const response = await handler(post(body, headers));
    expect(response.status).toBe(status);
    expect((await bodyOf(response)).error.code).toBe(code);
    expect(codes[code as keyof typeof codes].http).toBe(status);
  });

  test("of endless length is read no further than the limit", async () => {
    let sent = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent += 1;
        controller.enqueue(new Uint8Array(4_096));
      },
    });
    const request = new Request(address, { method: "POST", headers: asJson, body, duplex: "half" });
    expect((await createMigrationHandler({ env: env() })(request)).status).toBe(413);
    expect(sent).toBeLessThan(10);
  });

  test("for databases that cannot be had fails with a code, and nothing about them", async () => {
    const logger = new Recorder();
    const handler = createMigrationHandler({ env: env(), logger });
    const response = await handler(get());
    expect(response.status).toBe(503);
    expect(await bodyOf(response)).toEqual({ ok: false, error: { code: "DATABASE_UNAVAILABLE", side: "sqlite" } });
    expect(logger.of("migration-request-failed")).toHaveLength(1);
  });
});

describe("a run", () => {
  let before: string;
  beforeEach(() => {
    before = process.cwd();
  });
  afterEach(() => process.chdir(before));

  test("copies and verifies, tells how far it is, and can be had again", async () => {
    const pair = await filledPair();
    const handler = handlerOf(pair);
    expect((await bodyOf(await handler(get()))).run).toBeNull();
    const started = await handler(post());
    expect(started.status).toBe(202);
    const { run: id } = await bodyOf(started);
    expect(id).toMatch(/^[0-9a-f-]{36}$/);
    const refused = await handler(post("{}"));
    expect(refused.status).toBe(409);
    expect((await bodyOf(refused)).error).toMatchObject({ code: "RUN_UNDER_WAY", run: id });

    const run = await finished(handler);
    expect(run).toMatchObject({ id, dryRun: false, state: "done", error: null, doctor: null, verify: { equal: true } });
    expect(run.progress).toMatchObject({ step: expect.any(String), rows: expect.any(Number) });
    expect(run.copy?.tables).toContainEqual(expect.objectContaining({ table: "messages", written: 20 }));
    expect(await pair.count("postgres", "messages")).toBe(20);
    await pair.expectEqual();

    await handler(post("{}"));
    const again = await finished(handler);
    expect(again.id).not.toBe(id);
    expect(again).toMatchObject({ state: "done" });
    expect(again.copy?.tables.every(({ written }) => written === 0)).toBe(true);
  });

  test("that is dry only looks, as the doctor does", async () => {
    const pair = await filledPair();
    const handler = handlerOf(pair);
    expect((await handler(post('{"dryRun": true}'))).status).toBe(202);
    const run = await finished(handler);
    expect(run).toMatchObject({ dryRun: true, copy: null, verify: null, error: null });
    expect(run.doctor?.tables).toContainEqual(expect.objectContaining({ table: "messages", rows: 20 }));
    expect(await pair.count("postgres", "messages")).toBe(0);
  });

  test("that fails says so with a code, no address, and the next one goes on", async () => {
    const pair = await filledPair();
    const logger = new Recorder();
    const variables = pair.env("--S", {
      MIGRATION_TOKEN: token,
      DATABASE_URL: "postgres://u:hunter2@127.0.0.1:1/secret",
    });
    const handler = createMigrationHandler({ env: variables, logger });
    await handler(post());
    const run = await finished(handler);
    expect(run).toMatchObject({ state: "failed", error: { code: "DATABASE_UNAVAILABLE" } });
    const text = await (await handler(get())).text();
    expect(text).toContain('"error":{"code":"DATABASE_UNAVAILABLE"}');
    expect(text).not.toMatch(/hunter2|127\.0\.0\.1|secret|:\/\//);
    expect(logger.of("migration-run-failed")).toHaveLength(1);
    variables.DATABASE_URL = pair.url;
    expect((await handler(post())).status).toBe(202);
    expect((await finished(handler)).state).toBe("done");
  });

  test("is taken up by another process after a crash", async () => {
    const pair = await filledPair();
    await runAt(pair.url, "ALTER TABLE messages ADD CONSTRAINT last CHECK (message_content <> 'words number 19')");
    process.chdir(freshDirectory());
    const first = handlerOf(pair);
    await first(post());
    expect(await finished(first)).toMatchObject({ state: "differs" });
    await runAt(pair.url, "ALTER TABLE messages DROP CONSTRAINT last");
    const second = handlerOf(pair);
    await second(post());
    expect(await finished(second)).toMatchObject({ state: "done" });
    await pair.expectEqual();
  });

  test("is there for every process of a pair, one at a time, and for those that come later", async () => {
    const pair = await filledPair();
    await (await pair.open("--S")).close();
    const [first, second] = [handlerOf(pair), handlerOf(pair)];
    const look = async (handler: MigrationHandler) => (await bodyOf(await handler(get()))).run as RunReport | null;
    let id = "";
    // The copy waits for this lock.
    await pair.postgres.transaction({ mode: "write", timeoutMs: 60_000 }, async (transaction) => {
      await transaction.query(sql`SELECT 1 FROM dualdb_state FOR UPDATE`);
      ({ run: id } = await bodyOf(await first(post())));
      for (const handler of [first, second, handlerOf(pair)]) {
        const refused = await handler(post());
        expect(refused.status).toBe(409);
        expect((await bodyOf(refused)).error).toEqual({ code: "RUN_UNDER_WAY", message: expect.any(String), run: id });
      }
      expect(await look(first)).toMatchObject({ id, here: true, state: "running", endedAt: null });
      expect(await look(second)).toMatchObject({ id, here: false, state: "running", dryRun: false, endedAt: null });
    });
    expect(await finished(first)).toMatchObject({ id, here: true, state: "done", verify: { equal: true } });
    const done = { id, here: false, state: "done", endedAt: expect.any(Number), copy: null, verify: null, error: null };
    await until("the others know that it has ended", async () => (await look(handlerOf(pair)))?.state === "done");
    expect(await look(handlerOf(pair))).toMatchObject({ ...done, progress: { step: expect.any(String) } });

    const { run: dry } = await bodyOf(await second(post('{"dryRun":true}')));
    await finished(second);
    await until("the dry run is the last", async () => (await look(first))?.id === dry);
    expect(await look(first)).toMatchObject({ here: false, dryRun: true, state: "done", doctor: null });
  });

  test("whose process has gone silent is interrupted for the others, and the next one may begin", async () => {
    const pair = await filledPair();
    await (await pair.open("--S")).close();
    const facts = {
      tables: null,
      run: "lost",
      dryRun: false,
      progress: { step: "copy", table: "messages", rows: 7, total: 9 },
      code: null,
    };
    await runAt(
      pair.url,
      `INSERT INTO dualdb_runs SELECT 'r', pair_id, 'http', 'running', n - 90000, n - 16000, '${JSON.stringify(facts)}'
       FROM dualdb_state, (SELECT (extract(epoch FROM now()) * 1000)::bigint AS n) AS t`,
    );
    const handler = handlerOf(pair);
    const { run, status } = await bodyOf(await handler(get()));
    const { progress } = facts;
    expect(run).toMatchObject({ id: "lost", here: false, state: "interrupted", progress, error: null });
    expect(run.endedAt).toBeLessThan(Date.now() - 10_000);
    expect(status.runs).toContainEqual(expect.objectContaining({ command: "http", outcome: "interrupted" }));
    expect((await commandLine(["status"], { env: pair.env("--S") })).out).toMatch(/^last http {5}interrupted, /m);
    expect((await handler(post())).status).toBe(202);
    expect(await finished(handler)).toMatchObject({ state: "done" });
    expect(await runAt(pair.url, "SELECT outcome FROM dualdb_runs WHERE id = 'r'")).toEqual([
      { outcome: "interrupted" },
    ]);
  });

  test("that failed is remembered with its code", async () => {
    const pair = await filledPair();
    await (await pair.open("--S")).close();
    const handler = handlerOf(pair, { sqlite: freshSqlite() });
    await handler(post());
    expect(await finishedAnywhere(pair)).toMatchObject({ state: "failed", error: { code: "DATABASE_UNAVAILABLE" } });
  });

  test("that was ended is remembered as that, however long it takes to say so", async () => {
    const pair = await filledPair();
    await (await pair.open("--S")).close();
    const asked = new AbortController();
    // The copy waits for this lock.
    await pair.postgres.transaction({ mode: "write", timeoutMs: 60_000 }, async (transaction) => {
      await transaction.query(sql`SELECT 1 FROM dualdb_state FOR UPDATE`);
      await handlerOf(pair, { signal: asked.signal })(post());
      // And its end for this one, longer than what was asked to end may go on.
      await transaction.query(sql`SELECT 1 FROM dualdb_runs WHERE command = 'http' FOR UPDATE`);
      asked.abort();
      const waiting = sql`SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'UPDATE dualdb_runs%'
        AND wait_event_type = 'Lock' AND clock_timestamp() - query_start > interval '1 second'`;
      await until("the end waits", async () => (await pair.postgres.read(waiting)).length > 0);
    });
    expect(await finishedAnywhere(pair)).toMatchObject({ state: "interrupted", error: { code: "INTERRUPTED" } });
  });

  async function finishedAnywhere(pair: TestPair): Promise<RunReport> {
    return finished((request) => handlerOf(pair)(request));
  }

  test("of databases that are no pair leaves no trace, and others do not see it", async () => {
    const pair = await filledPair();
    const handler = handlerOf(pair);
    await handler(post('{"dryRun":true}'));
    await finished(handler);
    expect((await bodyOf(await handlerOf(pair)(get()))).run).toBeNull();
    expect(await pair.count("postgres", "dualdb_runs")).toBe(0);
  });

  test("is shown with the status, without an address", async () => {
    const pair = await filledPair();
    const answers = await Promise.all([1, 2, 3].map(async () => bodyOf(await handlerOf(pair)(get()))));
    for (const { ok, status } of answers) {
      expect(ok).toBe(true);
      expect(status).toMatchObject({
        requested: "shadow",
        databases: { postgres: "(address)" },
        next: { gate: null },
      });
    }
  });
});

describe("the samples of README", () => {
  const sample = (name: string) => readFileSync(new URL(`../examples/http/${name}.ts`, import.meta.url), "utf8");

  async function variables(): Promise<void> {
    const pair = await filledPair();
    for (const [name, value] of Object.entries(pair.env("--S", { MIGRATION_TOKEN: token, PORT: "0" })))
      vi.stubEnv(name, value);
    onTestFinished(() => void vi.unstubAllEnvs());
  }

  test.each(["next", "hono", "node"])("%s stands there as it is run", (name) => {
    const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
    expect(readme).toContain(`\`\`\`ts\n${sample(name)}\`\`\``);
  });

  test("Next.js", async () => {
    await variables();
    const { GET, POST } = await import("../examples/http/next.js");
    expect((await GET(get())).status).toBe(200);
    expect((await POST(post('{"dryRun":true}'))).status).toBe(202);
    expect(await finished(GET)).toMatchObject({ dryRun: true });
  });

  test("Hono", async () => {
    await variables();
    const { default: app } = await import("../examples/http/hono.js");
    const fetch = async (request: Request) => app.fetch(request);
    expect((await fetch(get({}))).status).toBe(401);
    expect((await fetch(post('{"dryRun":true}'))).status).toBe(202);
    expect(await finished(fetch)).toMatchObject({ dryRun: true });
  });

  test("Node", async () => {
    await variables();
    const { server } = await import("../examples/http/node.js");
    onTestFinished(() => void server.close());
    const url = `http://127.0.0.1:${await portOf(server)}/migration`;
    const send = (request: Request) =>
      fetch(url, {
        method: request.method,
        headers: request.headers,
        body: request.body,
        duplex: "half",
      } as RequestInit);
    expect((await send(get({}))).status).toBe(401);
    expect((await send(post("x".repeat(20_000)))).status).toBe(413);
    expect((await send(post('{"dryRun":true}'))).status).toBe(202);
    expect(await finished(send)).toMatchObject({ dryRun: true });
  });
});

describe("a stranger on the socket", () => {
  /** The samples as Node serves them. */
  const served: Readonly<Record<string, () => Promise<Server>>> = {
    async next() {
      const route: Readonly<Record<string, MigrationHandler>> = await import("../examples/http/next.js");
      const notAllowed = () => new Response(null, { status: 405 });
      return createServer(toNodeListener((request) => (route[request.method] ?? notAllowed)(request))).listen(0);
    },
    async hono() {
      const { default: app } = await import("../examples/http/hono.js");
      return createServer(toNodeListener(app.fetch)).listen(0);
    },
    async node() {
      return createServer(toNodeListener(createMigrationHandler())).listen(0);
    },
  };

  async function listening(name: string): Promise<number> {
    for (const [variable, value] of Object.entries(env())) vi.stubEnv(variable, value);
    const server = await served[name]?.();
    if (server === undefined) throw new Error(`no sample ${name}`);
    onTestFinished(() => {
      vi.unstubAllEnvs();
      server.closeAllConnections();
      server.close();
    });
    return portOf(server);
  }

  const path = "/migration";
  const host = "Host: localhost";
  const close = "Connection: close";
  const own = `Authorization: Bearer ${token}`;
  const lines = (...all: readonly string[]) => `${all.join("\r\n")}\r\n\r\n`;

  const requests: readonly (readonly [what: string, sent: string, status: RegExp | ""])[] = [
    ["TRACE", lines(`TRACE ${path} HTTP/1.1`, host, close), /^405/],
    ["CONNECT", lines("CONNECT localhost:1 HTTP/1.1", host), ""],
    ["a method that nobody knows", lines(`TRACK ${path} HTTP/1.1`, host, close), /^400/],
    ["OPTIONS for all", lines("OPTIONS * HTTP/1.1", host, close), /^40[145]/],
    ["a Host that is none", lines(`GET ${path} HTTP/1.1`, "Host: ][ @:99999", close), /^401/],
    ["no Host", lines(`GET ${path} HTTP/1.1`, close), /^400/],
    ["a whole URL", lines("GET http://[/x HTTP/1.1", host, close), /^40[014]/],
    ["a URL of another scheme", lines("GET mailto:x@y:99999 HTTP/1.1", host, close), /^40[014]/],
    ["slashes", lines("GET //// HTTP/1.1", host, close), /^40[14]/],
    ["backslashes and what is no escape", lines("GET /\\[::%zz?%# HTTP/1.1", host, close), /^40[14]/],
    ["a header that is no ASCII", lines(`GET ${path} HTTP/1.1`, host, "X-Odd: \u00ff\u0080 \t", close), /^401/],
    ["a header with a NUL", lines(`GET ${path} HTTP/1.1`, host, "X-Odd: a\0b", close), /^400/],
    ["a header without a name", lines(`GET ${path} HTTP/1.1`, host, ": x", close), /^400/],
    ["huge headers", lines(`GET ${path} HTTP/1.1`, host, `X-Long: ${"x".repeat(100_000)}`, close), /^431/],
    ["two tokens", lines(`GET ${path} HTTP/1.1`, host, own, own, close), /^401/],
    ["GET with a body", `${lines(`GET ${path} HTTP/1.1`, host, close, "Content-Length: 5")}hello`, /^401/],
    ["an expectation", lines(`POST ${path} HTTP/1.1`, host, close, "Expect: a miracle"), /^417/],
    ["an upgrade", lines(`GET ${path} HTTP/1.1`, host, "Connection: Upgrade", "Upgrade: websocket"), /^401/],
    ["HEAD", lines(`HEAD ${path} HTTP/1.1`, host, close), /^40[15]/],
    ["half a body", `${lines(`POST ${path} HTTP/1.1`, host, own, close, "Content-Length: 9")}{`, /^(400|$)/],
    [
      "a broken chunk",
      `${lines(`POST ${path} HTTP/1.1`, host, own, close, "Transfer-Encoding: chunked")}zz\r\n`,
      /^400/,
    ],
    ["no HTTP at all", "\u0016\u0003\u0001 hello\r\n\r\n", /^400/],
    ["nothing", "", ""],
  ];

  test.each(Object.keys(served))("cannot end the process that serves %s, nor get past the token", async (name) => {
    const port = await listening(name);
    for (const [what, sent, status] of requests) {
      const answer = (await said(port, sent)).replace("HTTP/1.1 ", "");
      expect(`${what}: ${answer.split("\r\n")[0]}`).toMatch(
        new RegExp(`^${what}: ${status === "" ? "$" : status.source.replace("^", "")}`),
      );
      expect(await said(port, lines(`GET ${path} HTTP/1.1`, host, close))).toMatch(/^HTTP\/1\.1 401 /);
    }
  });

  const chunk = `fa00\r\n${"x".repeat(64_000)}\r\n`;
  const bodies = [
    ["of a known length", "Content-Length: 2000000", "x".repeat(2_000_000)],
    ["in chunks", "Transfer-Encoding: chunked", `${chunk.repeat(30)}0\r\n\r\n`],
  ] as const;

  test.each(bodies)("a body %s that is too long is refused, and the next request answered", async (_, length, body) => {
    const port = await listening("node");
    const socket = connect(port, "127.0.0.1");
    const answers = collected(socket);
    socket.write(lines(`POST ${path} HTTP/1.1`, host, own, "Content-Type: application/json", length));
    socket.write(body.slice(0, 100_000));
    await until("the body is refused", () => answers().startsWith("HTTP/1.1 413 "));
    socket.write(body.slice(100_000) + lines(`GET ${path} HTTP/1.1`, host, close));
    await until("the next request is answered", () => /HTTP\/1\.1 401 /.test(answers()));
    socket.destroy();
  });

  test("a handler that fails, or whose answer breaks off, fails alone", async () => {
    const answers: readonly (() => Response | Promise<Response>)[] = [
      () => Promise.reject(new Error("failed")),
      () => {
        throw new Error("failed");
      },
      () => new Response(new ReadableStream({ start: (controller) => controller.error(new Error("broke off")) })),
      () => new Response(new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(65_536)) })),
      () =>
        new Response("at last", {
          headers: [
            ["set-cookie", "a=1"],
            ["set-cookie", "b=2"],
          ],
        }),
    ];
    const waiting = [...answers];
    const server = createServer(toNodeListener(() => (waiting.shift() as () => Response)())).listen(0);
    onTestFinished(() => void server.close());
    const port = await portOf(server);
    const ask = lines("GET / HTTP/1.1", host, close);
    expect(await said(port, ask)).toMatch(/^HTTP\/1\.1 500 /);
    expect(await said(port, ask)).toMatch(/^HTTP\/1\.1 500 /);
    expect(await said(port, ask)).not.toContain("broke off");
    const impatient = connect(port, "127.0.0.1");
    impatient.write(ask);
    await once(impatient, "data");
    impatient.destroy();
    const last = await said(port, ask);
    expect(last).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(last).toContain("\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n");
    expect(last).toContain("at last");
  });
});

async function portOf(server: Server): Promise<number> {
  if (!server.listening) await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

/** Sends the bytes, and nothing after them; whatever comes back until the connection ends. */
async function said(port: number, sent: string): Promise<string> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const answer = collected(socket);
  socket.end(Buffer.from(sent, "latin1"));
  await new Promise((resolve) => socket.once("end", resolve).once("close", resolve));
  socket.destroy();
  return answer();
}

/** What a socket has received so far. */
function collected(socket: Socket): () => string {
  let text = "";
  socket.setEncoding("latin1").on("data", (data) => {
    text += data;
  });
  socket.on("error", () => undefined);
  return () => text;
}
