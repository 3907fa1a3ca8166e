import fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import type { Engine } from "../../src/engines/engine.js";
import { openPostgres } from "../../src/engines/postgres.js";
import { silentLogger } from "../../src/logger.js";
import { verify } from "../../src/migrate/verify.js";
import { freshPostgres, freshSqlite } from "../support/databases.js";
import { found } from "../support/differences.js";
import { openAt, script, sqlite } from "../support/libsql.js";
import { runAt } from "../support/postgres.js";
import { configOf } from "../support/postgres-config.js";

/** A value twice: as a bot has put it into SQLite, and as somebody else has put it into PostgreSQL; and the same with the least change. */
interface Column {
  readonly name: string;
  readonly sqlite: string;
  readonly postgres: string;
  readonly value: fc.Arbitrary<{ readonly mine: unknown; readonly other: string }>;
  /** An expression for a value that differs in as little as can be. */
  readonly changed: string;
}

const same = (value: fc.Arbitrary<string>) => value.map((text) => ({ mine: text as unknown, other: text }));
const carried = (text: string) => !/[\0\ud800-\udfff]/u.test(text);
const instant = fc.integer({ min: 0, max: 4_000_000_000_000 }).map((ms) => new Date(ms).toISOString());
const float = fc.double({ noNaN: true, noDefaultInfinity: true });

const columns: readonly Column[] = [
  {
    name: "t",
    sqlite: "TEXT",
    postgres: "TEXT",
    value: same(fc.string({ unit: "grapheme" }).filter(carried)),
    changed: "t || ' '",
  },
  {
    name: "v",
    sqlite: "VARCHAR(10)",
    postgres: "VARCHAR(10)",
    value: same(fc.string({ maxLength: 10 }).filter(carried)),
    changed: "CASE v WHEN 'a' THEN 'b' ELSE 'a' END",
  },
  {
    name: "i",
    sqlite: "INTEGER",
    postgres: "BIGINT",
    value: fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n }).map((value) => ({ mine: value, other: String(value) })),
    changed: "i # 1",
  },
  {
    name: "s",
    sqlite: "INT",
    postgres: "SMALLINT",
    value: fc.integer({ min: -32_000, max: 32_000 }).map((value) => ({ mine: value, other: ` ${value} ` })),
    changed: "s # 1::smallint",
  },
  {
    name: "d",
    sqlite: "REAL",
    postgres: "DOUBLE PRECISION",
    value: float.map((value) => ({ mine: value, other: String(value) })),
    changed: "CASE WHEN d = 0 THEN 5e-324 WHEN abs(d) < 1e-290 THEN 1 ELSE d * (1 + 2.3e-16) END",
  },
  {
    name: "f",
    sqlite: "REAL",
    postgres: "REAL",
    value: fc
      .float({ noNaN: true, noDefaultInfinity: true, min: Math.fround(-1e30), max: Math.fround(1e30) })
      .filter((value) => Math.abs(value) > 1e-30)
      .map((value) => ({ mine: value, other: String(value) })),
    changed: "f * 1.0000002::real",
  },
  {
    name: "n",
    sqlite: "TEXT",
    postgres: "NUMERIC",
    value: fc
      .stringMatching(/^-?[1-9]\d{0,30}(\.\d{0,20}[1-9])?$/)
      .map((text) => ({ mine: text as unknown, other: text.includes(".") ? `${text}000` : `${text}.00` })),
    changed: "n + 0.000000000000000000000000001",
  },
  {
    name: "b",
    sqlite: "BOOLEAN",
    postgres: "BOOLEAN",
    value: fc.boolean().map((value) => ({ mine: value ? 1n : 0n, other: value ? "yes" : "off" })),
    changed: "NOT b",
  },
  {
    name: "x",
    sqlite: "BLOB",
    postgres: "BYTEA",
    value: fc
      .uint8Array({ maxLength: 9 })
      .map((value) => ({ mine: value, other: `\\x${Buffer.from(value).toString("hex").toUpperCase()}` })),
    changed: "x || '\\x00'::bytea",
  },
  {
    name: "j",
    sqlite: "TEXT",
    postgres: "JSONB",
    value: fc
      .json()
      .filter((text) => carried(text) && !/\\u0000|\\ud|-0(?![.\d])|e[+-]?\d{3}/i.test(text))
      .map((text) => ({ mine: text, other: JSON.stringify(JSON.parse(text), null, 2) })),
    changed: "jsonb_build_array(j)",
  },
  {
    name: "u",
    sqlite: "TEXT",
    postgres: "UUID",
    value: fc.uuid().map((text) => ({ mine: text.toUpperCase(), other: text })),
    changed: "overlay(u::text placing CASE right(u::text, 1) WHEN '0' THEN '1' ELSE '0' END from 36)::uuid",
  },
  {
    name: "z",
    sqlite: "TEXT",
    postgres: "TIMESTAMPTZ",
    value: instant.map((text) => ({ mine: text, other: text.replace("Z", "+00") })),
    changed: "z + interval '1 microsecond'",
  },
  {
    name: "w",
    sqlite: "TEXT",
    postgres: "TIMESTAMP",
    value: instant
      .map((text) => text.slice(0, 19).replace("T", " "))
      .map((text) => ({ mine: text, other: text.replace(" ", "T") })),
    changed: "w + interval '1 microsecond'",
  },
  {
    name: "y",
    sqlite: "TEXT",
    postgres: "DATE",
    value: instant.map((text) => ({ mine: text.slice(0, 10), other: text.slice(0, 10) })),
    changed: "y + 1",
  },
  {
    name: "a",
    sqlite: "TEXT",
    postgres: "INET",
    value: fc.ipV4().map((text) => ({ mine: `${text}/32`, other: text })),
    changed: "a + 1",
  },
  {
    name: "h",
    sqlite: "TEXT",
    postgres: "INTERVAL",
    value: fc.integer({ min: 1, max: 5_000 }).map((value) => ({ mine: `${value} minutes`, other: `PT${value}M` })),
    changed: "h + interval '1 second'",
  },
  {
    name: "r",
    sqlite: "TEXT",
    postgres: "INT[]",
    value: fc
      .array(fc.integer(), { maxLength: 3 })
      .map((value) => ({ mine: `{ ${value.join(" , ")} }`, other: `{${value}}` })),
    changed: "r || 1",
  },
];

