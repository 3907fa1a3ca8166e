import { type ExactRow, statement, type Transaction } from "../../engines/engine.js";
import { typeOfColumn } from "../catalogue/postgres-type.js";
import { chunks } from "../chunks.js";
import { type Column, quote, type Table } from "../table.js";
import { isTimeType } from "./time-column.js";

/**
 * How a column of SQLite writes its times: a count of seconds or milliseconds since 1970, ISO text, such text and numbers side by side, or
 * numbers of which nobody can tell what they count.
 */
export type Epoch = "seconds" | "milliseconds" | "iso" | "mixed" | "undecided";

/** The spelling that all ISO texts of a column share. */
export interface IsoForm {
  /** Between date and time. */
  readonly separator: " " | "T";
  /** What follows the time: nothing, `Z` or an offset such as `+02:00`. */
  readonly zone: string;
  /** How many digits follow the seconds; `null`: as many as are needed. */
  readonly fraction: number | null;
}

/** What a survey of the whole column has found, or the operator has said. */
export interface Times {
  readonly epoch: Epoch;
  /** Absent where the texts have no spelling in common. */
  readonly iso?: IsoForm;
}

/** What the operator says of columns, by `table.column`, or of all columns under `*`. It goes before what a survey finds. */
export type EpochChoices = ReadonlyMap<string, "seconds" | "milliseconds">;

const units: ReadonlyMap<string, "seconds" | "milliseconds"> = new Map([
  ["s", "seconds"],
  ["seconds", "seconds"],
  ["ms", "milliseconds"],
  ["milliseconds", "milliseconds"],
]);

/** Reads choices such as `orders.placed=s`, or `ms` for all columns; undefined where one of them is none. */
export function epochChoices(texts: readonly string[]): EpochChoices | undefined {
  const choices = texts.map(choiceOf);
  return choices.includes(undefined) ? undefined : new Map(choices.filter((choice) => choice !== undefined));
}

function choiceOf(text: string): readonly [string, "seconds" | "milliseconds"] | undefined {
  const at = text.lastIndexOf("=");
  const column = at === -1 ? "*" : text.slice(0, at).trim();
  const unit = units.get(text.slice(at + 1).trim());
  return unit === undefined || (column !== "*" && !/[^.]\.[^.]/.test(column)) ? undefined : [column, unit];
}

/** The columns whose times SQLite writes in a way that only its rows tell. */
export function timeColumns(table: Table): Column[] {
  return table.columns.filter((column) => isTimeType(typeOfColumn(column).name));
}

/** Whether nobody knows yet what numbers in a column of times count. */
export function isUndecided({ times }: Column): boolean {
  return times === undefined || times.epoch === "undecided";
}

/**
 * Reads these columns of SQLite's table whole, in one statement, and says of each how it writes times; nothing of one without a value.
 * Numbers count as seconds or milliseconds only where there are several, all of them can be, and some are dates after 1973: one alone may
 * be a slip, and a day in 1970 is both.
 */
export async function surveyTimes(
  transaction: Transaction,
  table: Table,
  columns: readonly Column[] = timeColumns(table),
): Promise<Map<string, Times>> {
  const found = new Map<string, Times>();
  for (const part of chunks(columns, columnsInAStatement)) {
    const text = `SELECT ${part.map(measures).join(", ")} FROM ${quote(table.name)} AS t`;
    const [row] = await transaction.query(statement(text));
    for (const [index, { name }] of part.entries()) {
      const times = timesOf(row ?? {}, index);
      if (times !== null) found.set(name, times);
    }
  }
  return found;
}

/** The table with what is known of its times. */
export function withTimes(table: Table, times: ReadonlyMap<string, Times>, choices: EpochChoices = new Map()): Table {
  const columns = table.columns.map((column) => {
    const found = times.get(column.name);
    const chosen = choices.get(`${table.name}.${column.name}`) ?? choices.get("*");
    if (chosen !== undefined && timeColumns({ ...table, columns: [column] }).length > 0 && found?.epoch !== "iso")
      return { ...column, times: { ...found, epoch: chosen } };
    return found === undefined ? column : { ...column, times: found };
  });
  return { ...table, columns };
}

