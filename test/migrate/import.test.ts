import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { discoverSqlite } from "../../src/data/catalogue/discover.js";
import { everyRow } from "../../src/data/rows/every-row.js";
import { rowToJson } from "../../src/data/rows/exact-json.js";
import type { Engine } from "../../src/engines/engine.js";
import { exportData } from "../../src/migrate/export.js";
import { importData } from "../../src/migrate/import.js";
import { lastRuns } from "../../src/migrate/runs.js";
import { freshDirectory } from "../support/databases.js";
import { openAt, script, serverConfig } from "../support/libsql.js";
import { TestPair } from "../support/pair.js";
import { folderWith, placeWith, postgresWith, rowsAt, sqliteWith } from "../support/places.js";
import { sqldRuns, startSqld } from "../support/sqld.js";

/** Every row of a SQLite file, to the bit. */
async function contentOf(engine: Engine): Promise<Record<string, string[]>> {
  return engine.transaction({ mode: "read" }, async (transaction) => {
    const content: Record<string, string[]> = {};
    for (const table of await discoverSqlite(transaction)) {
      const lines: string[] = [];
      for await (const page of everyRow("sqlite", transaction, table))
        lines.push(...page.map((row) => JSON.stringify(rowToJson(table, row))));
      content[table.name] = lines.sort();
    }
    return content;
  });
}

const oddSchema = `
  CREATE TABLE odd (id TEXT PRIMARY KEY, value, "the real" REAL, n INTEGER, text TEXT);
`;

const oddRows = `
  INSERT INTO odd VALUES ('blob', x'00ff', 1.5, 1, 'a'), ('float', 5.0, 5.0, 5, '5'), ('fraction', 0.1, 1e308, 9223372036854775807, NULL),
    ('huge', -9223372036854775808, 1e-320, NULL, ''), ('infinity', -9e999, 9e999, 0, 'x'), ('minus zero', -0.0, 0, 0, '0'),
    ('NUL', 'a' || char(0) || 'b', 0.30000000000000004, 2, 'c' || char(0)), ('no UTF-8', CAST(x'61ff62' AS TEXT), 3, 3, CAST(x'c328' AS TEXT)),
    ('json', '{"a":"\\ud800"}', 4, 4, '{"n":123456789012345678901234567890}'), ('text', 'ä😀"', 5, 'not a number', char(10) || '\\' || char(9));
  INSERT INTO odd VALUES (CAST(x'6bff' AS TEXT), 1, 1, 1, 1);`;

