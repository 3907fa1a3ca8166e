import { type Command, Option } from "commander";
import type { Side } from "../engines/engine.js";
import { type ExportReport, exportData } from "../migrate/export.js";
import { countedAs, type Terminal, write } from "./terminal.js";
import { toolCommand } from "./tool.js";

const jsonHelp = `
The JSON document: { ok, directory, exportedAt, source: { side, name }, tables: [{ table, file, rows, bytes, sha256 }],
leftOut: [{ table, reason }], error?: { code, message, side, details } }.

Exit status: 0 every row is in the files; 3 rows of a table are not; 1 it could not be done; 2 wrong usage or configuration; 130 interrupted.`;

/** `dualdb export`; `finish` takes the exit status. */
export function exportCommand(terminal: Terminal, finish: (status: number) => void): Command {
  return toolCommand(
    {
      name: "export",
      description: "write every row of one database into files, as of one moment",
      jsonHelp,
      without: ["epoch"],
      configure: (command) =>
        command
          .addOption(
            new Option("--from <side>", "the database to read (default: the primary of a pair, else sqlite)").choices([
              "sqlite",
              "postgres",
            ]),
          )
          .option("--dir <folder>", "where to (default: migration-data)"),
      run: (options, { from, dir }) =>
        exportData({
          ...options,
          ...(from === undefined ? {} : { from: from as Side }),
          ...(dir === undefined ? {} : { directory: String(dir) }),
        }),
      print,
      status: ({ leftOut }) => (leftOut.length > 0 ? 3 : 0),
    },
    terminal,
    finish,
  );
}

function print(report: ExportReport, terminal: Terminal, quiet: boolean): void {
  if (!quiet) printFiles(report, terminal);
  for (const { table, reason } of report.leftOut)
    write(terminal.stdout, terminal, "yellow", `  ${table} was left out: ${reason}`, 4);
}

function printFiles({ directory, source, tables }: ExportReport, terminal: Terminal): void {
  write(terminal.stdout, terminal, "bold", `${source.side}  ${source.name}`);
  const width = Math.max(0, ...tables.map(({ table }) => table.length));
  for (const { table, rows } of tables)
    write(terminal.stdout, terminal, "green", `  ${table.padEnd(width)}  ${countedAs("row", rows, 11)}`);
  write(terminal.stdout, terminal, null, `exported to ${directory}`);
}
