import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { spellFloat } from "../../src/data/conversion/float.js";
import { cleanText } from "../../src/data/conversion/text.js";
import { decodeRows, encodeRow, piecesOf } from "../../src/data/rows/copy-text.js";
import type { Column, Kind } from "../../src/data/table.js";
import type { ExactValue, PostgresEngine } from "../../src/engines/engine.js";
import { openPostgres } from "../../src/engines/postgres.js";
import { silentLogger } from "../../src/logger.js";
import { freshPostgres } from "../support/databases.js";
import { runAt } from "../support/postgres.js";
import { configOf } from "../support/postgres-config.js";

let engine: PostgresEngine;

const types = {
  n: "int",
  text: "text",
  integer: "int",
  bigint: "bigint",
  real: "float8",
  boolean: "boolean",
  json: "json",
  blob: "bytea",
  numeric: "numeric",
};
const columns: readonly Column[] = Object.keys(types).map((name) => ({
  name,
  kind: (name === "n" ? "integer" : name) as Kind,
  notNull: false,
}));

beforeAll(async () => {
  const url = await freshPostgres();
  const database = new URL(url).pathname.slice(1);
  await runAt(url, `CREATE TABLE t (${Object.entries(types).map(([name, type]) => `"${name}" ${type}`)})`);
  // What a database may be set to must not matter.
  await runAt(url, `ALTER DATABASE "${database}" SET bytea_output = escape`);
  await runAt(url, `ALTER DATABASE "${database}" SET extra_float_digits = 0`);
  engine = openPostgres({ config: configOf(url), logger: silentLogger });
});
afterAll(() => engine.close());

/** Any text but NUL and lone surrogates, with much of what COPY escapes. */
const text = fc.oneof(
  fc.string({ unit: "binary" }).map((value) => cleanText(value)),
  fc.string({ unit: fc.constantFrom("\\", "\n", "\r", "\t", "\b", "\f", "\v", "N", ".", "x", "é", "😀", "0") }),
);
const json = fc.jsonValue().map((value) => JSON.stringify(value).replaceAll("\\u0000", " "));

const row = fc.tuple(
  fc.option(text),
  fc.option(fc.bigInt({ min: -(2n ** 31n), max: 2n ** 31n - 1n })),
  fc.option(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
  fc.option(fc.double()),
  fc.option(fc.boolean()),
  fc.option(json),
  fc.option(fc.uint8Array()),
  fc.option(fc.constantFrom("0", "12.50", "-1e300", "NaN", "12345678901234567890.123456789")),
);

/** Pieces cut anywhere, as a network cuts them. */
async function* cut(chunks: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) for (let at = 0; at < chunk.length; at += size) yield chunk.subarray(at, at + size);
}

async function collect<T>(pages: AsyncIterable<readonly T[]>): Promise<T[]> {
  const all: T[] = [];
  for await (const page of pages) all.push(...page);
  return all;
}

describe("rows of any values", () => {
  test("go to PostgreSQL as they are, and come back as they were", async () => {
    const property = fc.asyncProperty(
      fc.array(row, { maxLength: 20 }),
      fc.integer({ min: 1, max: 100 }),
      async (rows, size) => {
        const sent = rows.map((values, n): ExactValue[] => [BigInt(n), ...values]);
        await engine.transaction({ mode: "write" }, async (transaction) => {
          await transaction.script("TRUNCATE t");
          expect(await transaction.copyIn("COPY t FROM STDIN", cut(piecesOf(sent.map(encodeRow)), size))).toBe(
            rows.length,
          );
          const found = await transaction.query({ sql: "", text: "SELECT * FROM t ORDER BY n", values: [] });
          const numeric = (values: ExactValue[]) =>
            values[8] === "-1e300" ? [...values.slice(0, 8), `-1${"0".repeat(300)}`] : values;
          const got = await collect(
            decodeRows(columns, cut(transaction.copyOut("COPY (SELECT * FROM t ORDER BY n) TO STDOUT"), size)),
          );
          expect(got).toEqual(sent.map(numeric));
          expect(found.map((record) => record.text)).toEqual(sent.map((values) => values[1]));
          expect(found.map((record) => record.bigint)).toEqual(sent.map((values) => values[3]));
          expect(found.map((record) => record.boolean)).toEqual(sent.map((values) => values[5]));
          expect(found.map((record) => record.json)).toEqual(sent.map((values) => values[6]));
        });
      },
    );
    await fc.assert(property, { numRuns: 50 });
  });

  test("long ones too", async () => {
    const long = "line\n".repeat(100_000);
    const sent: ExactValue[][] = [1n, 2n].map((n) => [n, long, ...Array<null>(7).fill(null)]);
    await engine.transaction({ mode: "write" }, async (transaction) => {
      await transaction.script("TRUNCATE t");
      await transaction.copyIn("COPY t FROM STDIN", piecesOf(sent.map(encodeRow)));
      expect(await collect(decodeRows(columns, transaction.copyOut("COPY t TO STDOUT")))).toEqual(sent);
    });
  });

  test("that end within a line are refused", async () => {
    const broken = (async function* () {
      yield Buffer.from("1\t\\N");
    })();
    await expect(collect(decodeRows(columns.slice(0, 2), broken))).rejects.toThrow("within a line");
  });
});

test("a float is spelled as PostgreSQL spells it", async () => {
  const known = [
    0,
    -0,
    1,
    -1.5,
    0.1,
    1e14,
    1e15,
    123456789012345680,
    1e-4,
    1e-5,
    5e-324,
    1e23,
    9007199254740992,
    2 ** 63,
  ];
  const halves = Array.from({ length: 1_100 }, (_, exponent) => 2 ** (exponent - 500));
  const tens = Array.from({ length: 600 }, (_, exponent) => Number(`1e${exponent - 300}`));
  const odd = fc.sample(fc.bigInt({ min: 2n ** 53n, max: 2n ** 80n }), { numRuns: 500, seed: 1 }).map(Number);
  const random = fc.sample(fc.double(), { numRuns: 3_000, seed: 1 });
  const numbers = [...known, ...halves, ...tens, ...odd, ...random].filter((number) => Number.isFinite(number));
  await engine.transaction({ mode: "write" }, async (transaction) => {
    await transaction.script("SET LOCAL extra_float_digits = 1");
    const rows = await transaction.query({
      sql: "",
      text: "SELECT n::float8::text AS spelled FROM unnest($1::text[]) WITH ORDINALITY AS u (n, i) ORDER BY i",
      values: [numbers.map((number) => (Object.is(number, -0) ? "-0" : String(number)))],
    });
    expect(numbers.map(spellFloat)).toEqual(rows.map(({ spelled }) => spelled));
  });
});
