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
test.each([
  { name: "always the same seed", seed: 20, rounds: 4 },
  { name: "a new seed", seed: Date.now() % 1_000_000, rounds: 3 },
])("a short torture run: $name ($seed)", { timeout: 180_000 }, async ({ seed, rounds }) => {
  const scratch = mkdtempSync(path.join(inject("scratch"), "torture-"));
  const summary = await torture({ rounds, seed, dist, scratch, replacements: [], report: () => {} });
  const text = summaryText(summary, seed);
  if (summary.failed !== null) throw new Error(`${text}\n${failureText(summary.failed, seed, undefined)}`);
  expect(summary.rounds).toBe(rounds);
  expect(summary.writes).toBeGreaterThanOrEqual(200 * rounds);
  expect(Object.keys(summary.faults)).not.toEqual([]);
  expect(summary.rowsCompared).toBeGreaterThan(summary.writes / 4);
});

test.each(mutants)("the mutant $name still fits the package", ({ replacements }) => {
  for (const replacement of replacements) expect(() => replaced(dist, replacement)).not.toThrow();
});
