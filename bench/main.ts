import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import type { Figure, Measure } from "./harness.js";
import { catchUp } from "./measures/catch-up.js";
import { copying } from "./measures/copy.js";
import { importing } from "./measures/import.js";
import { lag } from "./measures/lag.js";
import { postgresSave } from "./measures/postgres-save.js";
import { reads } from "./measures/reads.js";
import { shadowedSave } from "./measures/shadowed-save.js";
import { sqliteSave } from "./measures/sqlite-save.js";
import { tightLoop } from "./measures/tight-loop.js";
import { verify } from "./measures/verify.js";
import { circumstances, documentOf, table } from "./report.js";
import { Scene } from "./scene.js";

const measures: readonly Measure[] = [
  sqliteSave,
  shadowedSave,
  postgresSave,
  reads,
  catchUp,
  tightLoop,
  lag,
  verify,
  importing,
  copying,
];

const { values } = parseArgs({
  options: {
    only: { type: "string", multiple: true },
    quick: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
  },
});

const scene = await Scene.start(values.quick);
try {
  await run(values.only ?? measures.map(({ name }) => name), values.write);
} finally {
  await scene.stop();
}

async function run(names: readonly string[], write: boolean): Promise<void> {
  const lines = await circumstances(scene);
  process.stdout.write(`${lines.join("\n")}\n\n`);
  const figures: Figure[] = [];
  for (const name of names) figures.push(...(await figuresOf(named(name))));
  process.stdout.write(`\n${table(figures)}\n`);
  if (write) writeFileSync(new URL("RESULTS.md", import.meta.url), documentOf(lines, figures));
  process.exitCode = figures.every(({ met }) => met) ? 0 : 1;
}

function named(name: string): Measure {
  const measure = measures.find((candidate) => candidate.name === name);
  if (measure !== undefined) return measure;
  throw new Error(`no measure ${name}: choose from ${measures.map((candidate) => candidate.name).join(", ")}`);
}

async function figuresOf(measure: Measure): Promise<Figure[]> {
  process.stdout.write(`${measure.name} …\n`);
  const figures = await measure.run(scene);
  await scene.clear();
  for (const { measure: title, measured, target, met, detail } of figures)
    process.stdout.write(`  ${met ? "met " : "MISSED"} ${title}: ${measured} (${target}) – ${detail}\n`);
  return figures;
}
