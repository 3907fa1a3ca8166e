import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { copy } from "../../src/migrate/copy.js";
import { doctor } from "../../src/migrate/doctor.js";
import { exportData } from "../../src/migrate/export.js";
import { importData } from "../../src/migrate/import.js";
import { verify } from "../../src/migrate/verify.js";
import { freshDirectory, freshPostgres, freshSqlite } from "../support/databases.js";
import { openAt, script } from "../support/libsql.js";
import { TestPair, until } from "../support/pair.js";
import { runAt } from "../support/postgres.js";
import { compareFiles } from "../support/sqlite-twins.js";

const rows = 40;

/** What the columns declare in turn, and a literal for the row `n`. */
const kinds: readonly (readonly [declared: string, literal: (n: number) => string])[] = [
  ["INTEGER", (n) => String(n * 7919)],
  ["TEXT", (n) => `'text ${n}'`],
  ["BOOLEAN", (n) => String(n % 2)],
  ["REAL", (n) => `${n}.25`],
  ["SMALLINT", (n) => String(n - 20)],
  ["DATETIME", (n) => `'2024-01-01T10:00:${String(n % 60).padStart(2, "0")}.000Z'`],
  ["JSON", (n) => `'{"n":${n}}'`],
  ["BLOB", (n) => `x'00${String(n % 10)}f'`],
  ["DECIMAL(9,2)", (n) => `${n}.5`],
  ["VARCHAR(10)", (n) => `'v${n}'`],
];

const columns = Array.from({ length: 999 }, (_, index) => ({ name: `c${index}`, kind: kinds[index % kinds.length] }));
const definition = `CREATE TABLE wide (id INTEGER PRIMARY KEY, ${columns.map(({ name, kind }) => `${name} ${kind?.[0]}`).join(", ")})`;

/** Most of its values: so many as a page of PostgreSQL has room for. */
function insert(id: number, isFilled: (index: number) => boolean): string {
  const filled = columns.map(({ name, kind }, index) => ({ name, kind, isFilled: isFilled(index) }));
  const given = filled.filter((column) => column.isFilled);
  return `INSERT INTO wide (id, ${given.map(({ name }) => name).join(", ")}) VALUES (${id}, ${given.map(({ kind }) => kind?.[1](id)).join(", ")})`;
}

function insertsOf(count: number): string {
  return Array.from({ length: count }, (_, id) => insert(id, (index) => (index + id) % 5 > 1)).join("; ");
}

async function wideFile(more = ""): Promise<string> {
  const file = freshSqlite();
  const engine = await openAt(file);
  await script(engine, `${definition}; ${insertsOf(rows)}; ${more}`);
  await engine.close();
  return file;
}

describe("a table of 1,000 columns", () => {
  test("goes to PostgreSQL and comes back to a new file, by copies and by files, and verify finds it equal", async () => {
    const sqlite = await wideFile();
    const given = { env: {}, sqlite, postgres: await freshPostgres() };
    expect((await copy({ ...given, createTables: true })).tables).toMatchObject([{ written: rows, findings: [] }]);
    expect((await copy(given)).tables).toMatchObject([{ written: 0, alreadyThere: rows }]);
    expect((await verify(given)).equal).toBe(true);
    expect((await doctor(given)).findings).toEqual([]);

    const back = { ...given, sqlite: freshSqlite() };
    expect((await copy({ ...back, from: "postgres", createTables: true })).tables).toMatchObject([{ written: rows }]);
    expect(await compareFiles(sqlite, back.sqlite)).toMatchObject({ rowsApart: [], schemaApart: [], asText: [] });
    expect((await verify({ ...back, from: "postgres" })).equal).toBe(true);

    for (const from of ["sqlite", "postgres"] as const) {
      const directory = join(freshDirectory(), from);
      await exportData({ ...given, from, directory });
      const to = from === "sqlite" ? "postgres" : "sqlite";
      if (to === "postgres") await runAt(given.postgres, "DELETE FROM wide");
      else await emptied(back.sqlite);
      for (const done of [{ inserted: rows }, { inserted: 0, equal: rows }])
        expect((await importData({ ...back, to, directory })).tables).toMatchObject([done]);
    }
    expect(await compareFiles(sqlite, back.sqlite)).toMatchObject({ rowsApart: [] });
    expect((await verify(given)).equal).toBe(true);
  });

  test("is mirrored in both directions", async () => {
    const few = 12;
    const pair = await TestPair.create();
    await (await pair.open("---")).close();
    await script(await pair.sqlite, `${definition}; ${insertsOf(few)}`);
    const file = await wideFile(`DELETE FROM wide WHERE id >= ${few}`);
    await copy({ env: {}, sqlite: file, postgres: pair.url, createTables: true, tables: ["wide"] });
    await runAt(pair.url, "DELETE FROM wide WHERE id > 3");
    const settled = (side: "sqlite" | "postgres") =>
      until(`${side} owes nothing`, async () => (await pair.owed(side)) === 0, 110_000);
    const forward = await pair.open("--S");
    await settled("sqlite");
    await script(await pair.sqlite, "UPDATE wide SET c991 = 'changed' WHERE id < 6; DELETE FROM wide WHERE id = 9");
    await settled("sqlite");
    await pair.expectEqual();
    await forward.close();
    await pair.open("P-S");
    await runAt(pair.url, "UPDATE wide SET c0 = 1, c991 = 'back' WHERE id > 5; DELETE FROM wide WHERE id = 1");
    await settled("postgres");
    await pair.expectEqual();
    expect(await pair.rows("sqlite", "SELECT COUNT(*) AS n, SUM(c991 = 'back') AS back FROM wide")).toEqual([
      { n: few - 2, back: 5 },
    ]);
  });

  test("has a row set aside that is larger than a page of PostgreSQL, with that reason", async () => {
    const sqlite = await wideFile(insert(100, () => true).replaceAll("'text 100'", "'0123456789abcdefghijklm'"));
    const given = { env: {}, sqlite, postgres: await freshPostgres(), rejects: join(freshDirectory(), "rejects") };
    const finding = {
      action: "refused",
      reason: "the row is larger than a page of PostgreSQL (54000)",
      column: "",
      count: 1,
      keys: ["100"],
    };
    expect((await doctor({ ...given, createTables: true })).findings).toMatchObject([finding]);
    const { tables } = await copy({ ...given, createTables: true });
    expect(tables).toMatchObject([{ written: rows, setAside: 1, findings: [finding] }]);
  });
});

async function emptied(file: string): Promise<void> {
  const engine = await openAt(file);
  await script(engine, "DELETE FROM wide");
  await engine.close();
}
