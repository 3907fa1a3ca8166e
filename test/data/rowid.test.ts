import { describe, expect, onTestFinished, test } from "vitest";
import { discoverSqlite } from "../../src/data/catalogue/discover.js";
import { countSqlite } from "../../src/data/rows/count.js";
import { everyRow } from "../../src/data/rows/every-row.js";
import { rowidOf } from "../../src/data/rows/rowid.js";
import { rowsOf } from "../../src/data/rows/rows.js";
import type { Transaction } from "../../src/engines/engine.js";
import { rowsAbout } from "../../src/migrate/row-estimate.js";
import { freshSqlite } from "../support/databases.js";
import { openAt, script } from "../support/libsql.js";
import { TestPair } from "../support/pair.js";

const tables = {
  "by its first name": { columns: "", rowid: "_rowid_" },
  "where a column has its first name": { columns: ', "_RowID_" TEXT', rowid: "rowid" },
  "where columns have its first two": { columns: ", _rowid_ TEXT, rowid TEXT", rowid: "oid" },
  "where columns have all its names": { columns: ", _rowid_ TEXT, rowid TEXT, oid TEXT", rowid: null },
};

describe.each(Object.entries(tables))("the rowid is found %s", (_, { columns, rowid }) => {
  const definition = `CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL${columns}); INSERT INTO t (id) VALUES ('a'), ('b'), ('c')`;

  test("and every row is read, counted and named", async () => {
    await onFile(definition, async (transaction) => {
      const [table] = await discoverSqlite(transaction);
      if (table === undefined) throw new Error("no table");
      expect(await rowidOf(transaction, table)).toBe(rowid);
      const keys: unknown[] = [];
      for await (const page of rowsOf("sqlite").keys(transaction, table)) keys.push(...page);
      expect(keys).toEqual(["a", "b", "c"]);
      const read: string[] = [];
      for await (const page of everyRow("sqlite", transaction, table)) read.push(...page.map(({ key }) => key));
      expect(read).toEqual(["a", "b", "c"]);
      expect(await countSqlite(transaction, table)).toBe(3);
      expect(await rowsAbout("sqlite", transaction, table)).toBe(3);
    });
  });

  test("and every row that is there before the two are a pair is owed, and arrives", async () => {
    const pair = await TestPair.create();
    await (await pair.open("---")).close();
    const sqlite = await pair.sqlite;
    await sqlite.transaction({ mode: "write" }, (transaction) => transaction.script(definition));
    const there = `CREATE TABLE t (id TEXT COLLATE "C" PRIMARY KEY${columns})`;
    await pair.postgres.transaction({ mode: "write" }, (transaction) => transaction.script(there));
    await pair.expectConverged(await pair.open("--S"));
    expect(await pair.count("postgres", "t")).toBe(3);
  });
});

test("a table WITHOUT ROWID has none", async () => {
  await onFile("CREATE TABLE t (id TEXT PRIMARY KEY) WITHOUT ROWID", async (transaction) => {
    expect(await rowidOf(transaction, { name: "t" })).toBeNull();
  });
});

async function onFile(definition: string, work: (transaction: Transaction) => Promise<void>): Promise<void> {
  const engine = await openAt(freshSqlite(), { createFile: true });
  onTestFinished(() => engine.close());
  await script(engine, definition);
  await engine.transaction({ mode: "read" }, work);
}

test("many rows are counted in parts, and the event loop gets its turns", async () => {
  const rows = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000) SELECT i, 'x' FROM n";
  const ends = "INSERT INTO t VALUES (-9223372036854775808, 'first'), (9223372036854775807, 'last')";
  await onFile(
    `CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO t ${rows}; ${ends}`,
    async (transaction) => {
      const [table] = await discoverSqlite(transaction);
      if (table === undefined) throw new Error("no table");
      let turns = 0;
      const counter = setInterval(() => turns++, 0);
      const told: number[] = [];
      expect(await countSqlite(transaction, table, (count) => told.push(count))).toBe(50_002);
      clearInterval(counter);
      expect(told).toEqual([20_000, 40_000]);
      expect(turns).toBeGreaterThan(0);
    },
  );
});