const definition = (side: "sqlite" | "postgres") =>
  `CREATE TABLE kinds (id INTEGER PRIMARY KEY, ${columns.map((column) => `${column.name} ${column[side]}`).join(", ")})`;

async function fill(left: Engine, right: Engine, rows: number): Promise<void> {
  const row = fc.record(Object.fromEntries(columns.map(({ name, value }) => [name, fc.option(value, { freq: 8 })])));
  const sampled = fc.sample(row, rows);
  const marks = Array.from({ length: columns.length + 1 }, () => "?").join(", ");
  await left.write(
    sampled.map((cells, id) =>
      sqlite(`INSERT INTO kinds VALUES (${marks})`, id, ...columns.map(({ name }) => cells[name]?.mine ?? null)),
    ),
  );
  const arrays = columns.map(({ name }) => sampled.map((cells) => cells[name]?.other ?? null));
  const casts = columns.map(({ name, postgres }) => `${name}::${postgres}`).join(", ");
  const text = `INSERT INTO kinds SELECT id, ${casts} FROM unnest(${["$1::int[]", ...arrays.map((_, index) => `$${index + 2}::text[]`)].join(", ")}) AS u (id, ${columns.map(({ name }) => name).join(", ")})`;
  await right.write([{ sql: "", text, values: [sampled.map((_, id) => id), ...arrays] }]);
}

test("rows of every type that came to both sides on different ways are equal, and each changed bit is seen in its column", async () => {
  const file = freshSqlite();
  const url = await freshPostgres();
  const left = await openAt(file, { createFile: true });
  const right = openPostgres({ config: configOf(url), logger: silentLogger });
  onTestFinished(async () => {
    await left.close();
    await right.close();
  });
  await script(left, definition("sqlite"));
  await runAt(url, definition("postgres"));
  await fill(left, right, 300);
  const options = { env: {}, sqlite: file, postgres: url };
  expect(found(await verify(options))).toEqual([]);
  expect(found(await verify({ ...options, from: "postgres" }))).toEqual([]);
  const expected: string[] = [];
  for (const [index, { name, changed }] of columns.entries()) {
    const [row] = await runAt(
      url,
      `UPDATE kinds SET ${name} = ${changed} WHERE id = (SELECT id FROM kinds WHERE ${name} IS NOT NULL AND id % 20 = ${index} LIMIT 1) RETURNING id`,
    );
    expect([name, row]).toEqual([name, { id: expect.any(Number) }]);
    expected.push(`different ${row?.id} ${name}`);
  }
  expect(found(await verify(options))).toEqual(expected.sort());
  expect(found(await verify({ ...options, from: "postgres" }))).toEqual(expected);
});