/** SQLite's results end at 2,000 columns. */
const columnsInAStatement = 150;

function measures({ name }: Column, index: number): string {
  const x = `t.${quote(name)}`;
  const isIso = `(typeof(${x}) = 'text' AND ${x} GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*')`;
  const isDigits = `(typeof(${x}) = 'text' AND ${x} GLOB '*[0-9]*' AND ${x} NOT GLOB '*[^-+0-9.]*' AND NOT ${isIso})`;
  const number = `CASE WHEN typeof(${x}) IN ('integer', 'real') THEN CAST(${x} AS REAL) WHEN ${isDigits} THEN CAST(${x} AS REAL) END`;
  const zone = `CASE WHEN ${x} GLOB '*Z' THEN 'Z' WHEN ${x} GLOB '*:*[-+][0-9][0-9]:[0-9][0-9]' THEN substr(${x}, -6) ELSE '' END`;
  const separator = `CASE substr(${x}, 11, 1) WHEN 'T' THEN 'T' WHEN ' ' THEN ' ' ELSE '?' END`;
  const fraction = `max(length(${x}) - length(${zone}) - 20, CASE WHEN length(${x}) - length(${zone}) >= 19 THEN 0 ELSE -1 END)`;
  const whole = `FILTER (WHERE ${isIso} AND length(${x}) > 10)`;
  return [
    `count(*) FILTER (WHERE ${isIso}) AS iso${index}`,
    `count(${number}) AS numbers${index}`,
    `max(abs(${number})) AS largest${index}`,
    `min(abs(${number})) FILTER (WHERE ${number} <> 0) AS smallest${index}`,
    ...Object.entries({ separator, zone, fraction }).flatMap(([what, sql]) => [
      `min(${sql}) ${whole} AS ${what}_from${index}`,
      `max(${sql}) ${whole} AS ${what}_to${index}`,
    ]),
  ].join(", ");
}

/** What was measured of a column says how it writes times; null where it has none. */
export function timesOf(row: ExactRow, index: number): Times | null {
  const isos = Number(row[`iso${index}`] ?? 0);
  const numbers = Number(row[`numbers${index}`] ?? 0);
  if (isos + numbers === 0) return null;
  const iso = isoFormOf(row, index);
  const shared = iso === null ? {} : { iso };
  if (isos > 0) return { epoch: numbers > 0 ? "mixed" : "iso", ...shared };
  if (numbers === 1) return { epoch: "undecided" };
  return { epoch: unitOf(Number(row[`smallest${index}`] ?? 0), Number(row[`largest${index}`] ?? 0)) };
}

/** 1973-03-03 in seconds; and in milliseconds, which as seconds would be the year 5138. */
const secondsFrom = 1e8;
const millisecondsFrom = 1e11;
const millisecondsUntil = 1e14;

function unitOf(smallest: number, largest: number): Epoch {
  if (largest >= secondsFrom && largest < millisecondsFrom) return "seconds";
  return smallest >= millisecondsFrom && largest < millisecondsUntil ? "milliseconds" : "undecided";
}

function isoFormOf(row: ExactRow, index: number): IsoForm | null {
  const range = (what: string) => [row[`${what}_from${index}`] ?? null, row[`${what}_to${index}`] ?? null] as const;
  const [separator, otherSeparator] = range("separator");
  const [zone, otherZone] = range("zone");
  const [least, most] = range("fraction").map(Number);
  if ((separator !== " " && separator !== "T") || separator !== otherSeparator || zone !== otherZone) return null;
  if (least === undefined || most === undefined || least < 0) return null;
  return { separator, zone: String(zone), fraction: least === most ? Math.min(least, 6) : null };
}
