import fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import { discoverPostgres, discoverSqlite, pairTables } from "../../src/data/catalogue/discover.js";
import { KeyOrder } from "../../src/data/equality/key-order.js";
import { orderedPostgresLines, orderedSqliteRows } from "../../src/data/rows/ordered-rows.js";
import type { Table } from "../../src/data/table.js";
import type { Engine, PostgresEngine } from "../../src/engines/engine.js";
import { openPostgres } from "../../src/engines/postgres.js";
import { silentLogger } from "../../src/logger.js";
import { freshPostgres, freshSqlite } from "../support/databases.js";
import { openAt, script, sqlite } from "../support/libsql.js";
import { runAt } from "../support/postgres.js";
import { configOf } from "../support/postgres-config.js";

interface Sides {
  readonly left: Engine;
  readonly right: PostgresEngine;
  readonly url: string;
}

async function sides(sqliteTable: string, postgresTable: string): Promise<Sides> {
  const url = await freshPostgres();
  const left = await openAt(freshSqlite(), { createFile: true });
  const right = openPostgres({ config: configOf(url), logger: silentLogger });
  onTestFinished(async () => {
    await left.close();
    await right.close();
  });
  await script(left, `CREATE TABLE t (${sqliteTable})`);
  await runAt(url, `CREATE TABLE t (${postgresTable})`);
  return { left, right, url };
}

async function tableOf({ left, right }: Sides): Promise<Table> {
  const { tables } = await left.transaction({ mode: "read" }, (one) =>
    right.transaction({ mode: "read" }, async (other) =>
      pairTables(await discoverSqlite(one), await discoverPostgres(other)),
    ),
  );
  const [table] = tables;
  if (table === undefined) throw new Error("no table");
  return table;
}

async function keysOf({ left, right }: Sides, table: Table) {
  const order = new KeyOrder(table);
  const mine: string[] = [];
  for await (const page of orderedSqliteRows(left, table, order)) mine.push(...page.map(({ key }) => key));
  const others: string[] = [];
  await right.transaction({ mode: "read" }, async (transaction) => {
    for await (const lines of orderedPostgresLines(transaction, table, order)) others.push(...lines);
  });
  return { mine, others, order };
}

const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 6 }),
  fc.constantFrom("a,b", "a-b", "a\\b", "A", "a", "\u{1f600}", "\uffee", "é"),
);
const carried = (value: string) => value.length > 0 && !/[\0\ud800-\udfff]/u.test(value);

describe("both sides give the rows in one order, and it is that of the keys", () => {
  test("text", async () => {
    const both = await sides("id TEXT PRIMARY KEY", "id TEXT PRIMARY KEY");
    const values = [...new Set(fc.sample(text, 800).filter(carried))];
    await both.left.write([sqlite("INSERT INTO t SELECT value FROM json_each(?)", JSON.stringify(values))]);
    await runAt(both.url, "INSERT INTO t SELECT unnest($1::text[])", [values]);
    const { mine, order } = await keysOf(both, await tableOf(both));
    const stored = await runAt(both.url, 'SELECT id FROM t ORDER BY id COLLATE "C"');
    expect(mine.map((key) => key.replace(/\\(.)/gsu, "$1"))).toEqual(stored.map(({ id }) => id));
    expect([...mine].sort((one, other) => order.compare(one, other))).toEqual(mine);
  });

  test.each([
    ["integers", "id INTEGER PRIMARY KEY", "id BIGINT PRIMARY KEY"],
    ["integers that PostgreSQL has as text", "id INTEGER PRIMARY KEY", "id TEXT PRIMARY KEY"],
    ["integers that SQLite has as text", "id TEXT PRIMARY KEY", "id BIGINT PRIMARY KEY"],
    ["whole decimals", "id NUMERIC PRIMARY KEY", "id NUMERIC(20) PRIMARY KEY"],
  ])("%s", async (_, mineType, otherType) => {
    const both = await sides(mineType, otherType);
    const values = [
      ...new Set(fc.sample(fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n }), 50)),
      9n,
      10n,
      -9n,
      -10n,
      0n,
    ].map(String);
    await both.left.write(values.map((value) => sqlite("INSERT OR IGNORE INTO t SELECT CAST(? AS INTEGER)", value)));
    await runAt(
      both.url,
      `INSERT INTO t SELECT v::${otherType.split(" ")[1]} FROM unnest($1::text[]) AS v ON CONFLICT DO NOTHING`,
      [values],
    );
    const { mine, others, order } = await keysOf(both, await tableOf(both));
    expect(mine).toEqual(others);
    expect(mine.length).toBeGreaterThan(5);
    expect([...mine].sort((one, other) => order.compare(one, other))).toEqual(mine);
  });

  test("several parts, and bytes, over many pages", async () => {
    const both = await sides(
      "a TEXT, b INTEGER, c BLOB, PRIMARY KEY (a, b, c)",
      "c BYTEA, a TEXT, b INT, PRIMARY KEY (b, a, c)",
    );
    await script(
      both.left,
      `WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 4999)
       INSERT INTO t SELECT char(65 + i % 7), i % 911, CAST(char(200 + i % 3) || x'ff' || i AS BLOB) FROM n`,
    );
    const rows = await both.left.transaction({ mode: "read" }, (reader) =>
      reader.query(sqlite("SELECT a, b, hex(c) AS c FROM t")),
    );
    await runAt(
      both.url,
      "INSERT INTO t SELECT decode(c, 'hex'), a, b FROM unnest($1::text[], $2::int[], $3::text[]) AS u (a, b, c)",
      [rows.map(({ a }) => a), rows.map(({ b }) => Number(b)), rows.map(({ c }) => c)],
    );
    const { mine, others, order } = await keysOf(both, await tableOf(both));
    expect(mine).toHaveLength(5_000);
    const spelled = others.map((line) => {
      const [c = "", a, b] = line.split("\t");
      return `${a},${b},\\x${c.slice(3).toUpperCase()}`;
    });
    expect(mine).toEqual(spelled);
    expect(mine.every((key, at) => at === 0 || order.compare(mine[at - 1] ?? "", key) < 0)).toBe(true);
  });
});

test("keys with NUL, that are no UTF-8 or NULL, do not stop the walk, and no row comes twice", async () => {
  const both = await sides("id TEXT PRIMARY KEY, n INTEGER", "id TEXT PRIMARY KEY, n INT");
  await script(
    both.left,
    `WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 299)
     INSERT INTO t SELECT CASE i % 4 WHEN 0 THEN NULL WHEN 1 THEN 'k' || char(0) || i WHEN 2 THEN CAST(x'6bff' || i AS TEXT) ELSE 'k' || i END, i FROM n`,
  );
  const table = await tableOf(both);
  const seen: number[] = [];
  for await (const page of orderedSqliteRows(both.left, table, new KeyOrder(table)))
    seen.push(...page.map(({ values }) => Number(values[1])));
  expect(seen.sort((one, other) => one - other)).toEqual(Array.from({ length: 300 }, (_, index) => index));
});
