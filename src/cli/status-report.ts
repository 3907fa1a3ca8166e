import type { Side } from "../engines/engine.js";
import type { Latency } from "../metrics.js";
import type { GateReport } from "../migrate/gates.js";
import type { Run } from "../migrate/runs.js";
import type { Check } from "../migrate/status/check.js";
import { duration } from "../migrate/status/duration.js";
import { answers } from "../migrate/status/sight.js";
import type { MigrationStatus } from "../migrate/status.js";
import { type Colour, counted, countedAs, printable, type Terminal, write } from "./terminal.js";

const names: Readonly<Record<Side, string>> = { sqlite: "SQLite", postgres: "PostgreSQL" };

const labelWidth = 14;

/** A whole status for a person; with `quiet` only what is amiss. */
export function printStatus(status: MigrationStatus, terminal: Terminal, quiet: boolean): void {
  const line = (label: string, text: string, colour: Colour | null = null) =>
    write(terminal.stdout, terminal, colour, `${label.padEnd(labelWidth)}${text}`, labelWidth);
  if (!quiet) {
    line("sqlite", status.databases.sqlite, "bold");
    line("postgres", status.databases.postgres ?? "none", "bold");
    line("flags", flagsText(status), hasOtherFlags(status) ? "yellow" : null);
    line("application", stepText(status));
    line("primary", primaryText(status));
  }
  for (const side of ["sqlite", "postgres"] as const) printSide(side, status, line, quiet);
  printConflicts(status, line);
  for (const { table, reason } of status.unmirrored) line("unmirrored", `${table}: ${reason}`, "yellow");
  if (quiet) return;
  printTables(status, terminal);
  printRuns(status, line);
  for (const side of ["sqlite", "postgres"] as const)
    if (status.latency[side] !== null) line("reads", `${names[side].padEnd(10)}  ${latencyText(status.latency[side])}`);
  line("roll-back", status.rollBack.text);
  printNext(status, terminal, line);
}

/** The checks of a gate, and the verdict; with `quiet` only those that are not met. */
export function printGate({ gate, open, checks }: GateReport, terminal: Terminal, quiet: boolean): void {
  for (const check of checks) if (!quiet || check.ok !== true) printCheck(check, terminal);
  const verdict = open === null ? "cannot be told" : open ? "open" : "closed";
  if (!quiet) write(terminal.stdout, terminal, open === true ? "green" : "red", `gate ${gate}: ${verdict}`);
}

type Line = (label: string, text: string, colour?: Colour | null) => void;

function flagsText(status: MigrationStatus): string {
  const on = Object.entries(status.flags).filter(([, value]) => value);
  const list = on.map(([name]) => `USE_POSTGRES_${name.toUpperCase()}`).join(", ");
  const other = hasOtherFlags(status) ? `, but the application has told of route ${status.step?.route}` : "";
  return `${list === "" ? "none" : list} (route ${status.requested})${other}`;
}

/** Whether these are not the flags that the application has, or has had when it last told. */
function hasOtherFlags({ step, requested, finalized }: MigrationStatus): boolean {
  return step !== null && step.route !== requested && !finalized;
}

/** Whether PostgreSQL, where the application tells and runs are remembered, cannot be asked. */
function isForgetful({ postgres }: MigrationStatus): boolean {
  return postgres !== null && !answers(postgres);
}

const forgotten = "PostgreSQL, which remembers it, cannot be asked";

function stepText(status: MigrationStatus): string {
  const { step, at } = status;
  if (step === null) return isForgetful(status) ? forgotten : "has not told yet";
  const counts = step.counters
    .filter(({ kind }) => kind === "count")
    .map(({ name, total }) => `${name} ${counted(total)}`);
  const errors = step.counters.filter(({ kind }) => kind === "error").reduce((sum, { total }) => sum + total, 0);
  return `${step.route} for ${duration(at - step.since)}; ${[...counts, `errors ${counted(errors)}`].join(", ")}`;
}

function primaryText(status: MigrationStatus): string {
  const { primary, since, at, finalized } = status;
  if (finalized) return "PostgreSQL, for good";
  if (primary !== null) return since === null ? names[primary] : `${names[primary]} for ${duration(at - since)}`;
  return isPaired(status.sqlite) || isPaired(status.postgres)
    ? "not told: a change is half-way"
    : "none: the databases have not been brought together";
}

function isPaired(seen: MigrationStatus[Side]): boolean {
  return seen?.reachable === true && seen.state.pairId !== null;
}

