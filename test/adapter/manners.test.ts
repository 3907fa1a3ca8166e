import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { speaker, TestPair } from "../support/pair.js";

const index = new URL("../../src/index.ts", import.meta.url).href;
const functions = new URL("../../src/functions.ts", import.meta.url).href;

interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

/** Runs a program in a process of its own; it has to end by itself. `loaded()` names the drivers that it has loaded. */
async function run(program: string, env: NodeJS.ProcessEnv = {}): Promise<Outcome> {
  const preamble = `
    import { createRequire } from "node:module";
    const cache = createRequire(import.meta.url).cache;
    const loaded = () => ["pg", "@libsql/client", "libsql", "pino"].filter((name) =>
      [...Object.keys(cache), ...process.moduleLoadList].some((path) => path.includes("/node_modules/" + name + "/")));
    const active = () => process.getActiveResourcesInfo().filter((name) => !/Pipe|TTY|FSReq/.test(name));
    const say = (value) => process.stdout.write(JSON.stringify(value) + "\\n");
    const speaker = ${JSON.stringify(speaker)};`;
  const text = `${preamble}\n${program}`;
  const began = performance.now();
  const parts = ["--import", "tsx", "--input-type=module", "-e", text];
  const options = { env: { PATH: process.env.PATH, ...env }, timeout: 120_000 };
  const { stdout, stderr } = await promisify(execFile)(process.execPath, parts, options);
  return { stdout, stderr, ms: performance.now() - began };
}

function lines(stdout: string): unknown[] {
  return stdout
    .trim()
    .split("\n")
    .filter((line) => line !== "")
    .map((line): unknown => JSON.parse(line));
}

describe("importing", () => {
  test.each([index, functions])(
    "%s does nothing: no driver, no timer, no socket, no look at the environment",
    async (url) => {
      const { stdout, stderr } = await run(`
      const read = [];
      const listeners = process.eventNames().length;
      const before = active().length;
      process.env = new Proxy(process.env, { get: (env, name) => { read.push(name); return env[name]; } });
      await import(${JSON.stringify(url)});
      const looked = read.filter((name) => /POSTGRES|SQLITE|TURSO|DATABASE|LOG_LEVEL/.test(String(name)));
      say({ loaded: loaded(), timers: Math.max(0, active().length - before), looked, listeners: process.eventNames().length - listeners });`);
      expect(lines(stdout)).toEqual([{ loaded: [], timers: 0, looked: [], listeners: 0 }]);
      expect(stderr).toBe("");
    },
  );

  test("creating a database does nothing either", async () => {
    const pair = await TestPair.create();
    const { stdout } = await run(
      `const { createDatabase } = await import(${JSON.stringify(index)});
      const before = active().length;
      const database = createDatabase();
      process.env.SQLITE_DB_PATH = ${JSON.stringify(pair.file)};
      say({ loaded: loaded(), timers: Math.max(0, active().length - before) });
      say(await database.messageService.getMessageCount());
      await database.close();`,
      { USE_POSTGRES_SHADOW: "", DATABASE_URL: pair.url },
    );
    expect(lines(stdout)).toEqual([{ loaded: [], timers: 0 }, 0]);
  });
});

