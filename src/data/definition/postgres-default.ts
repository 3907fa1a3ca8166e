import { parseIso, parseTime } from "../conversion/instant.js";
import { cleanEscapes, fitsJsonb } from "../conversion/json.js";
import { literal } from "../table.js";

/** A default of SQLite as one of PostgreSQL for that type; undefined for an expression that has no counterpart. */
export function postgresDefault(sqlite: string, type: string): string | undefined {
  const text = withoutParentheses(sqlite.trim());
  if (/^null$/i.test(text)) return "NULL";
  const clock = clocks.find(({ pattern }) => pattern.test(text));
  if (clock !== undefined) return clock.of(base(type));
  const value = literalOf(text);
  return value === undefined ? undefined : spelled(value, base(type));
}

function base(type: string): string {
  return type.replace(/\(.*\)/, "");
}

interface Clock {
  readonly pattern: RegExp;
  of(type: string): string | undefined;
}

const utc = "(now() AT TIME ZONE 'UTC')";
const isoText = (fraction: string) => `to_char(${utc}, 'YYYY-MM-DD"T"HH24:MI:SS${fraction}"Z"')`;

/** SQLite's clocks are in UTC, and most count whole seconds. */
const clocks: readonly Clock[] = [
  {
    pattern: /^(current_timestamp|datetime\s*\(\s*('now'\s*)?\))$/i,
    of: (type) =>
      ({
        timestamp: `date_trunc('second', ${utc})`,
        timestamptz: "date_trunc('second', now())",
        text: `to_char(${utc}, 'YYYY-MM-DD HH24:MI:SS')`,
        varchar: `to_char(${utc}, 'YYYY-MM-DD HH24:MI:SS')`,
      })[type],
  },
  {
    pattern: /^strftime\s*\(\s*'%Y-%m-%dT%H:%M:%fZ'\s*,\s*'now'\s*\)$/,
    of: (type) => ({ timestamptz: "now()", text: isoText(".MS") })[type],
  },
  {
    pattern: /^strftime\s*\(\s*'%Y-%m-%dT%H:%M:%SZ'\s*,\s*'now'\s*\)$/,
    of: (type) => ({ timestamptz: "date_trunc('second', now())", text: isoText("") })[type],
  },
  {
    pattern: /^(current_date|date\s*\(\s*('now'\s*)?\))$/i,
    of: (type) =>
      ({ date: `${utc}::date`, text: `to_char(${utc}, 'YYYY-MM-DD')`, varchar: `to_char(${utc}, 'YYYY-MM-DD')` })[type],
  },
  {
    pattern: /^(current_time|time\s*\(\s*('now'\s*)?\))$/i,
    of: (type) => ({ time: `date_trunc('second', ${utc})::time`, text: `to_char(${utc}, 'HH24:MI:SS')` })[type],
  },
  {
    pattern:
      /^(cast\s*\(\s*)?(strftime\s*\(\s*'%s'\s*,\s*'now'\s*\)|unixepoch\s*\(\s*('now'\s*)?\))(\s+as\s+(int|integer)\s*\))?$/i,
    of: (type) =>
      ({ bigint: "floor(extract(epoch FROM now()))::bigint", numeric: "floor(extract(epoch FROM now()))" })[type],
  },
];

type Literal = string | { readonly number: string } | { readonly bytes: string };

function literalOf(text: string): Literal | undefined {
  if (/^[+-]?\s*(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return { number: text.replace(/^\+|\s/g, "") };
  if (/^(true|false)$/i.test(text)) return { number: /^t/i.test(text) ? "1" : "0" };
  const bytes = /^x'((?:[0-9a-f]{2})*)'$/i.exec(text);
  if (bytes !== null) return { bytes: bytes[1] ?? "" };
  // A name in double quotes that is none is text to SQLite.
  const quoted = /^'((?:[^']|'')*)'$|^"((?:[^"]|"")*)"$/.exec(text);
  if (quoted === null) return undefined;
  return quoted[1]?.replaceAll("''", "'") ?? quoted[2]?.replaceAll('""', '"');
}

const numbers: ReadonlySet<string> = new Set(["smallint", "bigint", "double precision", "numeric"]);

function spelled(value: Literal, type: string): string | undefined {
  if (typeof value === "string") return spelledText(value, type);
  if ("bytes" in value) return type === "bytea" ? literal(`\\x${value.bytes}`) : undefined;
  if (type === "boolean") return { 0: "false", 1: "true" }[value.number];
  if (numbers.has(type)) return value.number;
  return type === "text" || type === "varchar" ? literal(value.number) : undefined;
}

function spelledText(text: string, type: string): string | undefined {
  if (text.includes("\0")) return undefined;
  if (type === "text" || type === "varchar") return literal(text);
  if (type === "jsonb" || type === "json") return isDocument(text, type) ? literal(text) : undefined;
  if (numbers.has(type)) return /^-?\d+(\.\d+)?$/.test(text) ? text : undefined;
  if (type === "time") return parseTime(text) === null ? undefined : literal(text);
  if (/^(date|timestamp)/.test(type)) return parseIso(text) === null ? undefined : literal(text);
  return undefined;
}

function isDocument(text: string, type: "json" | "jsonb"): boolean {
  try {
    JSON.parse(text);
    return type === "json" || (cleanEscapes(text) === text && fitsJsonb(text));
  } catch {
    return false;
  }
}

function withoutParentheses(text: string): string {
  const inner = /^\(([^()]*(?:\([^()]*\)[^()]*)*)\)$/.exec(text)?.[1];
  return inner === undefined ? text : withoutParentheses(inner.trim());
}
