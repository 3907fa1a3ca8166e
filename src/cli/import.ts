import { type Command, Option } from "commander";
import type { Side } from "../engines/engine.js";
import { type ImportedTable, type ImportReport, importData } from "../migrate/import.js";
import { type Colour, type Terminal, write } from "./terminal.js";
import { toolCommand } from "./tool.js";

const jsonHelp = `
The JSON document: { ok, target: { side, name }, exportedAt, tables: [{ table, file, rows, inserted, replaced, equal, newer, kept,
rejected }], skipped: [{ table, reason }], findings: [{ table, column, reason, action, count, keys }], rejects: folder or null,
error?: { code, message, side, table, column, details } }. rows is the sum of the six counts behind it: newer rows were there and
newer, kept ones there and different, with nothing to tell which is newer.`;

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
function isWhole({ tables, skipped, findings }: ImportReport): boolean {
  const altered = findings.some(({ action }) => action === "altered");
  return skipped.length === 0 && !altered && tables.every(({ kept, rejected }) => kept + rejected === 0);
}

function print(report: ImportReport, terminal: Terminal, quiet: boolean): void {
  const { target, tables, skipped, findings, rejects } = report;
  const line = (colour: Colour | null, text: string) => write(terminal.stdout, terminal, colour, text);
  if (!quiet) line("bold", `${target.side}  ${target.name}`);
  const width = Math.max(0, ...tables.map(({ table }) => table.length));
  for (const table of tables) {
    const isAmiss = table.kept + table.rejected > 0;
    if (isAmiss || !quiet) line(isAmiss ? "yellow" : "green", `  ${table.table.padEnd(width)}  ${countsOf(table)}`);
  }
  for (const { table, reason } of skipped) line("yellow", `  ${table}: left out, ${reason}`);
  for (const { table, column, reason, action, count, keys } of findings)
    line(
      "yellow",
      `  ${table}.${column}: ${action}, ${reason}: ${count} (${keys.slice(0, 3).join(", ")}${count > 3 ? ", …" : ""})`,
    );
  if (tables.some(({ kept }) => kept > 0))
    line(
      "yellow",
      "Rows that are kept differ from the file's, and nothing tells which are newer: --overwrite takes the file's.",
    );
  if (rejects !== null) line("yellow", `Rows that are refused are in ${rejects}, each with the reason.`);
}

/** What there is none of is not worth a word. */
function countsOf({ rows, inserted, replaced, equal, newer, kept, rejected }: ImportedTable): string {
  const counts = { inserted, replaced, "there already": equal, "newer there": newer, kept, refused: rejected };
  const parts = Object.entries(counts).filter(([, count]) => count > 0);
  const list = parts.map(([what, count]) => `${count.toLocaleString("en")} ${what}`).join(", ");
  return `${rows.toLocaleString("en").padStart(11)} rows${list === "" ? "" : `: ${list}`}`;
}