describe("a process of its own", () => {
  test("with flags unset never loads pg, and with another never more than it needs", async () => {
    const pair = await TestPair.create();
    const program = `
      const { createDatabase } = await import(${JSON.stringify(index)});
      const database = createDatabase();
      await database.messageService.saveHumanMessage({ ...speaker, messageContent: "one" });
      say({ pg: loaded().includes("pg"), postgres: (await database.status()).postgres });
      await database.close();`;
    await (await pair.open("---")).close();
    expect(lines((await run(program, pair.env("---"))).stdout)).toEqual([{ pg: false, postgres: null }]);
    const [shadowed] = lines((await run(program, pair.env("--S"))).stdout);
    expect(shadowed).toMatchObject({ pg: true });
  });

  test.each(["---", "--S", "-RS", "P-S"])(
    "with %s ends by itself after close(), and without it when it is idle",
    async (letters) => {
      const pair = await TestPair.create();
      const program = (close: string) => `
      const { createDatabase } = await import(${JSON.stringify(index)});
      const database = createDatabase();
      await database.messageService.saveHumanMessage({ ...speaker, messageContent: "one" });
      await database.messageService.getMessageCount();
      ${close}
      say("done");
      globalThis.ended = performance.now();
      process.on("exit", () => say(Math.round(performance.now() - globalThis.ended)));`;
      const [, closed] = lines((await run(program("await database.close();"), pair.env(letters))).stdout);
      expect(closed).toBeLessThan(1_000);
      const [, idle] = lines((await run(program(""), pair.env(letters))).stdout);
      expect(idle).toBeLessThan(5_000);
      await pair.expectConverged(await pair.open(letters.startsWith("P") ? "P-S" : "--S"));
    },
  );

  test("says nothing by default, and JSON lines of pino where LOG_LEVEL is set", async () => {
    const pair = await TestPair.create();
    const program = `
      const { createDatabase } = await import(${JSON.stringify(index)});
      const database = createDatabase();
      await database.open();
      await database.drain();
      await database.close();`;
    const silent = await run(program, pair.env("P-S"));
    expect(silent.stdout + silent.stderr).toBe("");
    const spoken = await run(program, pair.env("--S", { LOG_LEVEL: "info" }));
    const said = lines(spoken.stdout);
    expect(said.length).toBeGreaterThan(0);
    for (const line of said)
      expect(line).toMatchObject({ name: "dualdb", level: expect.any(Number), msg: expect.any(String) });
    expect(said).toContainEqual(expect.objectContaining({ event: "flip-step", step: "leave-postgres" }));
    expect(spoken.stderr).toBe("");
  });

  test("the flat functions belong to one database, opened at the first call and closed by closeDatabase()", async () => {
    const pair = await TestPair.create();
    const { stdout } = await run(
      `const flat = await import(${JSON.stringify(functions)});
      const { configureDatabase, messageService, closeDatabase } = await import(${JSON.stringify(index)});
      let analyzed = 0;
      configureDatabase({ analyzeMessage: async () => { analyzed += 1; return { summary: "short" }; } });
      await flat.initializeDatabase();
      await flat.initializeSchema();
      const id = await flat.saveHumanMessage({ ...speaker, messageContent: "one" });
      say([(await messageService.getMessageById(id)).ai_summary, await flat.getMessageCount(), analyzed]);
      const late = (() => { try { configureDatabase({}); } catch (error) { return error.code; } })();
      say(late);
      await flat.closeDatabase();
      await closeDatabase();
      configureDatabase({});
      say(await messageService.getMessageCount());
      await closeDatabase();
      say(Object.keys(flat).sort());`,
      { SQLITE_DB_PATH: pair.file },
    );
    const [first, late, again, names] = lines(stdout);
    expect([first, late, again]).toEqual([["short", 1, 1], "CONFIG_INVALID", 1]);
    expect(names).toHaveLength(33);
  });

  test("gets turns of the event loop while it writes, reads and mirrors much", async () => {
    const pair = await TestPair.create();
    const { stdout } = await run(
      `const { createDatabase } = await import(${JSON.stringify(index)});
      const { monitorEventLoopDelay } = await import("node:perf_hooks");
      const database = createDatabase();
      await database.open();
      const delay = monitorEventLoopDelay({ resolution: 5 });
      let ticks = 0;
      const timer = setInterval(() => ticks++, 5);
      delay.enable();
      const began = performance.now();
      for (let index = 0; index < 1500; index++)
        await database.messageService.saveHumanMessage({ ...speaker, messageContent: "row " + index });
      for (let index = 0; index < 20; index++) await database.messageService.queryMessages({ limit: 1000 });
      await database.drain();
      delay.disable();
      clearInterval(timer);
      say({ p99: delay.percentile(99) / 1e6, share: (ticks * 5) / (performance.now() - began) });
      await database.close();`,
      pair.env("--S"),
    );
    const [measured] = lines(stdout);
    const { p99, share } = measured as { p99: number; share: number };
    expect(p99).toBeLessThan(150);
    expect(share).toBeGreaterThan(0.1);
    await pair.expectEqual();
  });
});
