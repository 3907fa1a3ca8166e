import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import type { RunReport } from "../src/http.js";
import type { MigrationStatus } from "../src/migrate/status.js";
import { armedPair, eightWriters } from "./support/armed-pair.js";
import { until } from "./support/pair.js";
import { runAt } from "./support/postgres.js";

const program = fileURLToPath(new URL("./support/http-process.ts", import.meta.url));
const headers = { authorization: "Bearer secret" };

interface Answer {
  readonly status: MigrationStatus;
  readonly run: RunReport | null;
}

/** An application in a process of its own, with the migration over HTTP. */
async function served(env: NodeJS.ProcessEnv) {
  const child = fork(program, { execArgv: ["--import", "tsx"], env });
  onTestFinished(() => void child.kill("SIGKILL"));
  const [port] = await once(child, "message");
  const url = `http://127.0.0.1:${port}/migration`;
  return {
    async look(): Promise<Answer> {
      return (await (await fetch(url, { headers })).json()) as Answer;
    },
    async start(): Promise<number> {
      return (await fetch(url, { method: "POST", headers })).status;
    },
    async kill(): Promise<void> {
      child.kill("SIGKILL");
      await once(child, "exit");
    },
  };
}

test("killed in the middle of a copy under eight writers: another process shows it, says what is owed, and goes on to the end", async () => {
  const pair = await armedPair(300);
  const env = { PATH: process.env.PATH, ...pair.env("---", { MIGRATION_TOKEN: "secret" }) };
  const first = await served({ ...env, MIGRATION_BATCH_SIZE: "10" });
  const second = await served(env);
  const database = await pair.open("---");
  const writers = eightWriters(database);
  expect(await first.start()).toBe(202);
  let run: RunReport | null = null;
  await until("some rows are copied", async () => {
    ({ run } = await first.look());
    return (run?.progress?.rows ?? 0) > 0;
  });
  expect(await second.start()).toBe(409);
  await first.kill();
  expect(run).toMatchObject({ here: true, state: "running", progress: { step: "copy" }, copy: null, endedAt: null });

  // As if it had been gone for longer.
  await runAt(pair.url, "UPDATE dualdb_runs SET ended_at = ended_at - 60000");
  const { status, run: lost } = await second.look();
  expect(lost).toMatchObject({
    here: false,
    state: "interrupted",
    copy: null,
    verify: null,
    endedAt: expect.any(Number),
  });
  expect(status.runs).toContainEqual(expect.objectContaining({ command: "http", outcome: "interrupted" }));
  expect(status.runs.map(({ command }) => command)).not.toContain("verify");
  expect(status.tables.find(({ table }) => table === "messages")?.owed).toBeGreaterThan(0);
  expect(await second.start()).toBe(202);
  await until("the copy is done", async () => (await second.look()).run?.copy !== null);
  expect(Math.min(...(await writers.stop()))).toBeGreaterThan(0);
  await database.close();
  // What was written behind the copy: the verify waits for it.
  await pair.open("--S");
  await until("the run ends", async () => {
    ({ run } = await second.look());
    return run?.state !== "running";
  });
  expect(run).toMatchObject({ state: "done", error: null, copy: { rejects: null }, verify: { equal: true } });
  expect((await second.look()).status.runs.map(({ command, outcome }) => `${command} ${outcome}`)).toEqual([
    "http done",
    "verify done",
    "copy done",
    "http interrupted",
  ]);
  await pair.expectEqual();
});
