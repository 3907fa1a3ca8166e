import { describe, expect, test } from "vitest";
import { type Columns, type Journey, travel } from "./journey.js";

/** SQLite's literal → PostgreSQL's text, or why it does not get there as it is; it comes back unless `after` says what else does. */
interface Case {
  readonly in: string;
  readonly out?: string | null;
  readonly finding?: RegExp;
  /** `other`: comes back as something else, which the finding has said or which means the same. */
  readonly after?: "same" | "other";
}

interface Suite {
  readonly postgres: string;
  readonly sqlite: string;
  readonly cases: readonly Case[];
}

const refused = (literal: string, reason: RegExp): Case => ({ in: literal, out: null, finding: reason });
const altered = (literal: string, out: string, reason: RegExp): Case => ({
  in: literal,
  out,
  finding: reason,
  after: "other",
});

const suites: readonly Suite[] = [
  {
    postgres: "boolean",
    sqlite: "INTEGER",
    cases: [
      { in: "0", out: "false" },
      { in: "1", out: "true" },
      { in: "NULL" },
      altered("7", "true", /^altered: a number other/),
      altered("'yes'", "true", /^altered: a word/),
      altered("' Off '", "false", /^altered: a word/),
      altered("'n'", "false", /^altered: a word/),
      refused("'maybe'", /^refused: neither/),
      refused("x'00'", /^refused: neither/),
    ],
  },
  {
    postgres: "smallint",
    sqlite: "INTEGER",
    cases: [
      { in: "32767", out: "32767" },
      { in: "-32768", out: "-32768" },
      refused("32768", /^refused: integer beyond/),
      altered("1.5", "2", /^altered: fraction/),
      refused("'one'", /^refused: not a number/),
    ],
  },
  {
    postgres: "integer",
    sqlite: "INTEGER",
    cases: [
      { in: "2147483647", out: "2147483647" },
      { in: "-2147483648", out: "-2147483648" },
      refused("2147483648", /beyond/),
      refused("1e300", /beyond/),
    ],
  },
  {
    postgres: "bigint",
    sqlite: "INTEGER",
    cases: [
      { in: "9223372036854775807", out: "9223372036854775807" },
      { in: "-9223372036854775808", out: "-9223372036854775808" },
      { in: "9007199254740993", out: "9007199254740993" },
      { in: "1000000000000000", out: "1000000000000000" },
      { in: "0", out: "0" },
      refused("9223372036854775808.0", /beyond/),
      refused("9e999", /not a number/),
    ],
  },
  {
    postgres: "double precision",
    sqlite: "REAL",
    cases: [
      { in: "0.1", out: "0.1" },
      { in: "0.1 + 0.2", out: "0.30000000000000004" },
      { in: "1e300", out: "1e+300" },
      { in: "5e-324", out: "5e-324" },
      { in: "123456789012345680.0", out: "1.2345678901234568e+17" },
      { in: "9e999", out: "Infinity" },
      { in: "-9e999", out: "-Infinity" },
      refused("'x'", /not a number/),
    ],
  },
  {
    postgres: "double precision",
    sqlite: "",
    cases: [altered("9007199254740993", "9.007199254740992e+15", /beyond the precision/)],
  },
  {
    postgres: "double precision",
    sqlite: "TEXT",
    cases: [
      { in: "'0.1'", out: "0.1" },
      altered("'9007199254740993'", "9.007199254740992e+15", /beyond the precision/),
      altered("'0.12345678901234567890'", "0.12345678901234568", /more digits than a real column keeps/),
      refused("'1e400'", /beyond the range/),
      refused("'-1e-400'", /beyond the range/),
    ],
  },
  {
    postgres: "bigint",
    sqlite: "TEXT",
    cases: [
      { in: "'9007199254740993.0'", out: "9007199254740993", after: "other" },
      altered("'1.00000000000000000001'", "1", /^altered: fraction/),
      altered("'-9007199254740993.5'", "-9007199254740994", /^altered: fraction/),
      refused("'99999999999999999999.5'", /beyond/),
      refused("'1e999999'", /beyond/),
    ],
  },
  {
    postgres: "real",
    sqlite: "REAL",
    cases: [
      { in: "0.1", out: "0.1" },
      { in: "16777216.0", out: "1.6777216e+07" },
      { in: "3.4e38", out: "3.4e+38" },
      { in: "-9e999", out: "-Infinity" },
      altered("0.123456789012", "0.12345679", /more digits than a real column of 4 bytes/),
      { in: "60104712.0", out: "6.0104712e+07" },
      { in: "-3671993.2", out: "-3.6719932e+06" },
      { in: "1.2621775e-29", out: "1.2621775e-29" },
      altered("60104710.0", "6.0104712e+07", /more digits than a real column of 4 bytes/),
      refused("1e39", /beyond the range/),
      refused("1e-50", /beyond the range/),
    ],
  },
  {
    postgres: "numeric(9,2)",
    sqlite: "DECIMAL(9,2)",
    cases: [
      { in: "1.5", out: "1.50" },
      { in: "-0.05", out: "-0.05" },
      { in: "1234567", out: "1234567.00" },
      { in: "0", out: "0.00" },
      { in: "9999999.99", out: "9999999.99" },
      altered("0.125", "0.13", /^altered: more decimals/),
      altered("-0.125", "-0.13", /^altered: more decimals/),
      altered("0.004", "0.00", /^altered: more decimals/),
      refused("10000000", /beyond the column/),
      refused("9999999.996", /beyond the column/),
      refused("'about 5'", /not a number/),
      { in: "'NaN'", out: "NaN" },
    ],
  },
  {
    postgres: "numeric",
    sqlite: "TEXT",
    cases: [
      { in: "'12345678901234567890.12345678901234567890'", out: "12345678901234567890.12345678901234567890" },
      { in: "'0.50'", out: "0.50" },
      { in: "'1e3'", out: "1000", after: "other" },
      { in: "'-1.5E-3'", out: "-0.0015", after: "other" },
      refused("'1e200000'", /beyond/),
    ],
  },
  {
    postgres: "numeric",
    sqlite: "NUMERIC",
    cases: [
      { in: "0.1", out: "0.1" },
      { in: "1e-7", out: "0.0000001" },
      { in: "1e21", out: "1000000000000000000000" },
      { in: "9007199254740993", out: "9007199254740993" },
      { in: "3.0", out: "3" },
      { in: "9e999", out: "Infinity" },
    ],
  },
  {
    postgres: "varchar(3)",
    sqlite: "VARCHAR(3)",
    cases: [
      { in: "'abc'", out: "abc" },
      { in: "'\u{1f600}\u{1f600}\u{1f600}'", out: "\u{1f600}\u{1f600}\u{1f600}" },
      { in: "''", out: "" },
      refused("'abcd'", /more than 3 characters/),
      refused("'ab  '", /more than 3 characters/),
      refused("'\u{1f600}\u{1f600}\u{1f600}\u{1f600}'", /more than 3 characters/),
    ],
  },
  {
    postgres: "char(3)",
    sqlite: "CHAR(3)",
    cases: [
      { in: "'ab'", out: "ab" },
      { in: "'abc'", out: "abc" },
      altered("'a '", "a", /trailing blanks/),
      refused("'abcd'", /more than 3/),
    ],
  },
  {
    postgres: "text",
    sqlite: "TEXT",
    cases: [
      { in: "'plain \u{1f600} \ufeff'", out: "plain \u{1f600} \ufeff" },
      altered("'a' || char(0) || 'b'", "a\ufffdb", /NUL/),
      altered("CAST(x'68e96c' AS TEXT)", "h\ufffdl", /not UTF-8/),
      altered("x'6869'", "hi", /bytes in a column of text/),
    ],
  },
  { postgres: "text", sqlite: "", cases: [altered("5", "5", /a number in a column of text/), { in: "'5'", out: "5" }] },
  {
    postgres: "bytea",
    sqlite: "BLOB",
    cases: [
      { in: "x'00ff5c27'", out: "\\x00ff5c27" },
      { in: "x''", out: "\\x" },
      altered("'text'", "\\x74657874", /text in a column of bytes/),
      altered("CAST(x'e9' AS TEXT)", "\\xe9", /text in a column of bytes/),
    ],
  },
  {
    postgres: "uuid",
    sqlite: "TEXT",
    cases: [
      { in: "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", out: "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11" },
      { in: "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", out: "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", after: "other" },
      { in: "'{a0eebc999c0b4ef8bb6d6bb9bd380a11}'", out: "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", after: "other" },
      { in: "'a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11'", out: "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", after: "other" },
      altered("x'a0eebc999c0b4ef8bb6d6bb9bd380a11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", /bytes/),
      refused("'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1'", /no UUID/),
      refused("'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", /no UUID/),
      refused("5", /no UUID/),
    ],
  },
  {
    postgres: "uuid",
    sqlite: "BLOB",
    cases: [{ in: "x'a0eebc999c0b4ef8bb6d6bb9bd380a11'", out: "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11" }],
  },
  {
    postgres: "jsonb",
    sqlite: "TEXT",
    cases: [
      { in: `'{"a": 12345678901234567890}'`, out: '{"a": 12345678901234567890}' },
      { in: "'not json'", out: '{"$dualdb:text": "not json"}', finding: /^wrapped/ },
      altered(`'{"a": 1, "a": 2}'`, '{"a": 2}', /duplicate keys/),
      altered(`'["\\u0000"]'`, '["\ufffd"]', /NUL/),
      refused("x'ff00'", /bytes/),
    ],
  },
  {
    postgres: "json",
    sqlite: "TEXT",
    cases: [
      { in: `'{"b":1,  "a":1, "a":1e999999}'`, out: '{"b":1,  "a":1, "a":1e999999}' },
      { in: `'["\\u0000", "\\ud800", -0]'`, out: '["\\u0000", "\\ud800", -0]' },
      { in: "'{broken'", out: '{"$dualdb:text":"{broken"}', finding: /^wrapped/ },
      altered(`'["a' || char(55296) || '"]'`, '["a\ufffd\ufffd\ufffd"]', /UTF-8|surrogate/),
    ],
  },
  {
    postgres: "mood",
    sqlite: "TEXT",
    cases: [
      { in: "'sad'", out: "sad" },
      { in: "'it''s \"fine\"'", out: 'it\'s "fine"' },
    ],
  },
  { postgres: "short", sqlite: "TEXT", cases: [{ in: "'abc'", out: "abc" }, refused("'abcdef'", /more than 5/)] },
  {
    postgres: "int[]",
    sqlite: "TEXT",
    cases: [{ in: "'{1,2,NULL}'", out: "{1,2,NULL}" }],
  },
  { postgres: "varchar(3)[]", sqlite: "TEXT", cases: [{ in: "'{abc,\"d e\"}'", out: '{abc,"d e"}' }] },
  { postgres: "interval", sqlite: "TEXT", cases: [{ in: "'1 day 02:00:00'", out: "1 day 02:00:00" }] },
  { postgres: "inet", sqlite: "TEXT", cases: [{ in: "'10.0.0.1'", out: "10.0.0.1" }] },
  {
    postgres: "time",
    sqlite: "TEXT",
    cases: [
      { in: "'23:59:59'", out: "23:59:59" },
      { in: "'12:30:00.5'", out: "12:30:00.5" },
      { in: "'07:05'", out: "07:05:00", after: "other" },
      refused("'25:00:00'", /no time of day/),
      refused("5", /no time of day/),
    ],
  },
];

