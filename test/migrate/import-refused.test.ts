import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { type ImportOptions, importData } from "../../src/migrate/import.js";
import { type Reject, rejectsIn } from "../../src/migrate/rejects.js";
import { freshDirectory } from "../support/databases.js";
import { folderWith, type Place, placeWith, postgresWith, rowsAt, sqliteWith } from "../support/places.js";
import { startProxy } from "../support/proxy.js";

async function importInto({ env }: Place, options: ImportOptions) {
  const rejects = join(freshDirectory(), "rejects");
  const { tables } = await importData({ env, rejects, ...options });
  return { tables, aside: tables.map(({ setAside }) => setAside), rejects };
}

async function rejectedIn(folder: string, table: string): Promise<Reject[]> {
  const found: Reject[] = [];
  for await (const { reject } of rejectsIn(join(folder, `${table}.jsonl`))) found.push(reject);
  return found;
}

describe.each(["sqlite", "postgres"] as const)("into %s, rows that it refuses", (side) => {
  test("in a table without a key: they are set aside, and the others are there", async () => {
    const bag = await placeWith(side, "CREATE TABLE bag (n INTEGER CHECK (n > 0), name TEXT)");
    const directory = folderWith({ "bag.json": '[{"n":1},{"n":-1,"name":"x"},{"n":1},{"n":2,"name":"y"}]' });
    await expect(importData({ env: bag.env, to: side, directory, strict: true })).rejects.toMatchObject({
      code: "CONSTRAINT_VIOLATED",
      table: "bag",
      details: { line: 2, setAside: 1 },
    });
    const { tables, rejects } = await importInto(bag, { to: side, directory });
    expect(tables).toMatchObject([{ table: "bag", rows: 4, inserted: 3, setAside: 1 }]);
    expect(await rowsAt(bag, "SELECT n FROM bag ORDER BY n")).toEqual([{ n: 1n }, { n: 1n }, { n: 2n }]);
    const [reject] = await rejectedIn(rejects, "bag");
    expect(reject).toMatchObject({ action: "refused", row: { n: -1, name: "x" } });
    expect(reject?.reason).toContain("a CHECK does not hold");
  });

  test("in a table without a key that points to itself", async () => {
    const tree = await placeWith(
      side,
      "CREATE TABLE tree (id INTEGER UNIQUE, up INTEGER REFERENCES tree(id), n INTEGER CHECK (n > 0))",
    );
    const directory = folderWith({
      "tree.json":
        '[{"id":2,"up":1,"n":1},{"id":1,"n":1},{"id":3,"up":9,"n":1},{"id":4,"up":1,"n":0},{"id":5,"up":4,"n":1}]',
    });
    const { aside } = await importInto(tree, { to: side, directory });
    expect(aside).toEqual([3]);
    expect(await rowsAt(tree, "SELECT id FROM tree ORDER BY id")).toEqual([{ id: 1n }, { id: 2n }]);
  });

  test.each(["", "INSERT INTO parents VALUES (7); INSERT INTO children VALUES (70, 7)"])(
    "for a foreign key that is looked at when the transaction ends; there before: %j",
    async (before) => {
      const place = await placeWith(
        side,
        `CREATE TABLE parents (id INTEGER PRIMARY KEY);
         CREATE TABLE children (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parents(id) DEFERRABLE INITIALLY DEFERRED); ${before}`,
      );
      const directory = folderWith({
        "parents.json": '[{"id":1}]',
        "children.json": '[{"id":1,"parent":1},{"id":2,"parent":9},{"id":3},{"id":4,"parent":8}]',
      });
      const { aside, rejects } = await importInto(place, { to: side, directory });
      expect(aside).toEqual([0, 2]);
      expect(await rowsAt(place, "SELECT id FROM children WHERE id < 10 ORDER BY id")).toEqual([
        { id: 1n },
        { id: 3n },
      ]);
      const found = await rejectedIn(rejects, "children");
      expect(found.map(({ key, column }) => [key, column])).toEqual([
        ["2", "parent"],
        ["4", "parent"],
      ]);
    },
  );
});

test("what SQLite's constraints do about conflicts by themselves lets no row go missing", async () => {
  const place = await sqliteWith(
    `CREATE TABLE meek (id INTEGER PRIMARY KEY, u TEXT UNIQUE ON CONFLICT IGNORE);
     CREATE TABLE rude (id INTEGER PRIMARY KEY, u TEXT UNIQUE ON CONFLICT REPLACE, n TEXT NOT NULL ON CONFLICT REPLACE DEFAULT 'none');
     INSERT INTO rude VALUES (7, 'here', 'n');`,
  );
  const directory = folderWith({
    "meek.json": '[{"id":1,"u":"a"},{"id":2,"u":"a"}]',
    "rude.json": '[{"id":1,"u":"here","n":"x"},{"id":2,"u":"b","n":null},{"id":3,"u":"c","n":"x"}]',
  });
  const { aside } = await importInto(place, { directory });
  expect(aside).toEqual([1, 2]);
  expect(await rowsAt(place, "SELECT id FROM rude ORDER BY id")).toEqual([{ id: 3n }, { id: 7n }]);
});

test("where most rows are refused PostgreSQL is not asked about each", async () => {
  const place = await postgresWith(
    `CREATE TYPE mood AS ENUM ('sad', 'happy');
     CREATE TABLE t (id int PRIMARY KEY, mood mood, n int CHECK (n > 0), u int UNIQUE); INSERT INTO t VALUES (-1, 'sad', 1, -1)`,
  );
  const url = new URL(place.url);
  const proxy = await startProxy(Number(url.port));
  onTestFinished(() => proxy.close());
  url.port = String(proxy.port);
  const rows = Array.from({ length: 9_000 }, (_, id) => ({
    id,
    mood: id < 3_000 ? "glum" : "sad",
    n: (id % 4) - 2,
    u: id % 8 === 7 ? -1 : id,
  }));
  const directory = folderWith({ "t.json": JSON.stringify(rows) });
  const rejects = join(freshDirectory(), "rejects");
  const report = await importData({ env: {}, postgres: url.href, to: "postgres", directory, rejects });
  expect(report.tables).toMatchObject([{ rows: 9_000, inserted: 750, setAside: 8_250 }]);
  expect(report.tables[0]?.findings.map(({ column, count }) => [column, count])).toEqual([
    ["mood", 3_000],
    ["n", 4_500],
    ["u", 750],
  ]);
  expect(proxy.pieces).toBeLessThan(500);
});

test("what a trigger raises against a row sets it aside; what is no fault of a row ends the import", async () => {
  const place = await postgresWith(
    `CREATE TABLE t (id int PRIMARY KEY, raised text);
     CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN IF NEW.raised IS NOT NULL THEN RAISE EXCEPTION 'no' USING ERRCODE = NEW.raised; END IF; RETURN NEW; END $$;
     CREATE TRIGGER refuse BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION refuse();`,
  );
  const raising = (state: string) =>
    folderWith({ "t.json": `[{"id":1},{"id":2,"raised":"MINE1"},{"id":3,"raised":"${state}"}]` });
  const full = importInto(place, { to: "postgres", directory: raising("53100") });
  await expect(full).rejects.toMatchObject({ code: "DATABASE_UNAVAILABLE" });
  expect(await rowsAt(place, "SELECT id FROM t")).toEqual([]);
  const { aside } = await importInto(place, { to: "postgres", directory: raising("P0001") });
  expect(aside).toEqual([2]);
  expect(await rowsAt(place, "SELECT id FROM t")).toEqual([{ id: 1n }]);
});
