import { expect, onTestFinished, test } from "vitest";
import { discoverSqlite } from "../../src/data/catalogue/discover.js";
import { partsByKey } from "../../src/data/rows/key-parts.js";
import { statement } from "../../src/engines/engine.js";
import { freshSqlite } from "../support/databases.js";
import { openAt, script } from "../support/libsql.js";

const rows = 12_000;
/** Of the number i, eight digits that follow no order. */
const scattered = "printf('%08x', (i * 2654435761) % 4294967296)";

/** SQL that makes a table with the columns a and b, and fills it. */
function filled(definition: string, a: string, b: string): string {
  return `CREATE TABLE t (${definition};
    WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < ${rows}) INSERT INTO t (a, b) SELECT ${a}, ${b} FROM n`;
}

/** Every row of the table, and those of its parts, as SQL spells their values, in hexadecimal. */
async function cut(text: string): Promise<{ readonly all: readonly string[]; readonly parts: readonly string[][] }> {
  const engine = await openAt(freshSqlite(), { createFile: true });
  onTestFinished(() => engine.close());
  await script(engine, text);
  return engine.transaction({ mode: "read" }, async (transaction) => {
    const [table] = await discoverSqlite(transaction);
    if (table === undefined) throw new Error("no table");
    const rowsWhere = async (rest: string, values: readonly unknown[] = []) => {
      const select = `SELECT hex(quote(a)) || ' ' || hex(quote(b)) AS row FROM t WHERE ${rest}`;
      return (await transaction.query(statement(select, values))).map(({ row }) => String(row));
    };
    const parts: string[][] = [];
    for await (const { text, values, order } of partsByKey(transaction, table))
      parts.push(await rowsWhere(`${text} ${order}`, values));
    return { all: await rowsWhere("TRUE"), parts };
  });
}

test.each([
  ["one column of text", "a TEXT PRIMARY KEY, b TEXT)", scattered, "NULL"],
  ["several columns, the first always the same", "a TEXT, b TEXT NOT NULL, PRIMARY KEY (a, b))", "'same'", scattered],
  ["that of one of several indexes", "a TEXT NOT NULL, b TEXT, UNIQUE (b, a), PRIMARY KEY (a))", scattered, "NULL"],
])("a table is cut along its key: %s", async (_, definition, a, b) => {
  const { all, parts } = await cut(filled(definition, a, b));
  expect(parts.flat().join("\n") === [...all].sort().join("\n")).toBe(true);
  expect(parts.filter(({ length }) => length > 0)).toHaveLength(3);
});

const oftenNull = "iif(i % 3 = 0, NULL, i)";
test.each([
  ["no rowid", "a TEXT PRIMARY KEY, b TEXT) WITHOUT ROWID", scattered],
  ["no index but the rowid", "a INTEGER PRIMARY KEY, b TEXT)", "i"],
  ["an index of another order", "a TEXT NOT NULL, b TEXT NOT NULL, PRIMARY KEY (a COLLATE NOCASE, b DESC))", scattered],
  [
    "keys of all types",
    "a PRIMARY KEY, b TEXT)",
    "CASE i % 3 WHEN 0 THEN i WHEN 1 THEN CAST(i AS BLOB) ELSE 'x' || i END",
  ],
  ["keys that no driver hands out", "a TEXT PRIMARY KEY, b TEXT)", `CAST(x'ff' || ${scattered} || x'00fe' AS TEXT)`],
  ["NULL in keys of one column", "a TEXT PRIMARY KEY, b TEXT)", oftenNull],
  ["NULL in keys of several", "a TEXT, b TEXT, PRIMARY KEY (b, a))", oftenNull],
])("every row is in a part: %s", async (_, definition, a) => {
  const { all, parts } = await cut(filled(definition, a, "'b' || i % 2"));
  const found = parts.flat();
  expect(all).toHaveLength(rows);
  expect(new Set(found)).toEqual(new Set(all));
  expect(found.filter((row) => !row.startsWith("4E554C4C "))).toHaveLength(
    all.filter((row) => !row.startsWith("4E554C4C ")).length,
  );
});

test("an empty table has none, and the only row is found", async () => {
  const empty = "CREATE TABLE t (a TEXT PRIMARY KEY, b TEXT)";
  expect((await cut(empty)).parts.flat()).toEqual([]);
  for (const row of ["'x', NULL", "NULL, 'y'"]) {
    const { all, parts } = await cut(`${empty}; INSERT INTO t VALUES (${row})`);
    expect(parts.flat()).toEqual(all);
  }
});