const types = `CREATE TYPE mood AS ENUM ('sad', 'it''s "fine"'); CREATE DOMAIN short AS varchar(5);`;

describe("values of SQLite in a column of PostgreSQL", () => {
  test("are carried, or said to be altered, wrapped or refused; and come back", async () => {
    const columns: Columns[] = suites.map(({ postgres, sqlite, cases }) => ({
      postgres,
      sqlite,
      values: cases.map((example) => example.in),
    }));
    const journeys = await travel(columns, undefined, types);
    const wrong = suites.flatMap((suite, index) =>
      suite.cases.flatMap((example, row) => {
        const problems = problemsOf(example, journeys[index]?.[row] as Journey);
        return problems.length === 0 ? [] : [{ type: suite.postgres, sqlite: suite.sqlite, in: example.in, problems }];
      }),
    );
    expect(wrong).toEqual([]);
  });
});

function problemsOf({ out = null, finding, after = "same", ...example }: Case, journey: Journey): string[] {
  const problems: string[] = [];
  if (journey.postgres !== out) problems.push(`is ${journey.postgres} in PostgreSQL`);
  const said = journey.findings.join("; ");
  if (finding === undefined ? said !== "" : !finding.test(said) || journey.findings.length !== 1)
    problems.push(`says: ${said}`);
  if (journey.back.length > 0) problems.push(`says on the way back: ${journey.back.join("; ")}`);
  if (out === null && example.in !== "NULL") return problems;
  if ((journey.after === journey.before) !== (after === "same"))
    problems.push(`comes back as ${journey.after} for ${journey.before}`);
  return problems;
}
