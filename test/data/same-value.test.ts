import fc from "fast-check";
import { expect, test } from "vitest";
import { plainDecimal } from "../../src/data/conversion/decimal.js";
import { canonicalValue } from "../../src/data/equality/canonical-value.js";
import { canonicalJson, sameJson } from "../../src/data/equality/same-json.js";
import { sameValue } from "../../src/data/equality/same-value.js";
import type { Column, Kind } from "../../src/data/table.js";
import type { ExactValue } from "../../src/engines/engine.js";
import { freshPostgres } from "../support/databases.js";
import { runAt } from "../support/postgres.js";

const column = (kind: Kind, type?: string): Column => ({
  name: "c",
  kind,
  notNull: false,
  ...(type === undefined ? {} : { type }),
});
const bytes = (...of: number[]) => new Uint8Array(of);

test.each<[string, string, boolean]>([
  ['{"a":1,"b":2}', '{"b": 2, "a": 1}', true],
  ["1e2", "100", true],
  ["100", "100.0", true],
  ["1E+2", "100.00", true],
  ["-0", "0", true],
  ["0.10", "1e-1", true],
  ["12345678901234567890", "12345678901234567890", true],
  ["12345678901234567890", "12345678901234567891", false],
  ["[9007199254740992]", "[9007199254740993]", false],
  ["0.1234567890123456", "0.1234567890123457", false],
  ['{"a":"12345678901234567890"}', '{"a":12345678901234567890}', false],
  ['["1e2"]', '["100"]', false],
  ['"\\u0041"', '"A"', true],
  ['"\\u00e9"', '"é"', true],
  ["[1,2]", "[2,1]", false],
  ["[]", "{}", false],
  ["null", "0", false],
  ['{"a":null}', "{}", false],
  ['{"a":{"b":[1,{"c":1e400}]}}', '{"a": {"b": [1, {"c": 1e401}]}}', false],
  ['{"__proto__":1}', '{"__proto__": 1}', true],
  ['{"__proto__":1}', '{"constructor": 1}', false],
  ['{"\\"1e5":1.10}', '{"\\"1e5": 1.1}', true],
  ["no json", "no json", true],
  ["no json", "other", false],
])("JSON %s and %s", (left, right, same) => {
  expect(sameJson(left, right)).toBe(same);
  expect(sameJson(right, left)).toBe(same);
  expect(canonicalJson(left) === canonicalJson(right)).toBe(same);
});

test("any JSON document is what PostgreSQL makes of it, and not with one digit changed", async () => {
  const url = await freshPostgres();
  const digits = fc.stringMatching(/^-?(0|[1-9]\d{0,24})(\.\d{1,20})?([eE][+-]?[1-9])?$/);
  const leaf = fc.oneof(
    digits,
    fc.string({ unit: "grapheme" }).map((text) => JSON.stringify(text)),
    fc.constantFrom("true", "null"),
  );
  const { document } = fc.letrec<{ document: string }>((tie) => ({
    document: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      leaf,
      fc.array(tie("document"), { maxLength: 4 }).map((items) => `[${items.join(",")}]`),
      fc
        .dictionary(fc.string({ minLength: 1 }), tie("document"), { maxKeys: 4 })
        .map((entries) => `{${Object.entries(entries).map(([key, value]) => `${JSON.stringify(key)} : ${value}`)}}`),
    ),
  }));
  const documents = fc.sample(document, 400).filter((text) => !text.includes("\\u0000"));
  const read = await runAt(
    url,
    "SELECT d, d::jsonb::text AS stored FROM unnest($1::text[]) WITH ORDINALITY AS u (d, at) ORDER BY at",
    [documents],
  );
  expect(read).toHaveLength(documents.length);
  for (const { d, stored } of read as { d: string; stored: string }[]) {
    expect([d, sameJson(d, stored)]).toEqual([d, true]);
    const changed = stored.replace(/\d(?=\D*$)/, (digit) => String((Number(digit) + 1) % 10));
    if (changed !== stored)
      expect([d, changed, sameJson(d, changed)]).toEqual([d, changed, plainDecimal(changed) === plainDecimal(d)]);
  }
});

test("numbers are compared digit by digit", () => {
  fc.assert(
    fc.property(fc.bigInt(), fc.integer({ min: 0, max: 30 }), (value, zeros) => {
      expect(plainDecimal(`${value}.${"0".repeat(zeros)}`)).toBe(plainDecimal(`${value}`));
      expect(plainDecimal(`${value}${"0".repeat(zeros)}`)).toBe(plainDecimal(`${value}e${zeros}`));
      expect(plainDecimal(`${value}`) === plainDecimal(`${value + 1n}`)).toBe(false);
    }),
  );
  expect([".", "", "-", "e5", "NaN"].map(plainDecimal)).toEqual([".", "", "-", "e5", "NaN"]);
});

const least = 2 ** -1074;

test.each<[string, Column, ExactValue, ExactValue, boolean]>([
  ["NULL", column("text"), null, null, true],
  ["NULL and empty text", column("text"), null, "", false],
  ["text", column("text"), "a", "a ", false],
  ["padded text", column("text", "character(5)"), "a", "a    ", true],
  ["decomposed text", column("text"), "é", "e\u0301", false],
  ["integers beyond a float", column("bigint"), 2n ** 53n, 2n ** 53n + 1n, false],
  ["integer and digits", column("bigint"), 7n, "7", true],
  ["scale", column("numeric", "numeric(9,2)"), "1.5", "1.50", true],
  ["last digit", column("numeric"), "0.10000000000000000000001", "0.10000000000000000000002", false],
  ["minus zero", column("real", "double precision"), -0, 0, true],
  ["neighbouring floats", column("real", "double precision"), 1, 1 + Number.EPSILON, false],
  ["the least float", column("real", "double precision"), 0, least, false],
  ["NaN", column("real"), Number.NaN, Number.NaN, true],
  ["4 bytes", column("real", "real"), 0.1, Math.fround(0.1), true],
  ["4 bytes, other", column("real", "real"), 0.1, Math.fround(0.1000001), false],
  ["flags", column("boolean"), true, true, true],
  ["other flags", column("boolean"), true, false, false],
  ["one bit", column("blob"), bytes(1, 2, 3), bytes(1, 2, 2), false],
  ["bytes", column("blob"), bytes(1, 2, 3), bytes(1, 2, 3), true],
  ["bytes and fewer", column("blob"), bytes(1, 2), bytes(1, 2, 0), false],
  ["instants", column("other", "timestamp with time zone"), "2024-02-29 12:00:00+02", "2024-02-29T10:00:00Z", true],
  [
    "microseconds",
    column("other", "timestamp(6) without time zone"),
    "2024-02-29T10:00:00.000001",
    "2024-02-29T10:00:00.000002",
    false,
  ],
  ["date", column("other", "date"), "2024-02-29", "2024-03-01", false],
  ["infinity", column("other", "timestamp with time zone"), "infinity", "-infinity", false],
  [
    "uuid",
    column("other", "uuid"),
    "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
    "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    true,
  ],
  [
    "other uuid",
    column("other", "uuid"),
    "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12",
    false,
  ],
  ["what only PostgreSQL understands", column("other", "inet"), "10.0.0.1/32", "10.0.0.1", false],
])("%s", (_, of, left, right, same) => {
  expect(sameValue(of, left, right)).toBe(same);
  expect(sameValue(of, right, left)).toBe(same);
  expect(canonicalValue(of, left) === canonicalValue(of, right)).toBe(same);
});
