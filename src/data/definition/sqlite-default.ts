import { literal } from "../table.js";

/** A default of PostgreSQL as one of SQLite; undefined for an expression that has no counterpart. */
export function sqliteDefault(postgres: string): string | undefined {
  const text = withoutCasts(postgres.trim());
  const known = clocks.find(([pattern]) => pattern.test(text));
  if (known !== undefined) return known[1];
  if (/^null$/i.test(text)) return "NULL";
  if (/^(true|false)$/i.test(text)) return /^t/i.test(text) ? "1" : "0";
  const number = /^'?\(?(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)\)?'?$/i.exec(text);
  if (number !== null && !/^'.*'::(text|character)/.test(postgres)) return number[1];
  const quoted = /^'((?:[^']|'')*)'$/.exec(text)?.[1];
  if (quoted === undefined) return undefined;
  const bytes = /^\\x((?:[0-9a-f]{2})*)$/.exec(quoted);
  return bytes !== null && /::bytea$/.test(postgres) ? `x'${bytes[1]}'` : literal(quoted.replaceAll("''", "'"));
}

const utc = String.raw`\(now\(\) AT TIME ZONE 'UTC'::text\)`;
const isoText = (fraction: string) =>
  new RegExp(`^to_char\\(${utc}, 'YYYY-MM-DD"T"HH24:MI:SS${fraction}"Z"'::text\\)$`);

/** What `postgresDefault` writes for SQLite's clocks, as PostgreSQL prints it, and the usual forms of the same. */
const clocks: readonly (readonly [RegExp, string])[] = [
  [new RegExp(`^date_trunc\\('second'::text, ${utc}\\)$`), "CURRENT_TIMESTAMP"],
  [/^date_trunc\('second'::text, now\(\)\)$/, "(strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))"],
  [/^(now\(\)|CURRENT_TIMESTAMP)$/i, "(strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))"],
  [isoText("\\.MS"), "(strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))"],
  [isoText(""), "(strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))"],
  [new RegExp(`^to_char\\(${utc}, 'YYYY-MM-DD HH24:MI:SS'::text\\)$`), "CURRENT_TIMESTAMP"],
  [new RegExp(`^to_char\\(${utc}, 'YYYY-MM-DD'::text\\)$`), "CURRENT_DATE"],
  [new RegExp(`^(\\(?${utc}\\)?|\\(?CURRENT_DATE\\)?)$`), "CURRENT_DATE"],
  [/^\(?(floor)?\(EXTRACT\(epoch FROM now\(\)\)\)\)?$/i, "(CAST(strftime('%s', 'now') AS INTEGER))"],
];

/** `'x'::text` is `'x'` to SQLite. */
function withoutCasts(text: string): string {
  const bare = text.replace(/::(?:"(?:[^"]|"")*"|[a-z_][\w ]*)(?:\([\d,]+\))?$/i, "");
  return bare === text ? text : withoutCasts(bare);
}
