import { least } from "./round.js";
import type { Summary } from "./run.js";

const shown = 20;
/** Of the rounds of a run that is long enough for it, each side is primary in so many. */
const leastShare = 0.3;
const longRun = 40;

/** What a run that found nothing has not shown either. */
export function shortfalls({ rounds, primary, leastServices, leastFaults }: Summary): string[] {
  const short: string[] = [];
  for (const [side, count] of Object.entries(primary))
    if (rounds >= longRun && count < leastShare * rounds)
      short.push(
        `${side} was primary in ${count} of ${rounds} rounds, and has to be in ${Math.ceil(leastShare * rounds)}`,
      );
  if (leastServices < least.services)
    short.push(`a round had only ${leastServices} calls of the services acknowledged`);
  if (leastFaults < 1) short.push("a round had no fault");
  return short;
}

export function summaryText(summary: Summary, seed: number): string {
  const { rounds, primary, deviations } = summary;
  const share = (count: number) => `${count} (${Math.round((100 * count) / Math.max(1, rounds))} %)`;
  const lines = [
    `seed ${seed}: ${rounds} rounds, primary at the end: SQLite ${share(primary.sqlite)}, PostgreSQL ${share(primary.postgres)}`,
    `calls: ${summary.writes} writes and ${summary.reads} reads acknowledged, ${summary.unanswered} without an answer, failed: ${list(summary.failures)}`,
    `calls of the four services: ${summary.services} acknowledged, at least ${summary.leastServices} in a round`,
    `what happened: ${list(summary.faults)}; at least ${summary.leastFaults} faults in a round`,
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
