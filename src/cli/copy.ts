import { type Command, Option } from "commander";
import type { Side } from "../engines/engine.js";
import { type CopiedTable, type CopyReport, copy, type FindingCount, type StuckSequence } from "../migrate/copy.js";
import { reasonText } from "./reason.js";
import { counted, inColumns, printable, type Terminal, write } from "./terminal.js";
import { type Already, type OwnOptions, toolCommand } from "./tool.js";

const jsonHelp = `
The JSON document: { ok, from, to, paired, tables: [{ table, read, written, alreadyThere, setAside, extra, milliseconds,
findings: [{ column, reason, action, count, keys }], sequences that could not be set: [{ column, sequence, lacking }] }], leftOut: [{ table, reason }], rejects, created: [sql], notes: [{ table, column, text, refused? }], milliseconds,
error?: { code, message, side, table, column, details } }. Of each table, read = written + alreadyThere + setAside.

Exit status: 0 both have the same rows; 3 rows were set aside, or are only on the side that was filled, tables were left out, or indexes and
the like refused; 1 it could not be done; 2 wrong usage or configuration; 130 interrupted, and the same again finishes it.`;

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
  already: Already<CopyReport>,
): Promise<CopyReport> {
  const created: string[] = [];
  const onCreated = (sql: string) => {
    created.push(sql);
    already({ created }, `${sql};`);
  };
  return copy({
    ...options,
    onCreated,
    ...(from === undefined ? {} : { from: from as Side }),
    ...(rejects === undefined ? {} : { rejects: String(rejects) }),
    createTables: createTables === true,
    strict: strict === true,
    retryRejects: retryRejects === true,
  });
}

function status({ tables, leftOut, notes }: CopyReport): 0 | 3 {
  const isLess = leftOut.length > 0 || notes.some(({ refused }) => refused);
  return isLess || tables.some(isAmiss) ? 3 : 0;
}

function print(report: CopyReport, terminal: Terminal, quiet: boolean): void {
  const { tables, leftOut, rejects, created, notes } = report;
  const line = (colour: Parameters<typeof write>[2], text: string, hang?: number) =>
    write(terminal.stdout, terminal, colour, text, hang);
  // What is left out because it is nobody's is no news to whoever wants none.
  const news = quiet && created.length === 0 ? notes.filter(({ refused }) => refused) : notes;
  for (const { table, column, text } of news)
    line("yellow", `${column === null ? table : `${table}.${column}`}: ${text}`, 2);
  const [heading = "", ...lines] = linesOf(report);
  if (!quiet || tables.some(isAmiss)) line("bold", heading);
  tables.forEach((table, index) => {
    if (!quiet || isAmiss(table)) line(isAmiss(table) ? "yellow" : "green", lines[index] ?? "");
    for (const finding of table.findings) line("yellow", `    ${findingText(table.table, finding)}`, 6);
  });
  for (const { table, sequences } of tables)
    for (const one of sequences) line("yellow", `  ${stuckText(table, one)}`, 4);
  for (const { table, reason } of leftOut) line("yellow", `  ${table} was left out: ${reason}`, 4);
  if (rejects !== null)
    line("yellow", `Rows set aside are in ${rejects}: correct them, then run ${retrying(rejects)}.`, 0);
  if (tables.some(hasExtra)) line("yellow", aboutExtra(report), 0);
}

function stuckText(table: string, { column, sequence, lacking }: StuckSequence): string {
  return `${table}: the sequence ${sequence} of ${column} stays where it was, since this user lacks ${lacking.join(", ")} on it: raise it with setval() before PostgreSQL gives numbers`;
}

function isAmiss(table: CopiedTable): boolean {
  return table.setAside > 0 || hasExtra(table);
}

function hasExtra({ extra }: CopiedTable): boolean {
  return extra !== null && extra > 0;
}

function aboutExtra({ from, tables }: CopyReport): string {
  const rows = tables.reduce((sum, { extra }) => sum + (extra ?? 0), 0);
  const side = from === "sqlite" ? "PostgreSQL" : "SQLite";
  const what = rows === 1 ? "1 row is only in" : `${counted(rows)} rows are only in`;
  const which = from === "sqlite" ? "" : " --from postgres";
  return `${what} ${side}, and left alone: npx dualdb verify${which} tells which, npx dualdb repair${which} shows what makes both equal.`;
}

function retrying(rejects: string): string {
  return `npx dualdb copy --retry-rejects${rejects === "rejects" ? "" : ` --rejects ${rejects}`}`;
}

/** The heading, and a line for each table. */
function linesOf({ from, to, paired, tables }: CopyReport): string[] {
  const isAny = tables.some(hasExtra);
  const extraIn = (cell: string) => (isAny ? [cell] : []);
  const way = `${from} → ${to}${paired ? ", a pair" : ""}`;
  const heading = [way, "read", "written", "there", "set aside", ...extraIn("only there"), "rows/s"];
  const rows = tables.map(({ table, read, written, alreadyThere, setAside, extra, milliseconds }) => [
    `  ${table}`,
    ...[read, written, alreadyThere, setAside].map(counted),
    ...extraIn(extra === null ? "-" : counted(extra)),
    read === 0 || milliseconds === 0 ? "-" : counted(Math.round((read / milliseconds) * 1_000)),
  ]);
  return inColumns([heading, ...rows]);
}

/** What became of some rows of a table that could not be carried exactly, and the first of their keys. */
export function findingText(table: string, { column, reason, action, count, keys }: FindingCount): string {
  const where = column === "" ? table : `${table}.${column}`;
  return `${counted(count)} ${action}: ${where}, ${reasonText(reason)}: ${keys.map(printable).join(", ")}${count > keys.length ? ", …" : ""}`;
}
