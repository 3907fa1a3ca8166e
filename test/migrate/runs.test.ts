import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openPostgres } from "../../src/engines/postgres.js";
import { sql } from "../../src/index.js";
import { copy } from "../../src/migrate/copy.js";
import { exportData } from "../../src/migrate/export.js";
import { importData } from "../../src/migrate/import.js";
import { lastRuns, type Run, recordRun } from "../../src/migrate/runs.js";
import { verify } from "../../src/migrate/verify.js";
import { commandLine } from "../support/command-line.js";
import { freshDirectory, freshPostgres } from "../support/databases.js";
import { speaker, TestPair } from "../support/pair.js";
import { runAt } from "../support/postgres.js";
import { configOf } from "../support/postgres-config.js";
import { Recorder } from "../support/recorder.js";

const verified = (outcome: Run["outcome"], endedAt: number): Run => ({
  command: "verify",
  outcome,
  beganAt: endedAt - 1,
  endedAt,
  facts: { tables: null, equal: outcome === "done" },
});

const runsOf = (pair: TestPair) => pair.postgres.transaction({ mode: "read" }, lastRuns);

describe("runs", () => {
  test("the last one of each command and outcome is remembered in an armed pair", async () => {
    const pair = await TestPair.create();
    await (await pair.open("--S")).close();
    const copy = { ...verified("done", 5), command: "copy" };
    for (const run of [verified("done", 10), verified("differs", 15), verified("done", 20), copy])
      expect(await recordRun(pair.postgres, run)).toBe(true);
    expect(await runsOf(pair)).toEqual([verified("done", 20), verified("differs", 15), copy]);
  });

  test("leave no trace where the databases are no pair, and are forgotten with the pair", async () => {
    const pair = await TestPair.create();
    expect(await recordRun(pair.postgres, verified("done", 20))).toBe(false);
    await (await pair.open("--S")).close();
    await recordRun(pair.postgres, verified("done", 20));
    await runAt(pair.url, "UPDATE dualdb_state SET pair_id = 'another'");
    expect(await runsOf(pair)).toEqual([]);
  });

  test("include a copy's, whose bot has been away", async () => {
    const pair = await TestPair.create();
    await (await pair.open("--S")).close();
    const bot = await pair.open("---");
    await bot.messageService.saveHumanMessage({ ...speaker, messageContent: "owed" });
    await bot.close();
    await copy({ env: pair.env("---"), rejects: freshDirectory() });
    const facts = { tables: null, written: 1, setAside: 0 };
    expect(await runsOf(pair)).toEqual([expect.objectContaining({ command: "copy", outcome: "done", facts })]);
    await pair.expectEqual();
  });

  test("that failed or were interrupted are remembered with the code", async () => {
    const pair = await TestPair.create();
    const bot = await pair.open("--S");
    await bot.messageService.saveHumanMessage({ ...speaker, messageContent: "refused from now on" });
    await bot.drain();
    await bot.close();
    const env = pair.env("---");
    const directory = join(freshDirectory(), "exported");
    await exportData({ env, directory });
    await runAt(pair.url, "ALTER TABLE messages ADD CHECK (message_content IS NULL) NOT VALID");
    await (await pair.sqlite).write([sql`UPDATE messages SET ai_summary = 'changed'`]);
    const [looking, half] = [new AbortController(), new AbortController()];
    await expect(copy({ env, strict: true })).rejects.toMatchObject({ code: "CONSTRAINT_VIOLATED" });
    const comparing = verify({ env, signal: looking.signal, onProgress: () => looking.abort() });
    await expect(comparing).rejects.toMatchObject({ code: "INTERRUPTED" });
    const onProgress = ({ step }: { step: string }) => (step === "import" ? half.abort() : undefined);
    const importing = importData({ env, directory, signal: half.signal, onProgress });
    await expect(importing).rejects.toMatchObject({ code: "INTERRUPTED" });
    await expect(copy({ env, from: "postgres", tables: ["nobody"] })).rejects.toMatchObject({ code: "NOT_PRIMARY" });
    await expect(copy({ env, tables: ["nobody"] })).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    const runs = await runsOf(pair);
    const short = ({ command, outcome, facts }: Run) => [command, outcome, facts.tables, facts.code];
    expect(runs.map(short)).toEqual([
      ["copy", "failed", ["nobody"], "NOT_PRIMARY"],
      ["import", "interrupted", null, "INTERRUPTED"],
      ["verify", "interrupted", null, "INTERRUPTED"],
      ["copy", "failed", null, "CONSTRAINT_VIOLATED"],
    ]);
    const { out } = await commandLine(["status"], { env });
    expect(out).toMatch(/^last copy {5}failed with NOT_PRIMARY, /m);
    expect(out).toMatch(/^last verify {3}interrupted, /m);
  });

  test("are no failure of the command where they cannot be remembered", async () => {
    const logger = new Recorder();
    const postgres = openPostgres({ config: configOf(await freshPostgres()), logger });
    expect(await recordRun(postgres, verified("done", 20), logger)).toBe(false);
    await postgres.close();
    expect(logger.of("run-not-recorded")).toHaveLength(1);
  });
});

describe("what a process counts", () => {
  const counters = (pair: TestPair) =>
    runAt(
      pair.url,
      "SELECT s.route, c.name, c.code, c.total::int FROM dualdb_counters c JOIN dualdb_steps s ON s.id = c.step ORDER BY s.id, c.name, c.code",
    );

  test("is in PostgreSQL when it has closed, by the step that it was on", async () => {
    const pair = await TestPair.create();
    for (const letters of ["--S", "--S", "-RS"]) {
      const database = await pair.open(letters);
      for (let index = 0; index < 3; index++)
        await database.messageService.saveHumanMessage({ ...speaker, messageContent: `row ${index}` });
      await database.drain();
      if (letters === "-RS") await database.messageService.getMessageCount();
      await database.close();
    }
    expect(await counters(pair)).toEqual([
      { route: "shadow", name: "mirrored", code: "", total: 6 },
      { route: "read", name: "fenced", code: "", total: 1 },
      { route: "read", name: "mirrored", code: "", total: 3 },
    ]);
  });

  test("includes the errors that it logged, by event and code", async () => {
    const pair = await TestPair.create();
    const database = await pair.open("--S");
    await database.drain();
    await runAt(pair.url, "ALTER TABLE messages ADD CONSTRAINT short CHECK (length(message_content) < 5)");
    await database.messageService.saveHumanMessage({ ...speaker, messageContent: "too long" });
    await database.drain({ timeoutMs: 2_000 });
    await database.close();
    expect(await counters(pair)).toContainEqual({
      route: "shadow",
      name: "refused",
      code: "",
      total: expect.any(Number),
    });
    const [error] = await runAt(
      pair.url,
      "SELECT name, first_at <= last_at AS ordered FROM dualdb_counters WHERE kind = 'error'",
    );
    expect(error).toEqual({ name: "refused", ordered: true });
  });

  test("is told in a table that comes again where somebody has dropped it, and holds up nobody", async () => {
    const pair = await TestPair.create();
    const logger = new Recorder();
    const database = await pair.open("--S", { logger });
    await runAt(pair.url, "DROP TABLE dualdb_counters");
    await database.messageService.saveHumanMessage({ ...speaker, messageContent: "row" });
    await database.close();
    expect(await counters(pair)).toContainEqual({ route: "shadow", name: "mirrored", code: "", total: 1 });
    expect(logger.lines.filter(({ level }) => level === "error")).toEqual([]);
    await pair.expectEqual();
  });
});
