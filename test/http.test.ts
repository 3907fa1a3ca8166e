import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { Server } from "node:http";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { codes } from "../src/errors.js";
import { createMigrationHandler, type MigrationHandler, type RunReport } from "../src/http.js";
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
    const url = await listening(server);
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

  async function listening(server: Server): Promise<string> {
    if (!server.listening) await once(server, "listening");
    const place = server.address();
    return `http://127.0.0.1:${typeof place === "object" ? place?.port : place}/migration`;
  }
});
