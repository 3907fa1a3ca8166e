import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, inject, onTestFinished, test } from "vitest";
import { startPostgres } from "./support/postgres.js";
import { startProxy } from "./support/proxy.js";
import { Cast } from "./torture/cast.js";
import { compileBot, Fleet } from "./torture/fleet.js";
import { mutants } from "./torture/mutants.js";
import { replaced } from "./torture/package-copy.js";
import { makePair } from "./torture/pair.js";
import { planOf } from "./torture/plan.js";
import { failureText, shortfalls, summaryText } from "./torture/report.js";
import { torture } from "./torture/run.js";
import { Troubles } from "./torture/troubles.js";

const dist = fileURLToPath(new URL("../dist", import.meta.url));

/** `npm run torture` is the long run; this one shows with every change that it still holds, and that the run itself works. */
test("a short torture run", { timeout: 600_000 }, async () => {
  const [seed, rounds] = [20, 6];
  const scratch = mkdtempSync(path.join(inject("scratch"), "torture-"));
  const summary = await torture({ rounds, seed, dist, scratch, replacements: [], drill: null, report: () => {} });
  const text = summaryText(summary, seed);
  if (summary.failed !== null) throw new Error(`${text}\n${failureText(summary.failed, seed)}`);
  expect(summary.rounds).toBe(rounds);
  expect(shortfalls(summary)).toEqual([]);
  expect(summary.rowsCompared).toBeGreaterThan(summary.writes / 4);
});

/** Stopped by the round, the bot cannot come to a stop after it has been told to go on; and held, it hears everything else. */
test("a bot whose trap is sprung late, when nobody waits for it any more, goes on when it is told to", async () => {
  const scratch = mkdtempSync(path.join(inject("scratch"), "torture-"));
  const server = await startPostgres({ settings: { track_commit_timestamp: "on" } });
  const fleet = new Fleet(compileBot(scratch), dist);
  const proxies = [await startProxy(server.port)];
  onTestFinished(async () => {
    await fleet.end();
    for (const proxy of proxies) await proxy.close();
    await server.stop();
  });
  const pair = await makePair(server, scratch, 1);
  const [known, logs] = [path.join(scratch, "known.json"), path.join(scratch, "logs")];
  writeFileSync(known, "[]");
  mkdirSync(logs);
  const plan = planOf(1, 1, null);
  const cast = new Cast({
    seed: 1,
    plan,
    pair,
    proxies,
    fleet,
    troubles: new Troubles(),
    logs,
    known,
    paired: false,
  });
  await cast.open(0, { primary: false, read: false, shadow: true });
  const { process: bot } = cast.slot(0);
  await bot.trap({ do: "trap", point: "after-read", skip: 0, action: "hold" });
  expect(await bot.ask({ to: "count", userId: "nobody" })).toEqual([{ count: 0 }]);
  bot.send({ do: "resume" });
  await bot.stop();
});

test.each(mutants)("the mutant $name still fits the package", ({ replacements }) => {
  for (const replacement of replacements) expect(() => replaced(dist, replacement)).not.toThrow();
});
