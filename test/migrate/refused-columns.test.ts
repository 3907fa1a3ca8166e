import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { copy } from "../../src/migrate/copy.js";
import { doctor } from "../../src/migrate/doctor.js";
import { exportData } from "../../src/migrate/export.js";
import { importData } from "../../src/migrate/import.js";
import { rejectsIn } from "../../src/migrate/rejects.js";
import { freshDirectory } from "../support/databases.js";
import { openAt, script } from "../support/libsql.js";
import { TestPair, until } from "../support/pair.js";
import { runAt } from "../support/postgres.js";
import { Recorder } from "../support/recorder.js";

/** What is wrong with each row, by the names of SQLite's columns. */
const expected = {
  "things 2": "firstName, lastName",
  "things 3": "parentId",
  "things 4": "low, high",
  "things 5": "code",
  "things 6": "must",
  "things 7": "oddName",
  "folders 2": "upperFolder",
  "folders 3": "theTitle",
};

/** Two databases that are no pair yet, with rows that constraints of PostgreSQL refuse. */
async function databases(migrated: boolean): Promise<TestPair> {
  const pair = await TestPair.create({ migrated });
  if (migrated) await (await pair.open("---")).close();
  await runAt(
    pair.url,
    `CREATE DOMAIN short AS text CHECK (length(VALUE) < 5);
     CREATE TABLE parents (id bigint PRIMARY KEY);
     CREATE TABLE folders (id bigint PRIMARY KEY, upper_folder bigint REFERENCES folders, the_title text UNIQUE);
     CREATE TABLE things (id bigint PRIMARY KEY, parent_id bigint REFERENCES parents, first_name text, last_name text, low integer, high integer,
       code short, must text NOT NULL, odd_name text CONSTRAINT even CHECK (length(odd_name) % 2 = 0), UNIQUE (first_name, last_name), CHECK (low < high))`,
  );
  const sqlite = await openAt(pair.file);
  await script(
    sqlite,
    `CREATE TABLE parents (id INTEGER PRIMARY KEY);
     CREATE TABLE folders (id INTEGER PRIMARY KEY, upperFolder INTEGER, theTitle TEXT);
     INSERT INTO folders VALUES (1, NULL, 't'), (2, 99, 'u'), (3, 1, 't');
     CREATE TABLE things (id INTEGER PRIMARY KEY, parentId INTEGER, firstName TEXT, lastName TEXT, low INTEGER, high INTEGER, code TEXT,
       must TEXT, oddName TEXT);
     INSERT INTO things VALUES (1, NULL, 'a', 'b', 1, 2, 'ok', 'm', NULL), (2, NULL, 'a', 'b', 1, 2, 'ok', 'm', NULL), (3, 7, 'c', 'b', 1, 2, 'ok', 'm', NULL),
       (4, NULL, 'd', 'b', 5, 2, 'ok', 'm', NULL), (5, NULL, 'e', 'b', 1, 2, 'too long', 'm', NULL), (6, NULL, 'f', 'b', 1, 2, 'ok', NULL, NULL),
       (7, NULL, 'g', 'b', 1, 2, 'ok', 'm', 'odd');`,
  );
  await sqlite.close();
  return pair;
}

async function columnsIn(folder: string): Promise<Record<string, string>> {
  const columns: Record<string, string> = {};
  for (const file of readdirSync(folder))
    for await (const { reject } of rejectsIn(join(folder, file)))
      columns[`${reject.table} ${reject.key}`] = reject.column;
  return columns;
}

describe("the columns of a constraint that PostgreSQL refuses a row for are named", () => {
  test("by the doctor", async () => {
    const pair = await databases(false);
    const { findings } = await doctor({ env: pair.env("---") });
    expect(Object.fromEntries(findings.map(({ table, keys, column }) => [`${table} ${keys}`, column]))).toEqual(
      expected,
    );
  });

  test("by a copy between databases that are no pair", async () => {
    const pair = await databases(false);
    const rejects = join(freshDirectory(), "rejects");
    await copy({ env: pair.env("---"), rejects });
    expect(await columnsIn(rejects)).toEqual(expected);
  });

  test("by an import", async () => {
    const pair = await databases(false);
    const rejects = join(freshDirectory(), "rejects");
    const directory = join(freshDirectory(), "exported");
    await exportData({ env: pair.env("---"), from: "sqlite", directory });
    await importData({ env: pair.env("---"), to: "postgres", directory, rejects });
    expect(await columnsIn(rejects)).toEqual(expected);
  });

  test("by the mirror, and by a copy in a pair", async () => {
    const pair = await databases(true);
    const recorder = new Recorder();
    const database = await pair.open("--S", { logger: recorder });
    const { length } = Object.keys(expected);
    await until("they are set aside", async () => (await database.drain({ timeoutMs: 100 })).quarantined === length);
    const said = recorder.of("refused").map(({ fields: { table, key, column } }) => [`${table} ${key}`, column]);
    expect(Object.fromEntries(said)).toEqual(expected);
    await database.close();
    const rejects = join(freshDirectory(), "rejects");
    await copy({ env: pair.env("---"), rejects });
    expect(await columnsIn(rejects)).toEqual(expected);
  });
});
