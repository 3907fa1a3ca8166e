import { type Command, InvalidArgumentError, Option } from "commander";
import type { Side } from "../engines/engine.js";
import type { KeylessReport } from "../migrate/verify/keyless.js";
import type { SchemaDifference } from "../migrate/verify/schema.js";
import type { Difference } from "../migrate/verify/table.js";
import { type TableReport, type VerifyReport, verify } from "../migrate/verify.js";
import { reasonText } from "./reason.js";
import { counted, countedAs, printable, type Terminal, write } from "./terminal.js";
import { toolCommand } from "./tool.js";

const jsonHelp = `
The JSON document: { ok, equal, from: the side whose rows count, armed, beganAt, endedAt, tables, keyless, notCompared, sequences,
orphans, schema, search }. tables: [{ table, sqlite, postgres: rows; equal, missing, extra, different, refused, owed;
differences: the first 1,000 of [{ table, key, kind: missing | extra | different | refused | owed, columns?, column?,
reason? }] }]; keyless: [{ table, reason, sqlite, postgres, refused, same: null where rows came or went all the time }];
notCompared: [{ table, reason }]; sequences behind their column: [{ table, column, sequence, last, highest, readable:
whether it may be asked }]; orphans: [{ side, table, columns, parent, rows }]; schema: [{ table, side that lacks it, kind, columns }], which says nothing about rows;
search: { words, missed: [{ side, key }] } or null.

Exit status: 0 equal; 3 something differs, is refused or still owed; 1 could not tell.`;

/** `dualdb verify`: compares both databases to the last row and column. */
export function verifyCommand(terminal: Terminal, finish: (status: number) => void): Command {
  return toolCommand<VerifyReport>(
    {
      name: "verify",
      description: "compare both databases, every row and column; changes nothing, and may run while others write",
      jsonHelp,
      configure: configureVerify,
      run: (options, { from, settle, output }) =>
        verify({
          ...options,
          ...(from === undefined ? {} : { from: from as Side }),
          ...(settle === undefined ? {} : { settleMs: settle as number }),
          ...(output === undefined ? {} : { output: String(output) }),
        }),
      print,
      status: ({ equal }) => (equal ? 0 : 3),
    },
    terminal,
    finish,
  );
}

function configureVerify(command: Command): void {
  command
    .addOption(fromOption())
    .option("--settle <seconds>", "how long to wait for rows that are owed or change (default: 30)", millisecondsOf)
    .option("--output <file>", "write every difference there, one JSON object a line");
}

/** Whose rows count. */
export function fromOption(): Option {
  const description = "whose rows count (default: the primary of a pair, else sqlite)";
  return new Option("--from <side>", description).choices(["sqlite", "postgres"]);
}

/** An option's seconds. */
export function millisecondsOf(text: string): number {
  const seconds = Number(text);
  if (text.trim() === "" || !(seconds >= 0)) throw new InvalidArgumentError("Give a number of seconds.");
  return seconds * 1_000;
}

function print(report: VerifyReport, terminal: Terminal, quiet: boolean): void {
  const rowsText = aligned([...report.tables, ...report.keyless]);
  for (const table of report.tables) if (!quiet || !isEqual(table)) printTable(table, rowsText(table), terminal);
  for (const table of report.keyless) if (!quiet || table.same !== true) printKeyless(table, rowsText(table), terminal);
  printOthers(report, terminal, quiet);
  if (!report.equal) write(terminal.stdout, terminal, "red", `not equal: ${nextOf(report)}`);
  else if (!quiet) write(terminal.stdout, terminal, "green", equalText(report));
}

function nextOf({ tables }: VerifyReport): string {
  const canMend = tables.some(({ missing, extra, different }) => missing + extra + different > 0);
  if (canMend) return "npx dualdb repair shows what it would mend";
  return tables.some(({ owed }) => owed > 0) ? "npx dualdb copy brings what is owed" : "see above";
}

function equalText({ from }: VerifyReport): string {
  return `equal: ${names[from]}'s rows are all in ${names[otherOf(from)]}`;
}

interface CountedTable {
  readonly table: string;
  readonly sqlite: number;
  readonly postgres: number;
}