function printSide(side: Side, status: MigrationStatus, line: Line, quiet: boolean): void {
  const seen = status[side];
  if (seen === null) return;
  if (!seen.reachable) {
    line(names[side], `${seen.error.code}: ${seen.error.message}`, "red");
    return;
  }
  const other = names[side === "sqlite" ? "postgres" : "sqlite"];
  const { entries, oldest, quarantined } = seen.journal;
  const age = oldest === null ? "" : `, the oldest for ${duration(status.at - oldest)}`;
  if (!quiet && isPaired(seen) && !status.finalized) line("owed", `to ${other}: ${countedAs("row", entries)}${age}`);
  if (quarantined > 0) line("quarantine", `${other} refuses ${countedAs("row", quarantined)}`, "red");
  for (const { table, key, attempts, lastError } of seen.refused) {
    const tries = `${counted(attempts)} ${attempts === 1 ? "try" : "tries"}`;
    line("refused", `${table} ${printable(key)}: ${lastError} (${tries})`, "red");
  }
}

const conflictsShown = 20;

function printConflicts({ conflicts, conflictCount }: MigrationStatus, line: Line): void {
  const shown = conflicts.slice(0, conflictsShown);
  for (const { table, key } of shown) line("conflict", `${table} ${printable(key)}: SQLite's version stayed`, "yellow");
  const more = conflictCount - shown.length;
  if (more > 0)
    line("conflicts", `${counted(more)} more, ${counted(conflictCount)} in all: --json has the first 1,000`, "yellow");
}

function printTables({ tables }: MigrationStatus, terminal: Terminal): void {
  if (tables.length === 0) return;
  const width = Math.max("tables".length, ...tables.map(({ table }) => table.length));
  const cell = (value: number | string | null) =>
    (typeof value === "number" ? counted(value) : (value ?? "-")).padStart(12);
  const row = (table: string, ...cells: readonly (number | string | null)[]) =>
    `${table.padEnd(width)}${cells.map(cell).join("")}`;
  write(terminal.stdout, terminal, "dim", row("tables", "sqlite", "postgres", "owed"));
  for (const { table, sqlite, postgres, owed } of tables) {
    const colour = sqlite !== postgres && owed === 0 && sqlite !== null && postgres !== null ? "yellow" : null;
    write(terminal.stdout, terminal, colour, row(table, sqlite, postgres, owed));
  }
}

function printRuns(status: MigrationStatus, line: Line): void {
  const { runs, at } = status;
  const seen = new Set<string>();
  for (const run of runs) {
    if (seen.has(run.command)) continue;
    seen.add(run.command);
    line(`last ${run.command}`, fateOf(run, at), run.outcome === "done" || run.outcome === "running" ? null : "yellow");
  }
  if (!seen.has("verify")) line("last verify", isForgetful(status) ? forgotten : "never", "dim");
}

function fateOf(run: Run, at: number): string {
  if (run.outcome === "running") return `running for ${duration(at - run.beganAt)}`;
  return `${endOf(run)}${rangeOf(run)}, ${duration(at - run.endedAt)} ago`;
}

function endOf({ command, outcome, facts }: Run): string {
  if (outcome === "failed") return `failed with ${facts.code}`;
  return outcome === "differs" && isBringing(command) ? "in part" : outcome;
}

/** The tables that were compared, where these were not all: a verdict is about no others. */
function rangeOf({ command, outcome, facts: { tables } }: Run): string {
  const isVerdict = command === "verify" && (outcome === "done" || outcome === "differs");
  return tables === null || !isVerdict ? "" : ` for ${tables.join(", ")}`;
}

/** Whether it is about rows that arrive, and not about a comparison. */
function isBringing(command: string): boolean {
  return command === "copy" || command === "import";
}

function latencyText({ p50, p95, p99 }: Latency): string {
  const ms = (value: number) => `${value.toFixed(1)} ms`;
  return `p50 ${ms(p50)}, p95 ${ms(p95)}, p99 ${ms(p99)}`;
}

function printNext({ next }: MigrationStatus, terminal: Terminal, line: Line): void {
  line("next", next.text, "bold");
  for (const [name, value] of Object.entries(next.set)) line("", `${name}=${value}`);
  if (next.command !== null) line("", next.command);
  if (next.ready === true) return;
  line("", next.ready === null ? "whether that is safe cannot be told:" : "not yet:", "yellow");
  for (const check of next.blocked) printCheck(check, terminal);
}

function printCheck({ name, ok, detail }: Check, terminal: Terminal): void {
  const [mark, colour] = marks[String(ok) as keyof typeof marks];
  const text = `  ${mark.padEnd(4)} ${name.padEnd(14)} `;
  write(terminal.stdout, terminal, colour, `${text}${printable(detail)}`, text.length);
}

const marks = { true: ["ok", "green"], false: ["NO", "red"], null: ["?", "yellow"] } as const;
