import type { Summary } from "./run.js";

const shown = 20;

export function summaryText(summary: Summary, seed: number): string {
  const { rounds, primary, deviations } = summary;
  const share = (count: number) => `${count} (${Math.round((100 * count) / Math.max(1, rounds))} %)`;
  const lines = [
    `seed ${seed}: ${rounds} rounds, primary at the end: SQLite ${share(primary.sqlite)}, PostgreSQL ${share(primary.postgres)}`,
    `calls: ${summary.writes} writes and ${summary.reads} reads acknowledged, ${summary.unanswered} without an answer, failed: ${list(summary.failures)}`,
    `faults: ${list(summary.faults)}`,
    `flips: ${summary.flips}; forced roll-backs: ${summary.forced} in ${summary.forcedRounds} rounds, ${summary.unplanned} of them not in the plan`,
    `conflicts after forced roll-backs: ${summary.conflicts} rows, ${summary.excused} of them not as last acknowledged`,
    `rows compared: ${summary.rowsCompared}; ${list(deviations)}`,
  ];
  return lines.join("\n");
}

/** `options`: those of the command line that the failure needs besides. */
export function failureText(
  failed: NonNullable<Summary["failed"]>,
  seed: number,
  options: Readonly<Record<string, string | undefined>> = {},
): string {
  const { round, plan, deviations } = failed;
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  const more = given.map(([name, value]) => ` --${name} "${value}"`).join("");
  const found = deviations.slice(0, shown).map(({ kind, what }) => `  ${kind}: ${what}`);
  if (deviations.length > shown) found.push(`  and ${deviations.length - shown} more`);
  const replay = `replay: npm run torture -- --seed ${seed} --rounds ${round}${more} (the choices are the same, the timing is not)`;
  return [`round ${round} FAILED`, ...found, `plan: ${JSON.stringify(plan)}`, replay].join("\n");
}

function list(counts: Readonly<Record<string, number>>): string {
  const entries = Object.entries(counts);
  return entries.length === 0 ? "none" : entries.map(([name, count]) => `${name} ${count}`).join(", ");
}