/** How a table's name and its rows on both sides are written, so that those of all tables stand below each other. */
function aligned(all: readonly CountedTable[]): (table: CountedTable) => string {
  const widest = (text: (table: CountedTable) => string) => Math.max(0, ...all.map((table) => text(table).length));
  const name = widest(({ table }) => table);
  const [left, right] = [widest(({ sqlite }) => counted(sqlite)), widest(({ postgres }) => counted(postgres))];
  return ({ table, sqlite, postgres }) =>
    `${table.padEnd(name)}  sqlite ${counted(sqlite).padStart(left)}  postgres ${counted(postgres).padStart(right)}`;
}

const names: Readonly<Record<Side, string>> = { sqlite: "SQLite", postgres: "PostgreSQL" };
const differencesShown = 20;

function otherOf(side: Side): Side {
  return side === "sqlite" ? "postgres" : "sqlite";
}

function isEqual({ missing, extra, different, refused, owed }: TableReport): boolean {
  return missing + extra + different + refused + owed === 0;
}

/** A line for a table, and one for each of its first differences. */
function printTable(report: TableReport, rowsText: string, terminal: Terminal): void {
  const counts = (["missing", "extra", "different", "refused", "owed"] as const)
    .filter((kind) => report[kind] > 0)
    .map((kind) => `${counted(report[kind])} ${kind}`);
  const isSame = counts.length === 0;
  const verdict = isSame ? "equal" : counts.join(", ");
  write(terminal.stdout, terminal, isSame ? "green" : "red", `${rowsText}  ${verdict}`);
  const { differences } = report;
  for (const difference of differences.slice(0, differencesShown))
    write(terminal.stdout, terminal, null, `  ${lineOf(difference)}`);
  const total = report.missing + report.extra + report.different + report.refused + report.owed;
  const more = total - Math.min(differences.length, differencesShown);
  if (more > 0) write(terminal.stdout, terminal, "dim", `  and ${counted(more)} more: --output FILE has them all`);
}

/** What is amiss with one row. */
export function lineOf(difference: Difference): string {
  const { kind, key } = difference;
  const line = `${kind.padEnd(9)}  ${printable(key)}`;
  if (kind === "different") return `${line}  ${difference.columns.join(", ")}`;
  if (kind !== "refused") return line;
  return `${line}  ${difference.column === null ? "" : `${difference.column}: `}${reasonText(difference.reason)}`;
}

function printOthers(report: VerifyReport, terminal: Terminal, quiet: boolean): void {
  const { notCompared, orphans, schema, search } = report;
  const say = (text: string) => write(terminal.stdout, terminal, "yellow", text, 2);
  for (const { table, reason } of notCompared) say(`${table}: not compared, ${reason}`);
  for (const { side, table, columns, parent, rows } of orphans)
    say(`${table}: ${countedAs("row", rows)} of ${names[side]} without the row of ${parent} in ${columns.join(", ")}`);
  for (const text of countersBehind(report)) say(text);
  for (const { side, key } of search?.missed ?? [])
    say(`messages: ${names[side]} does not find ${printable(key)} by a word in it`);
  if (!quiet) for (const difference of schema) write(terminal.stdout, terminal, "dim", schemaLine(difference));
  if (!quiet && search !== null && search.missed.length === 0 && search.words > 0)
    write(terminal.stdout, terminal, "green", `search: ${countedAs("word", search.words)} found on both sides`);
}

/** While SQLite is primary nobody asks PostgreSQL for a number, and the change of the primary sets its counters. */
function countersBehind({ sequences, armed, from }: VerifyReport): string[] {
  if (armed && from === "sqlite") return [];
  return sequences.map(({ table, column, sequence, last, highest, readable }) => {
    const counter = `${table}: PostgreSQL's counter for ${column}`;
    if (!readable)
      return `${counter} may be behind the highest value, ${highest}: nobody can tell without SELECT on ${sequence}`;
    return `${counter} is at ${last ?? "its beginning"}, and the highest value is ${highest}: raise it with setval()`;
  });
}

function printKeyless(report: KeylessReport, rowsText: string, terminal: Terminal): void {
  const text = `${rowsText}  ${verdictOf(report)}; none can be named: ${report.reason}`;
  write(terminal.stdout, terminal, report.same === true ? "green" : "red", text, 2);
}

function verdictOf({ refused, same }: KeylessReport): string {
  if (same === null) return "not told, since rows came or went all the time";
  return same ? "the same rows" : `not the same rows${refused === 0 ? "" : `, ${counted(refused)} refused`}`;
}

function schemaLine({ table, side, kind, columns }: SchemaDifference): string {
  return `${table}: ${names[side]} has no ${kind}${columns.length === 0 ? "" : ` ${columns.join(", ")}`}, the other side has`;
}
