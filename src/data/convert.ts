import type { ExactValue } from "../engines/engine.js";
import { hasDuplicateKeys } from "./duplicate-keys.js";
import type { Finding } from "./finding.js";
import { classifyJson } from "./json.js";
import { parseNumber, roundHalfAway } from "./number.js";
import type { Column, Table } from "./table.js";
import { cleanText } from "./text.js";
import { unwrapText, wrapText } from "./wrapper.js";

/** One row of the source, its values in the order of the table's columns. */
export interface SourceRow {
  readonly key: string;
  readonly values: readonly ExactValue[];
  /** The bytes of columns that were no UTF-8: in `values` their text has already been repaired with U+FFFD. */
  readonly repaired?: ReadonlyMap<string, Uint8Array>;
}

/** The row as the target gets it, and everything that could not be carried exactly. */
export interface ConvertedRow {
  readonly key: string;
  readonly values: readonly ExactValue[];
  readonly findings: readonly Finding[];
}

type Outcome = { readonly value: ExactValue; readonly action?: Finding["action"]; readonly reason?: string };

/** A row of SQLite as PostgreSQL takes it: the values of section "Values" of the documentation, whatever a column really holds. */
export function toPostgres(table: Table, row: SourceRow): ConvertedRow {
  return convert(table, row, (value, column) => postgresValue(value, column));
}

/** A row of PostgreSQL as SQLite takes it. */
export function toSqlite(table: Table, row: SourceRow): ConvertedRow {
  return convert(table, row, (value, column) => sqliteValue(value, column));
}

function convert(table: Table, row: SourceRow, carry: (value: ExactValue, column: Column) => Outcome): ConvertedRow {
  const findings: Finding[] = [];
  const note = (column: Column, action: Finding["action"], reason: string) =>
    findings.push({ table: table.name, key: row.key, column: column.name, reason, action });
  const values = table.columns.map((column, index) => {
    const { value, action, reason } = carry(row.values[index] ?? null, column);
    if (action !== undefined) note(column, action, reason ?? "");
    else if (row.repaired?.has(column.name)) note(column, "altered", "text that is not UTF-8");
    if (value === null && column.notNull && action !== "refused")
      note(column, "refused", "NULL in a column that is NOT NULL");
    return value;
  });
  return { key: row.key, values, findings: [...findings, ...keyFindings(table, findings, row.key)] };
}

/** A key that had to be altered would name another row on the target. */
function keyFindings(table: Table, findings: readonly Finding[], key: string): Finding[] {
  return findings
    .filter(({ column, action }) => action !== "refused" && table.key.includes(column))
    .map(({ column, reason }) => ({
      table: table.name,
      key,
      column,
      reason: `${reason} in the key`,
      action: "refused" as const,
    }));
}

function postgresValue(value: ExactValue, column: Column): Outcome {
  if (value === null) return { value };
  switch (column.kind) {
    case "integer":
      return wholeNumber(value, 2n ** 31n);
    case "bigint":
      return wholeNumber(value, 2n ** 63n);
    case "real":
      return realNumber(value);
    case "boolean":
      return booleanValue(value);
    case "json":
      return jsonValue(textOf(value));
    case "blob":
      return value instanceof Uint8Array
        ? { value }
        : altered(Buffer.from(textOf(value).text), "text in a column of bytes");
    default:
      return textValue(textOf(value));
  }
}

function sqliteValue(value: ExactValue, column: Column): Outcome {
  if (typeof value === "boolean") return { value: value ? 1n : 0n };
  if (typeof value === "number" && !Number.isFinite(value)) return refused("a number that is not finite");
  if (column.kind === "json" && typeof value === "string") return { value: unwrapText(value) };
  return { value };
}

function refused(reason: string): Outcome {
  return { value: null, action: "refused", reason };
}

function altered(value: ExactValue, reason: string): Outcome {
  return { value, action: "altered", reason };
}

interface Text {
  readonly text: string;
  readonly reason?: string;
}

function textOf(value: ExactValue): Text {
  if (value instanceof Uint8Array)
    return { text: Buffer.from(value).toString("utf8"), reason: "bytes in a column of text" };
  return { text: typeof value === "boolean" ? String(Number(value)) : String(value) };
}

function textValue({ text, reason }: Text): Outcome {
  const clean = cleanText(text);
  if (clean !== text) return altered(clean, "NUL or a lone surrogate in text");
  return reason === undefined ? { value: text } : altered(text, reason);
}

function jsonValue({ text, reason }: Text): Outcome {
  const classified = classifyJson(text);
  if ("wrapped" in classified) {
    const clean = classified.wrapped === text ? "" : ", with NUL or a lone surrogate";
    return {
      value: wrapText(classified.wrapped),
      action: "wrapped",
      reason: `text that jsonb cannot hold as a document${clean}`,
    };
  }
  const { document } = classified;
  if (document !== text) return altered(document, "NUL or a lone surrogate in JSON");
  if (hasDuplicateKeys(document)) return altered(document, "duplicate keys in JSON");
  return reason === undefined ? { value: document } : altered(document, reason);
}

/** Integers of PostgreSQL's range; `limit` is the first power of two beyond it. */
function wholeNumber(value: ExactValue, limit: bigint): Outcome {
  const whole = wholeOf(value);
  if (whole === null) return refused("not a number in an integer column");
  if (whole.value >= limit || whole.value < -limit) return refused("integer beyond the column's range");
  return whole.rounded ? altered(whole.value, "fraction in an integer column") : { value: whole.value };
}

function wholeOf(value: ExactValue): { readonly value: bigint; readonly rounded: boolean } | null {
  if (typeof value === "bigint") return { value, rounded: false };
  if (typeof value === "boolean") return { value: value ? 1n : 0n, rounded: false };
  if (typeof value === "string" && /^\s*[+-]?\d+\s*$/.test(value))
    return { value: BigInt(value.trim().replace(/^\+/, "")), rounded: false };
  const number = numberOf(value);
  if (number === null || !Number.isFinite(number)) return null;
  return { value: BigInt(roundHalfAway(number)), rounded: !Number.isInteger(number) };
}

function numberOf(value: ExactValue): number | null {
  if (typeof value === "number") return value;
  return typeof value === "string" ? (parseNumber(value) ?? null) : null;
}

function realNumber(value: ExactValue): Outcome {
  if (typeof value === "bigint") {
    const number = Number(value);
    return BigInt(number) === value
      ? { value: number }
      : altered(number, "integer beyond the precision of a real column");
  }
  const number = numberOf(value);
  return number === null ? refused("not a number in a real column") : { value: number };
}

const words: Readonly<Record<string, boolean>> = {
  true: true,
  t: true,
  yes: true,
  on: true,
  false: false,
  f: false,
  no: false,
  off: false,
};

function booleanValue(value: ExactValue): Outcome {
  if (typeof value === "string" && value.trim().toLowerCase() in words) {
    return altered(words[value.trim().toLowerCase()] ?? null, "a word in a flag column");
  }
  const whole = wholeOf(value);
  if (whole === null) return refused("neither 0 nor 1 in a flag column");
  if (whole.value === 0n || whole.value === 1n) return { value: whole.value === 1n };
  return altered(true, "a number other than 0 and 1 in a flag column");
}
