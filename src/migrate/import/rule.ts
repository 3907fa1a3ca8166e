import { wordsOf } from "../../data/catalogue/match.js";
import { type Column, nameOn } from "../../data/table.js";
import type { Side } from "../../engines/engine.js";
import type { Intake } from "./intake.js";

/** Columns that a table says with when a row was changed last, the most telling first. */
const changeTimes = [
  "updated_at",
  "modified_at",
  "changed_at",
  "last_updated_at",
  "last_modified_at",
  "last_updated",
  "last_modified",
  "updated",
  "modified",
];

/**
 * The column that decides between a file's row and the one that is there: the row whose time is later is the newer one. null where the
 * table has none: then nothing tells, and the row that is there stays.
 */
export function changeTimeOf({ table, target }: Intake): Column | null {
  const bySpelling = new Map(table.columns.map((column) => [wordsOf(nameOn(target.side, column)).join("_"), column]));
  const name = changeTimes.find((candidate) => bySpelling.has(candidate));
  return name === undefined ? null : (bySpelling.get(name) ?? null);
}

/** SQL that is true where `left` is demonstrably later than `right`: two numbers, two times, or two ISO texts of one form. */
export function isLater(side: Side, column: Column, left: string, right: string): string {
  return side === "sqlite" ? isLaterOnSqlite(left, right) : isLaterOnPostgres(column, left, right);
}

function isLaterOnSqlite(left: string, right: string): string {
  const numbers = `typeof(${left}) IN ('integer', 'real') AND typeof(${right}) IN ('integer', 'real')`;
  const form = `'[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9][ T][0-9][0-9]:*'`;
  const texts = `typeof(${left}) = 'text' AND typeof(${right}) = 'text' AND length(${left}) = length(${right})
    AND substr(${left}, 20) GLOB '[.0-9Z]*' = substr(${right}, 20) GLOB '[.0-9Z]*' AND ${left} GLOB ${form} AND ${right} GLOB ${form}`;
  return `COALESCE(((${numbers}) OR (${texts})) AND ${left} > ${right}, 0)`;
}

function isLaterOnPostgres({ kind, type = "" }: Column, left: string, right: string): string {
  if (kind === "text") {
    const form = String.raw`'^\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d+)?)?Z?$'`;
    const same = `${left} ~ ${form} AND ${right} ~ ${form} AND length(${left}) = length(${right})`;
    return `COALESCE(${same} AND ${left} > ${right} COLLATE "C", false)`;
  }
  const isOrdered = ["integer", "bigint", "real", "numeric"].includes(kind) || /^(timestamp|date)\b/.test(type);
  return isOrdered ? `COALESCE(${left} > ${right}, false)` : "false";
}

/** SQL that is true where both hold the same. PostgreSQL's JSON is compared as what it means. */
export function isSame(side: Side, column: Column, left: string, right: string): string {
  if (side === "sqlite") return `${left} IS ${right} COLLATE BINARY`;
  const [mine, other] = [left, right].map((value) => comparable(column, value));
  return `${mine} IS NOT DISTINCT FROM ${other}`;
}

/** Some types have no `=`, or one that takes different spellings for the same. */
function comparable({ kind, type = "" }: Column, value: string): string {
  if (kind === "text") return `${value}::text COLLATE "C"`;
  if (type === "json") return `${value}::jsonb`;
  return kind === "other" ? `${value}::text` : value;
}
