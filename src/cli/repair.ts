import type { Command } from "commander";
import type { Side } from "../engines/engine.js";
import { type RepairReport, repair, type TableRepair } from "../migrate/repair.js";
import { counted, printable, type Terminal, write } from "./terminal.js";
import { toolCommand } from "./tool.js";
import { fromOption, lineOf, millisecondsOf } from "./verify.js";

const jsonHelp = `
The JSON document: { ok, applied, equal, from: the side whose rows count, armed, tables, left, kept, verified }. tables:
[{ table, missing, extra, different, differences: the first 1,000, as of verify }]; left: rows that could not be mended,
[{ table, key, reason }]; kept: the file with the former rows, or null; verified: the result of verify, afterwards.

Exit status: 0 nothing is amiss (any more); 3 something is; 1 could not tell or could not do it.`;

/** `dualdb repair`: mends what `dualdb verify` finds. */
export function repairCommand(terminal: Terminal, finish: (status: number) => void): Command {
  return toolCommand<RepairReport>(
    {
      name: "repair",
      description: "mend the rows that verify finds, from the primary; without --apply it only shows them",
      jsonHelp,
      configure: configureRepair,
      run: (options, { from, apply, report, dir, settle }) =>
        repair({
          ...options,
          apply: apply === true,
          ...(from === undefined ? {} : { from: from as Side }),
          ...(report === undefined ? {} : { report: String(report) }),
          ...(dir === undefined ? {} : { directory: String(dir) }),
          ...(settle === undefined ? {} : { settleMs: settle as number }),
        }),
      print,
      status: ({ equal }) => (equal ? 0 : 3),
    },
    terminal,
    finish,
  );
}

function configureRepair(command: Command): void {
  command
    .addOption(fromOption())
    .option("--apply", "change the database; what it held before goes to former-rows/repair-<time>.jsonl first")
    .option("--report <file>", "what verify --output has written, instead of comparing anew")
    .option("--dir <folder>", "where the former rows are kept (default: former-rows)")
    .option("--settle <seconds>", "how long to wait for rows that are owed or change (default: 30)", millisecondsOf);
}

const differencesShown = 20;
const verbs = { missing: "to add", extra: "to remove", different: "to change" } as const;
const done = { missing: "added", extra: "removed", different: "changed" } as const;

function print(report: RepairReport, terminal: Terminal, quiet: boolean): void {
  const width = Math.max(0, ...report.tables.map(({ table }) => table.length));
  if (!quiet || !report.applied) for (const table of report.tables) printTable(table, width, report.applied, terminal);
  for (const { table, key, reason } of report.left)
    write(terminal.stdout, terminal, "red", `not mended  ${table} ${printable(key)}: ${reason}`);
  if (!quiet && report.kept !== null) write(terminal.stdout, terminal, null, `former rows kept in ${report.kept}`);
  printVerdict(report, terminal, quiet);
}

function printTable(report: TableRepair, width: number, applied: boolean, terminal: Terminal): void {
  const counts = (["missing", "extra", "different"] as const)
    .filter((kind) => report[kind] > 0)
    .map((kind) => `${counted(report[kind])} ${(applied ? done : verbs)[kind]}`);
  write(terminal.stdout, terminal, applied ? "green" : "yellow", `${report.table.padEnd(width)}  ${counts.join(", ")}`);
  if (applied) return;
  for (const difference of report.differences.slice(0, differencesShown))
    write(terminal.stdout, terminal, null, `  ${lineOf(difference)}`);
  const more = report.missing + report.extra + report.different - Math.min(report.differences.length, differencesShown);
  if (more > 0) write(terminal.stdout, terminal, "dim", `  and ${counted(more)} more`);
}

function printVerdict({ applied, equal, tables }: RepairReport, terminal: Terminal, quiet: boolean): void {
  if (equal) {
    if (!quiet) write(terminal.stdout, terminal, "green", applied ? "equal now" : "nothing to mend");
  } else if (applied) write(terminal.stdout, terminal, "red", "still not equal: npx dualdb verify shows what is left");
  else if (tables.length > 0)
    write(terminal.stdout, terminal, "yellow", "nothing has been changed: run it again with --apply");
  else
    write(
      terminal.stdout,
      terminal,
      "red",
      "not equal, but no row that can be mended: npx dualdb verify shows what it is",
    );
}
