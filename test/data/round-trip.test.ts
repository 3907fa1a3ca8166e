import fc from "fast-check";
import pg from "pg";
import { describe, expect, test } from "vitest";
import { realCarry } from "../../src/data/conversion/real-column.js";
import { freshPostgres } from "../support/databases.js";
import { type Columns, travel } from "./journey.js";

/** For each type values of any look that it can hold whole: all have to come back to the bit, without a word. */
const kinds: readonly (Omit<Columns, "values"> & { readonly value: fc.Arbitrary<string> })[] = [
  { postgres: "boolean", sqlite: "BOOLEAN", value: fc.constantFrom("0", "1") },
  { postgres: "smallint", sqlite: "SMALLINT", value: fc.integer({ min: -32_768, max: 32_767 }).map(String) },
  {
    postgres: "bigint",
    sqlite: "INTEGER",
    value: fc.bigInt({ min: -(2n ** 63n) + 1n, max: 2n ** 63n - 1n }).map(String),
  },
  {
    postgres: "double precision",
    sqlite: "REAL",
    value: fc.double({ noNaN: true, noDefaultInfinity: true }).map(floatLiteral),
  },
  {
    postgres: "real",
    sqlite: "REAL",
    value: fc.tuple(fc.integer({ min: -999_999, max: 999_999 }), fc.integer({ min: 0, max: 15 })).map(quotient),
  },
  { postgres: "numeric(20,5)", sqlite: "NUMERIC", value: fc.integer().map((digits) => quotient([digits, 5])) },
  {
    postgres: "numeric",
    sqlite: "TEXT",
    value: fc
      .tuple(fc.bigInt(), fc.stringMatching(/^[0-9]{1,40}$/))
      .map(([whole, fraction]) => `'${whole}.${fraction}'`),
  },
  {
    postgres: "numeric",
    sqlite: "NUMERIC",
    value: fc.double({ noNaN: true, noDefaultInfinity: true }).map(floatLiteral),
  },
  {
    postgres: "text",
    sqlite: "TEXT",
    value: fc.string({ unit: "binary" }).map((text) => textLiteral(text.replaceAll("\0", ""))),
  },
  {
    postgres: "varchar(10)",
    sqlite: "VARCHAR(10)",
    value: fc.string({ unit: "grapheme-ascii", maxLength: 10 }).map(textLiteral),
  },
  {
    postgres: "bytea",
    sqlite: "BLOB",
    value: fc.uint8Array().map((bytes) => `x'${Buffer.from(bytes).toString("hex")}'`),
  },
  { postgres: "uuid", sqlite: "TEXT", value: fc.uuid().map(textLiteral) },
  { postgres: "json", sqlite: "TEXT", value: fc.json().map(textLiteral) },
  { postgres: "date", sqlite: "TEXT", value: dates().map((date) => textLiteral(date.toISOString().slice(0, 10))) },
  { postgres: "timestamptz", sqlite: "TEXT", value: dates().map((date) => textLiteral(date.toISOString())) },
  {
    postgres: "timestamp",
    sqlite: "TEXT",
    value: dates().map((date) => textLiteral(date.toISOString().slice(0, 19).replace("T", " "))),
  },
  { postgres: "time", sqlite: "TEXT", value: dates().map((date) => textLiteral(date.toISOString().slice(11, 19))) },
  { postgres: "timestamptz", sqlite: "INTEGER", value: fc.integer({ min: 1e9, max: 4e9 }).map(String) },
  { postgres: "timestamp", sqlite: "INTEGER", value: fc.integer({ min: 1e12, max: 4e12 }).map(String) },
];

describe("any value that a type can hold", () => {
  test("comes back from PostgreSQL to the bit", async () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const columns = kinds.map(({ value, ...column }) => ({
      ...column,
      values: fc.sample(value, { seed, numRuns: 60 }),
    }));
    const journeys = await travel(columns);
    const wrong = journeys.flatMap((rows, index) =>
      rows
        .filter(({ before, after, findings, back }) => before !== after || findings.length + back.length > 0)
        .map((journey) => ({ type: kinds[index]?.postgres, seed, ...journey })),
    );
    expect(wrong).toEqual([]);
    expect(journeys.flat()).toHaveLength(60 * kinds.length);
  });
});

describe("a float of 4 bytes", () => {
  test("is read from SQLite as PostgreSQL prints it", async () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const random = fc.sample(fc.float({ noNaN: true, noDefaultInfinity: true }), { seed, numRuns: 5_000 });
    const powers = Array.from({ length: 254 }, (_, index) => 2 ** (index - 126));
    const floats = [...random, ...powers];
    const client = new pg.Client({ connectionString: await freshPostgres() });
    await client.connect();
    const { rows } = await client.query<{ printed: string }>(
      'SELECT x::real::text AS printed FROM unnest($1::float8[]) WITH ORDINALITY AS list (x, "order") ORDER BY "order"',
      [floats],
    );
    await client.end();
    const carry = realCarry("real");
    const notes = { altered: () => {}, wrapped: () => {}, refused: () => null };
    const wrong = rows.filter(({ printed }, index) => carry(floats[index] ?? 0, notes) !== Number(printed));
    expect({ seed, wrong }).toEqual({ seed, wrong: [] });
    expect(rows).toHaveLength(floats.length);
  });
});

function dates(): fc.Arbitrary<Date> {
  return fc.date({
    min: new Date("0001-01-01T00:00:00Z"),
    max: new Date("9999-12-31T23:59:59.999Z"),
    noInvalidDate: true,
  });
}

function floatLiteral(value: number): string {
  const number = Object.is(value, -0) ? 0 : value;
  return Number.isInteger(number) && Math.abs(number) < 1e15 ? `${number}.0` : String(number);
}

/** A decimal fraction as the float nearest to it: SQLite reads a literal with a fraction to a neighbour now and then. */
function quotient([digits, scale]: readonly [digits: number, scale: number]): string {
  return `${digits}.0 / ${10 ** scale}.0`;
}

/** By bytes: what is in the text is no SQL. */
function textLiteral(text: string): string {
  return `CAST(x'${Buffer.from(text).toString("hex")}' AS TEXT)`;
}
