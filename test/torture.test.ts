import { mkdtempSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, inject, test } from "vitest";
import { mutants } from "./torture/mutants.js";
import { replaced } from "./torture/package-copy.js";
import { failureText, summaryText } from "./torture/report.js";
import { torture } from "./torture/run.js";

const dist = fileURLToPath(new URL("../dist", import.meta.url));

/** `npm run torture` is the long run; this one shows with every change that it still holds, and that the run itself works. */
test("a short torture run", { timeout: 180_000 }, async () => {
  const [seed, rounds] = [20, 6];
  const scratch = mkdtempSync(path.join(inject("scratch"), "torture-"));
  const summary = await torture({ rounds, seed, dist, scratch, replacements: [], drill: null, report: () => {} });
  const text = summaryText(summary, seed);
  if (summary.failed !== null) throw new Error(`${text}\n${failureText(summary.failed, seed)}`);
  expect(summary.rounds).toBe(rounds);
  expect(summary.writes).toBeGreaterThanOrEqual(200 * rounds);
  expect(Object.keys(summary.faults)).not.toEqual([]);
  expect(summary.rowsCompared).toBeGreaterThan(summary.writes / 4);
});

test.each(mutants)("the mutant $name still fits the package", ({ replacements }) => {
  for (const replacement of replacements) expect(() => replaced(dist, replacement)).not.toThrow();
});
