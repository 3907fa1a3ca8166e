import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { drills } from "./drills.js";
import { type Mutant, mutants, spare } from "./mutants.js";
import { failureText, shortfalls, summaryText } from "./report.js";
import { type Summary, torture } from "./run.js";

/**
 * `npm run torture -- --rounds N --seed S` · `--mutant NAME`: with one rule of the protocol left out · `--mutants`: all of those, one
 * after the other, as a table · `--drill NAME`: every round has that drill · `--keep`: leave databases and logs behind · `--dist DIR`: another build.
 */
const { values: given } = parseArgs({
  options: {
    rounds: { type: "string", default: "100" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    mutant: { type: "string" },
    mutants: { type: "boolean", default: false },
    drill: { type: "string" },
    keep: { type: "boolean", default: false },
    dist: { type: "string", default: fileURLToPath(new URL("../../dist", import.meta.url)) },
  },
});
const print = (line: string) => process.stdout.write(`${line}\n`);
const rounds = wholeNumber("rounds", given.rounds);
const seed = wholeNumber("seed", given.seed);
if (given.drill !== undefined && !Object.hasOwn(drills, given.drill))
  throw new Error(`no drill ${given.drill}; there are ${Object.keys(drills).join(", ")}`);
if (!existsSync(path.join(given.dist, "database.js")))
  throw new Error(`no built package in ${given.dist}: npm run build`);

if (given.mutants) await tryAll();
else process.exitCode = verdict(await tryOne(mutantNamed(given.mutant), true));

/** The exit status: 0 where everything that a run has to show was shown, and nothing else. */
function verdict(summary: Summary): number {
  const short = summary.failed === null ? shortfalls(summary) : [];
  for (const what of short) print(`NOT SHOWN: ${what}`);
  return summary.failed === null && short.length === 0 ? 0 : 1;
}

function wholeNumber(name: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new Error(`--${name} must be a whole number`);
  return Number(text);
}

function mutantNamed(name: string | undefined): Mutant | null {
  if (name === undefined) return null;
  const found = mutants.find((mutant) => mutant.name === name);
  if (found === undefined)
    throw new Error(`no mutant ${name}; there are ${mutants.map((mutant) => mutant.name).join(", ")}`);
  return found;
}

async function tryOne(mutant: Mutant | null, aloud: boolean): Promise<Summary> {
  const scratch = mkdtempSync(path.join(tmpdir(), "dualdb-torture-"));
  const replacements = mutant?.replacements ?? [];
  const report = aloud ? progress() : () => {};
  const summary = await torture({
    rounds,
    seed,
    dist: given.dist,
    scratch,
    replacements,
    drill: given.drill ?? null,
    report,
  });
  if (aloud) print(summaryText(summary, seed));
  if (aloud && summary.failed !== null)
    print(failureText(summary.failed, seed, { mutant: mutant?.name, drill: given.drill }));
  if (given.keep || (aloud && mutant === null && summary.failed !== null)) print(`databases and logs: ${scratch}`);
  else rmSync(scratch, { recursive: true, force: true });
  return summary;
}

/** A line for every tenth round, or for each where they are few. */
function progress(): (line: string) => void {
  let lines = 0;
  return (line) => {
    if (rounds <= 30 || ++lines % 10 === 0) print(line);
  };
}

async function tryAll(): Promise<void> {
  print(`seed ${seed}\n| mutant | rule left out | caught in round |\n| --- | --- | --- |`);
  for (const mutant of mutants) {
    const { failed } = await tryOne(mutant, false);
    const [first] = failed?.deviations ?? [];
    const caught =
      failed === null ? `not caught in ${rounds}` : `${failed.round}: ${first?.kind}, ${first?.what.slice(0, 90)}`;
    print(`| ${mutant.name} | ${mutant.rule} | ${caught} |`);
    if (failed === null) process.exitCode = 1;
  }
  for (const { rule, why } of spare) print(`without effect: ${rule}: ${why}`);
}