describe("there and back", () => {
  test("SQLite to a new SQLite: equal to the bit, and again changes nothing", async () => {
    const schema = `${oddSchema}
      CREATE TABLE tree (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES tree(id), "order" TEXT);
      CREATE TABLE pairs (a TEXT, b INTEGER, PRIMARY KEY (a, b)) WITHOUT ROWID;
      CREATE TABLE log (line TEXT);
      CREATE TABLE made (id TEXT PRIMARY KEY, n INTEGER, twice AS (n * 2) STORED);`;
    const source = await sqliteWith(`${schema} ${oddRows}
      INSERT INTO tree VALUES (1, NULL, 'root'); INSERT INTO tree VALUES (3, 1, 'c'); INSERT INTO tree VALUES (2, 3, 'b');
      INSERT INTO pairs VALUES ('a,b', 1), ('a\\', 2); INSERT INTO log VALUES ('x'), ('x'); INSERT INTO made (id, n) VALUES ('m', 4);`);
    const directory = join(freshDirectory(), "out");
    await exportData({ env: {}, sqlite: source.file, directory });
    const target = await sqliteWith(schema);
    const report = await importData({ env: target.env, directory });
    expect(report).toMatchObject({ leftOut: [], rejects: null });
    expect(await contentOf(target.engine)).toEqual(await contentOf(source.engine));
    const again = await importData({ env: target.env, directory });
    expect(again.leftOut).toEqual([{ table: "log", reason: "it has no key, and is not empty" }]);
    for (const { rows, equal } of again.tables.filter(({ table }) => table !== "log")) expect(equal).toBe(rows);
    expect(await contentOf(target.engine)).toEqual(await contentOf(source.engine));
  });

  test("SQLite to PostgreSQL to SQLite", async () => {
    const schema = `CREATE TABLE t (id TEXT PRIMARY KEY, flag INTEGER, doc TEXT, big INTEGER, x REAL, raw BLOB);
      CREATE TABLE c (id INTEGER PRIMARY KEY, t TEXT REFERENCES t(id));`;
    const source =
      await sqliteWith(`${schema} INSERT INTO t VALUES ('1', 1, '{"n":12345678901234567890}', 9007199254740993, 0.1, x'00ff'),
      ('2', 0, 'no JSON', -5, 5.0, NULL), ('3', NULL, NULL, NULL, NULL, NULL); INSERT INTO c VALUES (7, '1'), (8, NULL);`);
    const postgres =
      await postgresWith(`CREATE TABLE t (id text PRIMARY KEY, flag boolean, doc jsonb, big bigint, x double precision, raw bytea);
      CREATE TABLE c (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, t text REFERENCES t(id));`);
    const [there, back] = [join(freshDirectory(), "there"), join(freshDirectory(), "back")];
    await exportData({ env: source.env, directory: there });
    const first = await importData({ env: postgres.env, to: "postgres", directory: there });
    expect(first.tables.map(({ table, inserted }) => [table, inserted])).toEqual([
      ["t", 3],
      ["c", 2],
    ]);
    expect(first.tables[0]?.findings).toEqual([
      { column: "doc", reason: expect.any(String), action: "wrapped", count: 1, keys: ["2"] },
    ]);
    expect(await rowsAt(postgres, "INSERT INTO c (t) VALUES ('2') RETURNING id").catch(() => [])).toEqual([]);
    await script(postgres.engine, "INSERT INTO c (t) VALUES ('2')");
    expect(await rowsAt(postgres, "SELECT max(id) AS id FROM c")).toEqual([{ id: 9n }]);
    await script(postgres.engine, "DELETE FROM c WHERE id = 9");
    const again = await importData({ env: postgres.env, to: "postgres", directory: there });
    expect(again.tables.map(({ rows, equal }) => rows - equal)).toEqual([0, 0]);
    await exportData({ env: postgres.env, from: "postgres", directory: back });
    const target = await sqliteWith(schema);
    await importData({ env: target.env, to: "sqlite", directory: back });
    const content = await contentOf(target.engine);
    expect(content.t?.map((line) => JSON.parse(line))).toEqual([
      {
        id: "1",
        flag: 1,
        doc: '{"n": 12345678901234567890}',
        big: { $integer: "9007199254740993" },
        x: 0.1,
        raw: { $bytes: "AP8=" },
      },
      { id: "2", flag: 0, doc: "no JSON", big: -5, x: { $real: "5" }, raw: null },
      { id: "3", flag: null, doc: null, big: null, x: null, raw: null },
    ]);
    expect(content.c).toEqual((await contentOf(source.engine)).c);
  });
});

