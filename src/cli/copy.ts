import { type Command, Option } from "commander";
import type { Side } from "../engines/engine.js";
import { type CopiedTable, type CopyReport, copy } from "../migrate/copy.js";
import { counted, type Terminal, write } from "./terminal.js";
import { type OwnOptions, toolCommand } from "./tool.js";

const jsonHelp = `
The JSON document: { ok, from, to, paired, tables: [{ table, read, written, alreadyThere, setAside, extra, milliseconds,
findings: [{ column, reason, action, count, keys }] }], leftOut: [{ table, reason }], rejects, created: [sql], notes: [{ table, column, text }], milliseconds,
error?: { code, message, side, table, column, details } }. Of each table, read = written + alreadyThere + setAside.

Exit status: 0 every row is there; 3 rows were set aside, or tables left out; 1 it could not be done; 2 wrong usage or configuration;
130 interrupted, and the same again finishes it.`;

/** `dualdb copy`; `finish` takes the exit status. */
export function copyCommand(terminal: Terminal, finish: (status: number) => void): Command {
  return toolCommand(
    {
      name: "copy",
      description: "bring the rows of one database to the other",
      jsonHelp,
      configure,
      run,
      print,
      status,
    },
    terminal,
    finish,
  );
}

function configure(command: Command): void {
  command
    .addOption(
      new Option("--from <side>", "the database to read (default: the primary of a pair, else sqlite)").choices([
        "sqlite",
        "postgres",
      ]),
    )
    .option("--create-tables", "make the tables that the other side lacks, and print the SQL")
    .option("--strict", "all or nothing: one transaction, ended by the first row that cannot go")
    .option("--rejects <folder>", "where rows that cannot go are kept (default: rejects)")
    .option("--retry-rejects", "feed the rows of that folder back, once they are corrected, and nothing else");
}

function run(
  options: Parameters<typeof copy>[0],
  { from, createTables, strict, rejects, retryRejects }: OwnOptions,
): Promise<CopyReport> {
  return copy({
    ...options,
    ...(from === undefined ? {} : { from: from as Side }),
    ...(rejects === undefined ? {} : { rejects: String(rejects) }),
    createTables: createTables === true,
    strict: strict === true,
    retryRejects: retryRejects === true,
  });
}

function status({ tables, leftOut }: CopyReport): 0 | 3 {
  return leftOut.length > 0 || tables.some(({ setAside }) => setAside > 0) ? 3 : 0;
}

function print(report: CopyReport, terminal: Terminal, quiet: boolean): void {
  const { from, to, paired, tables, leftOut, rejects, created, notes } = report;
  const line = (colour: Parameters<typeof write>[2], text: string) => write(terminal.stdout, terminal, colour, text);
  for (const sql of created) line("dim", `${sql};`);
  for (const { table, column, text } of notes)
    line("yellow", `${column === null ? table : `${table}.${column}`}: ${text}`);
  if (!quiet) line("bold", `${from} → ${to}${paired ? ", a pair" : ""}`);
  const width = Math.max(0, ...tables.map(({ table }) => table.length));
  for (const table of tables) {
    if (!quiet || table.setAside > 0) line(table.setAside > 0 ? "yellow" : "green", `  ${lineOf(table, width)}`);
    for (const { column, reason, action, count, keys } of table.findings) {
      const where = column === "" ? table.table : `${table.table}.${column}`;
      line("yellow", `    ${counted(count)} ${action}: ${where}, ${reason}: ${keysOf(keys, count)}`);
    }
  }
  for (const { table, reason } of leftOut) line("yellow", `  ${table} was left out: ${reason}`);
  if (rejects !== null)
    line("yellow", `Rows set aside are in ${rejects}: correct them, then run dualdb copy --retry-rejects.`);
}

function lineOf(copied: CopiedTable, width: number): string {
  const { table, read, written, alreadyThere, setAside, extra, milliseconds } = copied;
  const rate = milliseconds > 0 ? Math.round((read / milliseconds) * 1_000) : 0;
  const parts = [
    `${counted(read).padStart(11)} read`,
    `${counted(written).padStart(11)} written`,
    `${counted(alreadyThere).padStart(11)} there`,
    `${counted(setAside)} set aside`,
    ...(extra === null || extra === 0 ? [] : [`${counted(extra)} only there`]),
    `${counted(rate)} rows/s`,
  ];
  return `${table.padEnd(width)}  ${parts.join("  ")}`;
}

function keysOf(keys: readonly string[], count: number): string {
  return `${keys.join(", ")}${count > keys.length ? ", …" : ""}`;
}
