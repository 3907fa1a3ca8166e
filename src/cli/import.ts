import { type Command, Option } from "commander";
import type { Side } from "../engines/engine.js";
import { type ImportedTable, type ImportReport, importData } from "../migrate/import.js";
import { findingText } from "./copy.js";
import { type Colour, counted, countedAs, type Terminal, write } from "./terminal.js";
import { toolCommand } from "./tool.js";

const jsonHelp = `
The JSON document: { ok, target: { side, name }, exportedAt, tables: [{ table, file, rows, inserted, replaced, equal, newer, kept,
setAside, findings: [{ column, reason, action, count, keys }] }], leftOut: [{ table, reason }], rejects: folder or null, milliseconds,
error?: { code, message, side, table, column, details } }. rows is the sum of the six counts behind it: newer rows were there and
newer, kept ones there and different, with nothing to tell which is newer.

Exit status: 0 every row is there, as it was or newer; 3 rows were kept or set aside, or tables left out; 1 it could not be
done; 2 wrong usage or configuration; 130 interrupted. With 1, 2 and 130 nothing has been changed.`;

/** `dualdb import`; `finish` takes the exit status. */
export function importCommand(terminal: Terminal, finish: (status: number) => void): Command {
  return toolCommand(
    {
      name: "import",
      description: "bring the rows of an export, or of another tool's JSON, into one database",
      jsonHelp,
      configure: (command) =>
        command
          .addOption(
            new Option(
              "--to <side>",
              "the database to fill (default: the primary of a pair, else postgres where one is named)",
            ).choices(["sqlite", "postgres"]),
          )
          .option("--dir <folder>", "where the files are (default: migration-data)")
          .addOption(
            new Option("--file <path>", "one JSON document with a key for each table, instead of a folder").conflicts(
              "dir",
            ),
          )
          .option("--strict", "all or nothing: a row that is refused ends the import")
          .option("--overwrite", "the file's row wins wherever it differs from the one that is there")
          .option("--rejects <folder>", "where to put rows that are refused (default: rejects)"),
      run: (options, { to, dir, file, rejects, strict, overwrite }) =>
        importData({
          ...options,
          ...(to === undefined ? {} : { to: to as Side }),
          ...(dir === undefined ? {} : { directory: String(dir) }),
          ...(file === undefined ? {} : { file: String(file) }),
          ...(rejects === undefined ? {} : { rejects: String(rejects) }),
          strict: strict === true,
          overwrite: overwrite === true,
        }),
      print,
      status: (report) => (isWhole(report) ? 0 : 3),
    },
    terminal,
    finish,
  );
}

/** Whether every row of the files is in the database now, as it was or newer. */
function isWhole({ tables, leftOut }: ImportReport): boolean {
  return leftOut.length === 0 && tables.every(({ kept, setAside }) => kept + setAside === 0);
}

function print(report: ImportReport, terminal: Terminal, quiet: boolean): void {
  const { target, tables, leftOut, rejects } = report;
  const line = (colour: Colour | null, text: string, hang?: number) =>
    write(terminal.stdout, terminal, colour, text, hang);
  if (!quiet) line("bold", `${target.side}  ${target.name}`);
  const width = Math.max(0, ...tables.map(({ table }) => table.length));
  for (const table of tables) {
    const isAmiss = table.kept + table.setAside > 0;
    if (isAmiss || !quiet) line(isAmiss ? "yellow" : "green", `  ${table.table.padEnd(width)}  ${countsOf(table)}`);
    for (const finding of table.findings) line("yellow", `    ${findingText(table.table, finding)}`, 6);
  }
  for (const { table, reason } of leftOut) line("yellow", `  ${table} was left out: ${reason}`, 4);
  if (tables.some(({ kept }) => kept > 0))
    line(
      "yellow",
      "Rows kept differ from the file's, and nothing tells which are newer: --overwrite takes the file's.",
      0,
    );
  if (rejects !== null) line("yellow", `Rows set aside are in ${rejects}, each with the reason.`, 0);
}

/** What there is none of is not worth a word. */
function countsOf({ rows, inserted, replaced, equal, newer, kept, setAside }: ImportedTable): string {
  const counts = { inserted, replaced, there: equal, "newer there": newer, kept, "set aside": setAside };
  const parts = Object.entries(counts).filter(([, count]) => count > 0);
  const list = parts.map(([what, count]) => `${counted(count)} ${what}`).join(", ");
  return `${countedAs("row", rows, 11)}${list === "" ? "" : `: ${list}`}`;
}
