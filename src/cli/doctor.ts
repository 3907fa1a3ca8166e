import type { Command } from "commander";
import type { Side } from "../engines/engine.js";
import type { DatabaseFacts } from "../migrate/doctor/facts.js";
import { type DoctorReport, doctor, type FindingGroup, type Problem } from "../migrate/doctor.js";
import { reasonText } from "./reason.js";
import { type Colour, counted, countedAs, printable, type Terminal, write } from "./terminal.js";
import { toolCommand } from "./tool.js";

const jsonHelp = `
The JSON document: { ok, healthy, databases, problems, tables, findings }. healthy is null where a database cannot be
looked at. databases: [{ side, name, version, encryption, error: { code, message }, problems }]; problems: [{ severity:
error | warning | note, side, table, column, problem, stops: what does not work before it is mended, or null, next }];
tables: [{ table, rows, refused: how many of them would not arrive, planned: whether the table is yet to be made }];
findings: [{ table, column, reason, action: altered | wrapped | refused, count, keys: the first ten, none without a key }].

Exit status: 0 every row would arrive as it is; 3 something would not; 1 a database cannot be looked at.`;

/** `dualdb doctor`: looks before anything moves. */
export function doctorCommand(terminal: Terminal, finish: (status: number) => void): Command {
  return toolCommand<DoctorReport>(
    {
      name: "doctor",
      description: "look at both databases and at every row, and say what would not arrive as it is; changes nothing",
      jsonHelp,
      configure: (command) =>
        command.option(
          "--create-tables",
          "scan rows of tables that PostgreSQL lacks as copy --create-tables makes them",
        ),
      run: (options, { createTables }) => doctor({ ...options, createTables: createTables === true }),
      print,
      status: ({ healthy }) => (healthy === null ? 1 : healthy ? 0 : 3),
    },
    terminal,
    finish,
  );
}

function print(report: DoctorReport, terminal: Terminal, quiet: boolean): void {
  if (!quiet) for (const facts of report.databases) printDatabase(facts, terminal);
  else
    for (const { side, error } of report.databases)
      if (error !== null) line(terminal, "red", `${side}  ${error.code}: ${error.message}`);
  const shown = report.problems.filter(({ severity }) => severity !== "note");
  shown.forEach((problem, index) => {
    printProblem(problem, terminal);
    const following = shown[index + 1];
    const advice = adviceOn(problem);
    if (following === undefined || adviceOn(following) !== advice) line(terminal, "dim", `${indent}${advice}`);
  });
  const notes = report.problems.length - shown.length;
  if (!quiet && notes > 0) line(terminal, "dim", `${countedAs("note", notes)} more with --json`);
  if (!quiet) printTables(report, terminal);
  for (const group of report.findings) printGroup(group, terminal);
  if (!quiet) printVerdict(report, terminal);
}

function printDatabase({ side, name, version, encryption, error }: DatabaseFacts, terminal: Terminal): void {
  line(terminal, "bold", `${side.padEnd("postgres".length)}  ${name}`);
  if (error !== null) line(terminal, "red", `  ${error.code}: ${error.message}`);
  else line(terminal, "dim", `  ${version}${encryption === null ? "" : `, ${encryption}`}`);
}

const labels: Record<Side, string> = { sqlite: "SQLite", postgres: "PostgreSQL" };

function printProblem({ severity, side, table, column, problem }: Problem, terminal: Terminal): void {
  const where = [labels[side], table, column].filter((part) => part !== null).join(" ");
  line(terminal, severity === "error" ? "red" : "yellow", `${severity.padEnd(7)}  ${where}: ${problem}`);
}

function adviceOn({ stops, next }: Problem): string {
  return `Stops ${stops ?? "nothing"}. ${next}`;
}

function printTables({ tables }: DoctorReport, terminal: Terminal): void {
  const width = Math.max(0, ...tables.map(({ table }) => table.length));
  const digits = Math.max(0, ...tables.map(({ rows }) => counted(rows).length));
  for (const { table, rows, refused, planned } of tables) {
    const size = countedAs("row", rows, digits);
    const more = [
      ...(planned ? ["the table is yet to be made"] : []),
      ...(refused > 0 ? [`${counted(refused)} would not arrive`] : []),
    ];
    line(terminal, null, `scanned  ${[`${table.padEnd(width)}  ${size}`, ...more].join(", ")}`);
  }
}

const colours: Record<FindingGroup["action"], Colour> = { altered: "yellow", wrapped: "yellow", refused: "red" };

const meanings: Record<FindingGroup["action"], string> = {
  altered: "will arrive with this change",
  wrapped: "will arrive wrapped, and is read back as it was",
  refused: "will not arrive: set aside, and the row stays as it is in SQLite",
};

function printGroup({ table, column, reason, action, count, keys }: FindingGroup, terminal: Terminal): void {
  const where = column === "" ? table : `${table}.${column}`;
  line(terminal, colours[action], `${action.padEnd(7)}  ${where}: ${reasonText(reason)}: ${countedAs("row", count)}`);
  line(terminal, "dim", `${indent}${meanings[action]}; ${keysText(keys, count)}`);
}

function keysText(keys: readonly string[], count: number): string {
  if (keys.length === 0) return "the table has no key to name it by";
  const more = count > keys.length ? `, and ${counted(count - keys.length)} more` : "";
  return `${count === 1 ? "key" : "keys"} ${keys.map(printable).join("  ")}${more}`;
}

function printVerdict(report: DoctorReport, terminal: Terminal): void {
  if (report.healthy === null) line(terminal, "red", "could not tell: a database cannot be looked at");
  else if (report.healthy) line(terminal, "green", "healthy: every row would arrive as it is");
  else line(terminal, "yellow", `not healthy: ${ailments(report).join(", ")}`);
}

function ailments({ findings, problems }: DoctorReport): string[] {
  const list = (["error", "warning"] as const)
    .map((kind) => ({ kind, count: problems.filter(({ severity }) => severity === kind).length }))
    .filter(({ count }) => count > 0)
    .map(({ kind, count }) => countedAs(kind, count));
  if (findings.length === 0) return list;
  const rows = findings.reduce((sum, { count }) => sum + count, 0);
  return [...list, `${countedAs("kind", findings.length)} of finding in ${countedAs("row", rows)}`];
}

/** As wide as the word that a line of the report begins with. */
const indent = " ".repeat("warning  ".length);

function line(terminal: Terminal, colour: Colour | null, text: string): void {
  write(terminal.stdout, terminal, colour, text, indent.length);
}
