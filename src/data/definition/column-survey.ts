import { type ExactRow, type ExactValue, statement, type Transaction } from "../../engines/engine.js";
import { limitsOfDeclared } from "../catalogue/sqlite-type.js";
import { chunks } from "../chunks.js";
import { type Column, quote, type Table } from "../table.js";

/** What a column of SQLite really holds, every row counted. */
export interface ColumnSurvey {
  readonly nulls: number;
  readonly integers: number;
  readonly reals: number;
  readonly texts: number;
  readonly blobs: number;
  readonly smallest: bigint | null;
  readonly largest: bigint | null;
  /** The absolute value that no number exceeds. */
  readonly size: number;
  /** Integers other than 0 and 1. */
  readonly noFlags: number;
  /** Numbers with more decimals than the declared scale. */
  readonly finer: number;
  /** Characters of the longest text. */
  readonly length: number;
  /** Texts with NUL, which PostgreSQL's text cannot hold. */
  readonly withNul: number;
  /** Texts that are a UUID as PostgreSQL prints it. */
  readonly uuids: number;
  /** Texts that are JSON; those that only `json` keeps whole: duplicate keys, escapes of NUL or of half a pair. */
  readonly documents: number;
  readonly looseDocuments: number;
  /** The one type of PostgreSQL that prints all texts as they are, and how many texts have such a form. */
  readonly timeType: string | null;
  readonly timeTexts: number;
}

/** Reads a table of SQLite once for every hundred of its columns. */
export async function surveyColumns(transaction: Transaction, table: Table): Promise<Map<string, ColumnSurvey>> {
  const found = new Map<string, ColumnSurvey>();
  for (const part of chunks(table.columns, columnsInAStatement)) {
    const text = `SELECT ${part.map(measures).join(", ")} FROM ${quote(table.name)} AS t`;
    const [row] = await transaction.query(statement(text));
    for (const [index, { name }] of part.entries()) found.set(name, surveyOf(row ?? {}, index));
  }
  return found;
}

/** SQLite's results end at 2,000 columns. */
const columnsInAStatement = 100;

function measures(column: Column, index: number): string {
  const x = `t.${quote(column.name)}`;
  const type = `typeof(${x})`;
  const isText = `${type} = 'text'`;
  const scale = limitsOfDeclared(column.sqliteType ?? "")[1] ?? 0;
  const expressions: Record<string, string> = {
    nulls: `count(*) - count(${x})`,
    integers: countOf(`${type} = 'integer'`),
    reals: countOf(`${type} = 'real'`),
    texts: countOf(isText),
    blobs: countOf(`${type} = 'blob'`),
    smallest: `min(${x}) FILTER (WHERE ${type} = 'integer')`,
    largest: `max(${x}) FILTER (WHERE ${type} = 'integer')`,
    size: `max(abs(CAST(${x} AS REAL))) FILTER (WHERE ${type} IN ('integer', 'real'))`,
    noflags: countOf(`${type} = 'integer' AND ${x} NOT IN (0, 1)`),
    finer: countOf(`${type} = 'real' AND round(${x}, ${scale}) <> ${x}`),
    length: `max(length(${x})) FILTER (WHERE ${isText})`,
    nul: countOf(`${isText} AND instr(CAST(${x} AS BLOB), x'00') > 0`),
    ...(isDeclared(column, /UUID|GUID|UNIQUEIDENTIFIER/i)
      ? { uuids: countOf(`${isText} AND ${x} GLOB '${uuidPattern}'`) }
      : {}),
    ...(isDeclared(column, /JSON/i) ? documentMeasures(x, isText) : {}),
    ...(isDeclared(column, /DATE|TIME/i) ? timeMeasures(x, isText) : {}),
  };
  return Object.entries(expressions)
    .map(([name, sql]) => `${sql} AS ${name}${index}`)
    .join(", ");
}

function countOf(condition: string): string {
  return `count(*) FILTER (WHERE ${condition})`;
}

function isDeclared({ sqliteType = "" }: Column, what: RegExp): boolean {
  return what.test(sqliteType);
}

const hex = "[0-9a-f]";
const uuidPattern = [8, 4, 4, 4, 12].map((digits) => hex.repeat(digits)).join("-");

function documentMeasures(x: string, isText: string): Record<string, string> {
  const hasTwice = `(SELECT count(*) <> count(DISTINCT fullkey) FROM json_tree(CASE WHEN json_valid(${x}) THEN ${x} END))`;
  return {
    documents: countOf(`${isText} AND json_valid(${x})`),
    loose: countOf(`${isText} AND json_valid(${x}) AND (${x} LIKE '%\\u0000%' OR ${x} LIKE '%\\ud%' OR ${hasTwice})`),
  };
}

/** Only spellings that PostgreSQL's type gives back as they were, see `isoFormOf`; a date that does not exist has none. */
function timeMeasures(x: string, isText: string): Record<string, string> {
  const isReal = `strftime('%Y-%m-%d %H:%M:%S', ${x}) = substr(${x}, 1, 10) || ' ' || substr(${x}, 12, 8)`;
  const rest = `substr(${x}, 11, 1) || substr(${x}, 20)`;
  const kept = `strftime('%Y', ${x}) <> '0000'`;
  const form = `CASE WHEN NOT (${isText}) THEN NULL WHEN length(${x}) = 10 AND date(${x}) = ${x} AND ${kept} THEN 'date'
    WHEN length(${x}) = 8 AND time(${x}) = ${x} THEN 'time' WHEN (${isReal}) IS NOT TRUE OR NOT (${kept}) THEN NULL
    ${Object.entries(forms)
      .map(([pattern, type]) => `WHEN ${rest} GLOB '${pattern}' THEN '${type}'`)
      .join(" ")} END`;
  return { form_from: `min(${form})`, form_to: `max(${form})`, forms: `count(${form})` };
}

const digit = "[0-9]";

/** What stands between date and time and behind the seconds, and the type that prints it so. */
const forms: Readonly<Record<string, string>> = {
  " ": "timestamp",
  [` .${digit.repeat(3)}`]: "timestamp(3)",
  [` .${digit.repeat(6)}`]: "timestamp(6)",
  TZ: "timestamptz(0)",
  [`T.${digit.repeat(3)}Z`]: "timestamptz(3)",
  [`T.${digit.repeat(6)}Z`]: "timestamptz(6)",
};

function surveyOf(row: ExactRow, index: number): ColumnSurvey {
  const value = (name: string): ExactValue => row[`${name}${index}`] ?? null;
  const number = (name: string) => Number(value(name) ?? 0);
  const integer = (name: string) => (value(name) === null ? null : BigInt(value(name) as bigint));
  return {
    nulls: number("nulls"),
    integers: number("integers"),
    reals: number("reals"),
    texts: number("texts"),
    blobs: number("blobs"),
    smallest: integer("smallest"),
    largest: integer("largest"),
    size: number("size"),
    noFlags: number("noflags"),
    finer: number("finer"),
    length: number("length"),
    withNul: number("nul"),
    uuids: number("uuids"),
    documents: number("documents"),
    looseDocuments: number("loose"),
    timeType: value("form_from") === value("form_to") && value("form_to") !== null ? String(value("form_to")) : null,
    timeTexts: number("forms"),
  };
}