describe.each(["sqlite", "postgres"] as const)("into %s", (side) => {
  const notes = "CREATE TABLE notes (id TEXT PRIMARY KEY, text TEXT, updated_at BIGINT)";

  test("the newer row stays, whichever it is; without a time the one that is there, unless the file is to win", async () => {
    const { env, engine } = await placeWith(
      side,
      `${notes}; CREATE TABLE plain (id TEXT PRIMARY KEY, text TEXT);
      INSERT INTO notes VALUES ('older', 'here', 1), ('newer', 'here', 9), ('same', 'both', 5), ('tie', 'here', 5), ('unknown', 'here', NULL);
      INSERT INTO plain VALUES ('a', 'here'), ('b', 'both');`,
    );
    const directory = folderWith({
      "notes.json": JSON.stringify(
        ["older", "newer", "tie", "unknown", "fresh"]
          .map((id) => ({ id, text: "file", updated_at: 5 }))
          .concat([{ id: "same", text: "both", updated_at: 5 }]),
      ),
      "plain.json": '[{"id":"a","text":"file"},{"id":"b","text":"both"},{"id":"c","text":"file"}]',
    });
    const options = { env, to: side, directory };
    const report = await importData(options);
    expect(report.tables).toMatchObject([
      { table: "notes", rows: 6, inserted: 1, replaced: 1, equal: 1, newer: 1, kept: 2, setAside: 0 },
      { table: "plain", rows: 3, inserted: 1, replaced: 0, equal: 1, newer: 0, kept: 1, setAside: 0 },
    ]);
    expect(await rowsAt({ engine }, "SELECT id, text FROM notes WHERE text = 'here' ORDER BY id")).toEqual(
      ["newer", "tie", "unknown"].map((id) => ({ id, text: "here" })),
    );
    const again = await importData(options);
    expect(again.tables.map(({ inserted, replaced }) => inserted + replaced)).toEqual([0, 0]);
    const forced = await importData({ ...options, overwrite: true });
    expect(forced.tables.map(({ replaced, equal }) => [replaced, equal])).toEqual([
      [3, 3],
      [1, 2],
    ]);
    expect(await rowsAt({ engine }, "SELECT id FROM notes WHERE text = 'here'")).toEqual([]);
  });

  test("one document for all tables, and values as other tools write them", async () => {
    const types = side === "sqlite" ? ["TEXT", "INTEGER", "REAL"] : ["jsonb", "boolean", "numeric"];
    const { env, engine } = await placeWith(
      side,
      `CREATE TABLE things (id TEXT PRIMARY KEY, doc ${types[0]}, flag ${types[1]}, price ${types[2]}, n BIGINT, at ${side === "sqlite" ? "TEXT" : "timestamptz"})`,
    );
    const file = join(
      folderWith({
        "dump.json": `{"things": [{"id": "1", "doc": {"b": [1, 12345678901234567890], "a": "x"}, "flag": true, "price": 0.5, "n": "42", "at": "2024-05-06T07:08:09Z"},
          {"id": "2", "doc": "[1]", "flag": null, "n": 9007199254740993}], "others": []}`,
      }),
      "dump.json",
    );
    const report = await importData({ env, to: side, file });
    expect(report.leftOut).toEqual([{ table: "others", reason: `${side} has no such table` }]);
    expect(report.tables).toMatchObject([{ inserted: 2 }]);
    const [first, second] = (await rowsAt(
      { engine },
      "SELECT CAST(doc AS TEXT) AS doc, flag, CAST(price AS TEXT) AS price, n FROM things ORDER BY id",
    )) as Record<string, unknown>[];
    expect(String(first?.doc).replace(/ /g, "")).toContain("[1,12345678901234567890]");
    expect([first?.flag, first?.price, first?.n]).toEqual([side === "sqlite" ? 1n : true, "0.5", 42n]);
    expect(second).toMatchObject({ flag: null, price: null, n: 9_007_199_254_740_993n });
    expect((await importData({ env, to: side, file })).tables).toMatchObject([{ equal: 2 }]);
  });

  test("foreign keys: parents first, to itself and in a circle; orphans are set aside with their own children", async () => {
    const { env, engine } = await placeWith(
      side,
      `CREATE TABLE a (id INTEGER PRIMARY KEY, z INTEGER NOT NULL); CREATE TABLE z (id INTEGER PRIMARY KEY, a INTEGER NOT NULL REFERENCES a(id));
       ${side === "postgres" ? "ALTER TABLE a ADD FOREIGN KEY (z) REFERENCES z(id);" : "DROP TABLE a; CREATE TABLE a (id INTEGER PRIMARY KEY, z INTEGER NOT NULL REFERENCES z(id));"}
       CREATE TABLE tree (id INTEGER PRIMARY KEY, up INTEGER REFERENCES tree(id));
       CREATE TABLE child (id INTEGER PRIMARY KEY, tree INTEGER REFERENCES tree(id));`,
    );
    const directory = folderWith({
      "a.json": '[{"id":1,"z":2},{"id":3,"z":4},{"id":5,"z":6}]',
      "child.json": '[{"id":1,"tree":9},{"id":2,"tree":1},{"id":3,"tree":4}]',
      "tree.json":
        '[{"id":3,"up":2},{"id":2,"up":1},{"id":1,"up":1},{"id":4,"up":5},{"id":5,"up":77},{"id":9,"up":null}]',
      "z.json": '[{"id":2,"a":1},{"id":4,"a":3},{"id":6,"a":8}]',
    });
    const rejects = join(freshDirectory(), "rejects");
    const report = await importData({ env, to: side, directory, rejects });
    const counts = report.tables.map(({ table, inserted, setAside }) => [table, inserted, setAside]);
    expect(counts.sort()).toEqual([
      ["a", 2, 1],
      ["child", 2, 1],
      ["tree", 4, 2],
      ["z", 2, 1],
    ]);
    expect(await rowsAt({ engine }, "SELECT id FROM tree ORDER BY id")).toEqual([1n, 2n, 3n, 9n].map((id) => ({ id })));
    const lines = readFileSync(join(rejects, "tree.jsonl"), "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    const why = { column: "up", reason: expect.any(String), action: "refused" };
    const refused = { table: "tree", ...why, by: "import", to: side };
    expect(lines).toEqual([
      { ...refused, key: "4", row: { id: 4, up: 5 } },
      { ...refused, key: "5", row: { id: 5, up: 77 } },
    ]);
    expect(report.tables.find(({ table }) => table === "tree")?.findings).toEqual([
      { column: "up", reason: lines[0].reason, action: "refused", count: 2, keys: ["4", "5"] },
    ]);
    const again = await importData({ env, to: side, directory, rejects });
    expect(again.tables.reduce((sum, { inserted, replaced }) => sum + inserted + replaced, 0)).toBe(0);
  });

  test("what the database refuses is set aside, every other row is there; strict changes nothing", async () => {
    const text =
      "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER CHECK (n < 100), u TEXT UNIQUE, need TEXT NOT NULL)";
    const given = Array.from({ length: 1_000 }, (_, id) => ({
      id,
      n: id === 500 ? 100 : 1,
      u: id === 700 ? "u3" : `u${id}`,
      need: id === 900 ? null : "x",
    }));
    given.push({ id: 5, n: 1, u: "twice", need: "x" });
    const directory = folderWith({ "t.json": JSON.stringify(given) });
    const rejects = join(freshDirectory(), "rejects");
    for (const before of ["", "INSERT INTO t VALUES (2000, 1, 'u2000', 'x')"]) {
      const { env, engine } = await placeWith(side, `${text}; ${before}`);
      const strict = importData({ env, to: side, directory, rejects, strict: true });
      await expect(strict).rejects.toMatchObject({ code: "CONSTRAINT_VIOLATED", details: { setAside: 4 } });
      expect(await rowsAt({ engine }, "SELECT count(*) AS n FROM t WHERE id < 2000")).toEqual([{ n: 0n }]);
      const report = await importData({ env, to: side, directory, rejects });
      expect(report.tables).toMatchObject([{ rows: 1_001, inserted: 997, setAside: 4 }]);
      expect(report.tables[0]?.findings.flatMap(({ keys }) => keys).sort()).toEqual(["5", "500", "700", "900"]);
      expect(
        await rowsAt({ engine }, "SELECT count(*) AS n FROM t WHERE id IN (500, 700, 900) OR u = 'twice'"),
      ).toEqual([{ n: 0n }]);
    }
  });

  test("a file that is off is named, and nothing is written", async () => {
    const source = await sqliteWith(`${notes}; INSERT INTO notes VALUES ('a', 'x', 1), ('b', 'y', 2)`);
    const { env, engine } = await placeWith(side, notes);
    const whole = join(freshDirectory(), "out");
    await exportData({ env: source.env, directory: whole });
    const text = readFileSync(join(whole, "notes.jsonl"), "utf8");
    const manifest = readFileSync(join(whole, "_metadata.json"), "utf8");
    const exported = (rows: string, description = manifest) =>
      folderWith({ "notes.jsonl": rows, "_metadata.json": description });
    const resigned = (rows: string) => {
      const sha256 = createHash("sha256").update(rows).digest("hex");
      return exported(rows, manifest.replace(/"sha256": "\w+"/, `"sha256": "${sha256}"`));
    };
    const described = JSON.parse(manifest);
    described.tables[0].columns.splice(1, 1);
    const stray = folderWith({ "notes.jsonl": text, "_metadata.json": manifest, "gone.jsonl": "" });
    const bad: [string, string | RegExp, string][] = [
      [exported(text.slice(0, -3)), "notes.jsonl has 1 rows instead of 2", "EXPORT_INVALID"],
      [exported(text.replace('"x"', '"z"')), "notes.jsonl was changed", "EXPORT_INVALID"],
      [exported(`${text}${text}`), "has 4 rows instead of 2", "EXPORT_INVALID"],
      [exported(text, manifest.slice(0, 100)), "_metadata.json is not the description", "EXPORT_INVALID"],
      [exported(text, manifest.replace('"notes.jsonl"', '"../notes.jsonl"')), "tables.0.file", "EXPORT_INVALID"],
      [folderWith({ "_metadata.json": manifest }), "notes.jsonl is missing", "EXPORT_INVALID"],
      [exported(text, JSON.stringify(described)), "has text in line 1, though _metadata", "EXPORT_INVALID"],
      [resigned(text.replace('"y"', '"y","more":1')), "has more in line 2, though _metadata", "EXPORT_INVALID"],
      [resigned(text.replace('"text":"y",', "")), "lacks text in line 2, though _metadata", "EXPORT_INVALID"],
      [stray, "gone.jsonl is there", "EXPORT_INVALID"],
      [folderWith({ "notes.jsonl": text }), "has not come to its end", "EXPORT_INVALID"],
      [folderWith({}), "holds neither an export", "EXPORT_INVALID"],
      [folderWith({ "notes.json": '[{"id": "a"}, {"id": ' }), "notes.json is no whole JSON document", "EXPORT_INVALID"],
      [folderWith({ "notes.json": '{"id": "a"}' }), "notes.json is no array of rows", "EXPORT_INVALID"],
      [folderWith({ "notes.json": '[{"id": "a"}, 5]' }), "something else than rows", "EXPORT_INVALID"],
      [folderWith({ "notes.json": '[{"id": "a", "colour": "red"}]' }), "colour", "EXPORT_INVALID"],
      [
        folderWith({ "notes.json": '[{"text": "a"}]' }),
        "lacks columns that the table notes needs: id",
        "EXPORT_INVALID",
      ],
      [folderWith({ "notes.json": "[]", "migration-data.json": "{}" }), "say with --file", "EXPORT_INVALID"],
      [join(whole, "no"), "is not there", "FILE_UNUSABLE"],
    ];
    for (const [directory, message, code] of bad) {
      await expect(importData({ env, to: side, directory })).rejects.toMatchObject({
        code,
        message: expect.stringContaining(String(message)),
      });
    }
    await expect(importData({ env, to: side, directory: whole, tables: ["nots"] })).rejects.toThrow(
      "no table nots. They have notes",
    );
    await expect(importData({ env, to: side, directory: whole, signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: "INTERRUPTED",
    });
    expect(await rowsAt({ engine }, "SELECT count(*) AS n FROM notes")).toEqual([{ n: 0n }]);
  });
});

describe("into a pair", () => {
  const table = {
    sqlite: "CREATE TABLE extra (id TEXT PRIMARY KEY, n INTEGER)",
    postgres: "CREATE TABLE extra (id text PRIMARY KEY, n int)",
  };

  test.each(["sqlite", "postgres"] as const)(
    "with %s primary the other side follows, and is refused itself",
    async (primary) => {
      const pair = await TestPair.create();
      await pair.database("").open();
      await script(await pair.sqlite, table.sqlite);
      await script(pair.postgres, table.postgres);
      const database = pair.database(primary === "sqlite" ? "S" : "PS");
      await database.open();
      const directory = folderWith({
        "extra.json": JSON.stringify(Array.from({ length: 500 }, (_, n) => ({ id: `e${n}`, n }))),
      });
      const other = primary === "sqlite" ? "postgres" : "sqlite";
      await expect(importData({ env: pair.env(""), to: other, directory })).rejects.toMatchObject({
        code: "NOT_PRIMARY",
        side: other,
      });
      const report = await importData({ env: pair.env(""), directory });
      expect(report).toMatchObject({ target: { side: primary }, tables: [{ table: "extra", inserted: 500 }] });
      await pair.expectConverged(database);
      const runs = await pair.postgres.transaction({ mode: "read" }, lastRuns);
      expect(runs.map(({ command, outcome }) => [command, outcome])).toEqual([["import", "done"]]);
      const follower = { engine: other === "sqlite" ? await pair.sqlite : pair.postgres };
      expect(await rowsAt(follower, "SELECT count(*) AS n FROM extra")).toEqual([{ n: 500n }]);
    },
  );
});

test.runIf(sqldRuns)("into a libSQL server, twice", async () => {
  const server = await startSqld();
  onTestFinished(() => server.stop());
  const engine = await openAt(serverConfig(server.url));
  onTestFinished(() => engine.close());
  await script(engine, "CREATE TABLE notes (id INTEGER PRIMARY KEY, up INTEGER REFERENCES notes(id), text TEXT)");
  const directory = folderWith({
    "notes.json": '[{"id":2,"up":1,"text":"b"},{"id":1,"up":1,"text":"a"},{"id":3,"up":9}]',
  });
  const options = {
    env: {},
    sqlite: server.url,
    to: "sqlite",
    directory,
    rejects: join(directory, "rejects"),
  } as const;
  expect((await importData(options)).tables).toMatchObject([{ inserted: 2, setAside: 1 }]);
  expect((await importData(options)).tables).toMatchObject([{ equal: 2, setAside: 1 }]);
  expect(await rowsAt({ engine }, "SELECT name FROM sqlite_schema WHERE type = 'table'")).toEqual([{ name: "notes" }]);
});

test("times that a file counts from 1970 are found out from the whole column, or said", async () => {
  const { env, engine } = await postgresWith(
    "CREATE TABLE t (id int PRIMARY KEY, s timestamptz, ms timestamp, iso date)",
  );
  const source = await sqliteWith(`CREATE TABLE t (id INTEGER PRIMARY KEY, s INTEGER, ms INTEGER, iso TEXT);
    INSERT INTO t VALUES (1, 1700000000, 1700000000123, '2024-02-29'), (2, 1600000000, 1600000000000, NULL)`);
  const directory = join(freshDirectory(), "out");
  await exportData({ env: source.env, directory });
  await importData({ env, to: "postgres", directory });
  expect(
    await rowsAt({ engine }, "SELECT extract(epoch FROM s)::bigint AS s, ms::text, iso::text FROM t WHERE id = 1"),
  ).toEqual([{ s: 1_700_000_000n, ms: "2023-11-14 22:13:20.123", iso: "2024-02-29" }]);
  const small = folderWith({ "t.json": '[{"id":3,"s":5}]' });
  const rejects = join(small, "rejects");
  expect((await importData({ env, to: "postgres", directory: small, rejects })).tables).toMatchObject([
    { setAside: 1 },
  ]);
  const epochs = new Map([["t.s", "seconds"]] as const);
  expect((await importData({ env, to: "postgres", directory: small, epochs })).tables).toMatchObject([{ inserted: 1 }]);
});
