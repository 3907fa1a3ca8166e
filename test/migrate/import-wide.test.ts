import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { exportData } from "../../src/migrate/export.js";
import { importData } from "../../src/migrate/import.js";
import { freshDirectory } from "../support/databases.js";
import { folderWith, placeWith, rowsAt } from "../support/places.js";

/** As many columns as a table can have, and one row more than is needed to tell what becomes of it. */
const limits = { sqlite: 2_000, postgres: 1_600 } as const;

describe.each(["sqlite", "postgres"] as const)("a table of %s with as many columns as it can have", (side) => {
  const names = Array.from({ length: limits[side] - 3 }, (_, index) => `column_${index}`);
  const schema = `CREATE TABLE wide (id INTEGER PRIMARY KEY, ${names.map((name) => `${name} SMALLINT`).join(", ")}, updated_at BIGINT, last TEXT)`;
  const row = (id: number, updated_at: number, last: string, value = 1) => ({
    id,
    ...Object.fromEntries(names.map((name, index) => [name, index % 2 === 0 ? value : null])),
    updated_at,
    last,
  });

  test("takes a second import, and a file with the newer rows, as any other", async () => {
    const place = await placeWith(side, schema);
    const into = (rows: readonly object[], overwrite = false) =>
      importData({ env: place.env, to: side, directory: folderWith({ "wide.json": JSON.stringify(rows) }), overwrite });
    const first = [row(1, 5, "a"), row(2, 5, "b"), row(3, 5, "c")];
    expect((await into(first)).tables).toMatchObject([{ inserted: 3 }]);
    expect((await into(first)).tables).toMatchObject([{ equal: 3 }]);
    const second = [row(1, 9, "newer"), row(2, 1, "older"), row(3, 5, "other"), row(4, 5, "new")];
    expect((await into(second)).tables).toMatchObject([{ inserted: 1, replaced: 1, newer: 1, kept: 1 }]);
    expect((await into(second, true)).tables).toMatchObject([{ equal: 2, replaced: 2 }]);
    expect(await rowsAt(place, "SELECT last FROM wide ORDER BY id")).toEqual(second.map(({ last }) => ({ last })));
  });

  test("has refused rows set aside", async () => {
    const place = await placeWith(
      side,
      `${schema.replace("last TEXT", "last TEXT CHECK (length(last) < 5)").replace("column_0 SMALLINT", "column_0 SMALLINT UNIQUE")};
       INSERT INTO wide (id, column_0) VALUES (7, 70)`,
    );
    const directory = folderWith({
      "wide.json": JSON.stringify([row(1, 5, "a", 1), row(2, 5, "too long", 2), row(3, 5, "c", 70), row(1, 6, "d", 4)]),
    });
    const rejects = join(freshDirectory(), "rejects");
    const { tables } = await importData({ env: place.env, to: side, directory, rejects });
    expect(tables).toMatchObject([{ inserted: 1, setAside: 3 }]);
    expect(await rowsAt(place, "SELECT id, last FROM wide ORDER BY id")).toEqual([
      { id: 1n, last: "a" },
      { id: 7n, last: null },
    ]);
  });

  test("is exported, and comes back", async () => {
    const place = await placeWith(side, schema);
    const directory = folderWith({ "wide.json": JSON.stringify([row(1, 5, "a"), row(2, 5, "b")]) });
    await importData({ env: place.env, to: side, directory });
    const out = join(freshDirectory(), "out");
    await exportData({ env: place.env, from: side, directory: out });
    expect((await importData({ env: place.env, to: side, directory: out })).tables).toMatchObject([{ equal: 2 }]);
  });
});

test("a table of PostgreSQL whose last column, of 1,600, has a type that refuses values", async () => {
  const names = Array.from({ length: 1_598 }, (_, index) => `c${index}`);
  const columns = `id int PRIMARY KEY, ${names.map((name) => `${name} smallint`).join(", ")}`;
  const place = await placeWith(
    "postgres",
    `CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE TABLE wide (${columns}, mood mood); INSERT INTO wide (id) VALUES (9)`,
  );
  const directory = folderWith({
    "wide.json": '[{"id":1,"mood":"sad"},{"id":2,"mood":"mad"},{"id":3,"c1597":5,"mood":"happy"}]',
  });
  const rejects = join(freshDirectory(), "rejects");
  const { tables } = await importData({ env: place.env, to: "postgres", directory, rejects });
  expect(tables).toMatchObject([{ inserted: 2, setAside: 1, findings: [{ column: "mood", keys: ["2"] }] }]);
});
