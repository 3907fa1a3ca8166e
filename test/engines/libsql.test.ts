import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { SqliteConfig } from "../../src/config.js";
import type { Column } from "../../src/data/table.js";
import type { Engine, Row } from "../../src/engines/engine.js";
import { freshSqlite } from "../support/databases.js";
import { column, fileConfig, oneValue, openAt, script, serverConfig, sqlite } from "../support/libsql.js";
import { sqldRuns, startSqld } from "../support/sqld.js";

interface Target {
  readonly name: "file" | "server";
  readonly start: () => Promise<{ config: SqliteConfig; stop: () => Promise<void> }>;
}

const file: Target = { name: "file", start: async () => ({ config: fileConfig(freshSqlite()), stop: async () => {} }) };
const server: Target = {
  name: "server",
  start: async () => {
    const sqld = await startSqld();
    return { config: serverConfig(sqld.url), stop: sqld.stop };
  },
};
const targets = sqldRuns ? [file, server] : [file];
if (!sqldRuns) process.stdout.write(`left out: libSQL on a server, since there is no sqld for ${process.platform}\n`);

const STATE = `CREATE TABLE dualdb_state (id INTEGER PRIMARY KEY, "primary" TEXT NOT NULL); INSERT INTO dualdb_state VALUES (1, 'sqlite');`;
const ITEMS =
  "CREATE TABLE items (id TEXT PRIMARY KEY, number INTEGER, fraction REAL, body TEXT, bytes BLOB, flag INTEGER);";
const columns = [
  column("id", "text"),
  column("number", "bigint"),
  column("fraction", "real"),
  column("body", "text"),
  column("flag", "boolean"),
];
const SELECT = "SELECT id, number, fraction, body, flag FROM items";
const INSERT = "INSERT INTO items (id, number, fraction, body, flag) VALUES (?, ?, ?, ?, ?)";

describe.each(targets)("libSQL on a $name", ({ name, start }) => {
  let engine: Engine;
  let config: SqliteConfig;
  let stop: () => Promise<void>;

  beforeEach(async () => {
    ({ config, stop } = await start());
    engine = await openAt(config);
    await script(engine, STATE + ITEMS);
  });

  afterEach(async () => {
    await engine.close();
    await stop();
  });

  const setPrimary = (side: string) => engine.write([sqlite(`UPDATE dualdb_state SET "primary" = ?`, side)]);
  const insert = (id: string, ...rest: unknown[]) => sqlite(INSERT, id, rest[0], rest[1], rest[2], rest[3]);

  describe("values", () => {
    test("integers stay integers, booleans are 0 and 1, undefined is null", async () => {
      await engine.write([sqlite("INSERT INTO items VALUES (?, ?, ?, ?, ?, ?)", 5, -0, 2, 7, undefined, true)]);
      const types = "typeof(id) || id AS id, typeof(number) AS n, typeof(fraction) AS f, body, bytes, flag";
      const [row] = await engine.read(sqlite(`SELECT ${types} FROM items`));
      expect(row).toEqual({ id: "text5", n: "integer", f: "real", body: "7", bytes: null, flag: 1 });
      expect(JSON.stringify(row)).toBe(`{"id":"text5","n":"integer","f":"real","body":"7","bytes":null,"flag":1}`);
    });

    test("blobs come back with exactly their bytes", async () => {
      const view = new Uint8Array([9, 9, 0, 1, 255, 9]).subarray(2, 5);
      await engine.write([
        sqlite(
          "INSERT INTO items (id, bytes) VALUES ('a', ?), ('b', ?), ('c', ?)",
          view,
          Buffer.from("hi"),
          new Uint8Array(),
        ),
      ]);
      const rows = await engine.read(sqlite("SELECT bytes FROM items ORDER BY id"));
      expect(rows.map(({ bytes }) => bytes)).toEqual([
        new Uint8Array([0, 1, 255]),
        new Uint8Array([104, 105]),
        new Uint8Array(),
      ]);
      const withColumns = await engine.read(sqlite("SELECT bytes FROM items ORDER BY id"), {
        columns: [column("bytes", "blob")],
      });
      expect(withColumns).toEqual(rows);
    });

    test.each([Number.NaN, Number.POSITIVE_INFINITY, 2n ** 63n, { a: 1 }, new Date(0), Symbol("s")])(
      "%s is refused",
      async (value) => {
        await expect(engine.write([insert("a", value)])).rejects.toMatchObject({ code: "VALUE_REFUSED" });
        await expect(engine.read(sqlite("SELECT ?", value))).rejects.toMatchObject({ code: "VALUE_REFUSED" });
        expect(await oneValue(engine, "SELECT count(*) FROM items")).toBe(0);
      },
    );

    test("an integer beyond 2^53 is refused by name, and exact inside a transaction", async () => {
      await engine.write([insert("a", 2n ** 53n), insert("b", -(2n ** 63n)), insert("c", 2 ** 53 - 1)]);
      const refused = { code: "VALUE_REFUSED", column: "number" };
      await expect(engine.read(sqlite(SELECT))).rejects.toMatchObject(refused);
      const error = await engine.read(sqlite(SELECT), { columns }).catch((reason: unknown) => reason);
      expect(error).toMatchObject(refused);
      expect(String(error)).not.toContain("9007199254740992");
      expect(await engine.read(sqlite(`${SELECT} WHERE id = 'c'`), { columns })).toMatchObject([
        { number: 2 ** 53 - 1 },
      ]);
      const exact = await engine.transaction({ mode: "read" }, (t) =>
        t.query(sqlite("SELECT number, x'00ff' AS bytes FROM items ORDER BY id")),
      );
      expect(exact.map(({ number }) => number)).toEqual([2n ** 53n, -(2n ** 63n), 2n ** 53n - 1n]);
      expect(exact[0]?.bytes).toEqual(new Uint8Array([0, 255]));
    });

    test("text that is not UTF-8 and text with a NUL are read whole through columns", async () => {
      await script(
        engine,
        `INSERT INTO items (id, body) VALUES ('bad', CAST(x'61ff62' AS TEXT)), ('cut', CAST(x'61c3' AS TEXT)), ('nul', 'a' || char(0) || 'b'),
         ('surrogate', json_extract('"\\ud800"', '$')), ('bom', char(65279) || 'a');`,
      );
      const expected = {
        bad: "a\ufffdb",
        cut: "a\ufffd",
        nul: "a\0b",
        surrogate: "\ufffd\ufffd\ufffd",
        bom: "\ufeffa",
      };
      const read = async () =>
        Object.fromEntries((await engine.read(sqlite(SELECT), { columns })).map((row) => [row.id, row.body]));
      expect(await read()).toEqual(expected);
      await engine.write([sqlite("INSERT INTO items (id, body) VALUES ('blob', x'61ff')")]);
      expect(await read()).toEqual({ ...expected, blob: "a\ufffd" });
    });

    test("any SELECT is read whole, whatever text comes up", async () => {
      await script(
        engine,
        `INSERT INTO items (id, number, fraction, body, bytes) VALUES ('bad', 1, 0.1, CAST(x'61ff62' AS TEXT), x'61ff'), ('nul', -2, 3.0, 'a' || char(0) || 'b', NULL);`,
      );
      const read = (sql: string, ...values: unknown[]) => engine.read(sqlite(sql, ...values), { anyText: true });
      const bad = {
        id: "bad",
        number: 1,
        fraction: 0.1,
        body: "a\ufffdb",
        bytes: new Uint8Array([97, 255]),
        flag: null,
      };
      const nul = { id: "nul", number: -2, fraction: 3, body: "a\0b", bytes: null, flag: null };
      expect(await read("SELECT * FROM items ORDER BY id")).toEqual([bad, nul]);
      expect(await read("SELECT * FROM items ORDER BY id DESC LIMIT ?;", 2)).toEqual([nul, bad]);
      const commented = "-- all\n/* of */ WITH w AS (SELECT body FROM items WHERE id = ?) SELECT * FROM w -- end";
      expect(await read(commented, "bad")).toEqual([{ body: "a\ufffdb" }]);
      expect(await read("VALUES (1, 'x'), (2, NULL)")).toEqual([
        { column1: 1, column2: "x" },
        { column1: 2, column2: null },
      ]);
      expect(await read("SELECT 1 AS a, 2 AS a, typeof(id) FROM items WHERE id = 'bad'; -- two")).toEqual([
        { a: 2, "typeof(id)": "text" },
      ]);
      expect(await read("SELECT * FROM items WHERE 0")).toEqual([]);
      await expect(read("SELECT missing FROM items")).rejects.toMatchObject({ code: "SCHEMA_MISSING" });
      await expect(read("SELECT 9007199254740993 AS big")).rejects.toMatchObject({
        code: "VALUE_REFUSED",
        column: "big",
      });
    });

    test("any SELECT of as many columns as SQLite has, in the order that it asks for", async () => {
      const names = Array.from({ length: 1_900 }, (_, index) => `c${index}`);
      const one = names.map((name, index) => `${index % 2 === 0 ? index : "'t' || n"} AS ${name}`).join(", ");
      const numbers = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 50)";
      const rows = await engine.read(sqlite(`${numbers} SELECT ${one} FROM n ORDER BY n * 7 % 50`), { anyText: true });
      const order = Array.from({ length: 50 }, (_, index) => index + 1).sort((a, b) => ((a * 7) % 50) - ((b * 7) % 50));
      expect(rows.map(({ c1 }) => c1)).toEqual(order.map((n) => `t${n}`));
      expect(Object.keys(rows[0] ?? {})).toEqual(names);
      expect([rows[0]?.c1898, rows[0]?.c1899]).toEqual([1_898, `t${order[0]}`]);
    });

    test("rows are the same through the JSON document, through the exact statement and as they went in", async () => {
      const text = fc.string({ unit: "binary" });
      const fraction = fc.double({ noNaN: true }).map((value) => (Number.isFinite(value) ? value + 0 : 0.5));
      const row = fc.record({
        number: fc.maxSafeInteger(),
        fraction,
        body: fc.option(text),
        flag: fc.integer({ min: 0, max: 1 }),
      });
      const check = async (rows: Omit<Row, "id">[]) => {
        const given = rows.map((one, index) => ({ id: `row ${String(index).padStart(3, "0")}`, ...one }) as Row);
        await engine.write([
          sqlite("DELETE FROM items"),
          ...given.map((one) => sqlite(INSERT, ...columns.map(({ name: key }) => one[key]))),
        ]);
        const select = sqlite(`${SELECT} ORDER BY id`);
        const document = await engine.read(select, { columns });
        await engine.write([sqlite("INSERT INTO items (id, body, flag) VALUES ('z', x'00', x'00')")]);
        const exact = await engine.read(select, { columns });
        expect(exact.pop()).toEqual({ id: "z", number: null, fraction: null, body: "\0", flag: new Uint8Array([0]) });
        expect(document).toEqual(exact);
        expect(document.map(withoutZeroSign)).toEqual(given.map(withoutZeroSign));
      };
      await fc.assert(fc.asyncProperty(fc.array(row, { maxLength: 20 }), check), {
        numRuns: name === "file" ? 60 : 10,
      });
    });

    test("old rows with odd types in their columns", async () => {
      await script(
        engine,
        `INSERT INTO items (id, number, fraction, flag) VALUES ('a', 1.5, 'Inf', 2), ('b', 'many', 9e999, 0), ('c', 1e300, 3, x'01');`,
      );
      const rows = await engine.read(sqlite(`${SELECT} WHERE id <> 'b' ORDER BY id`), { columns });
      expect(rows).toMatchObject([
        { number: 1.5, fraction: "Inf", flag: 2 },
        { number: 1e300, fraction: 3, flag: new Uint8Array([1]) },
      ]);
      const infinite = await engine.read(sqlite(`${SELECT} WHERE id = 'b'`), { columns });
      expect(infinite).toMatchObject([{ number: "many", fraction: Number.POSITIVE_INFINITY }]);
    });

    test("116 columns in one document, and more than a function takes arguments", async () => {
      for (const count of [116, 140]) {
        const wide: Column[] = Array.from({ length: count }, (_, index) => column(`c${index}`, "bigint"));
        const list = wide.map(({ name: key }, index) => `${index} AS ${key}`).join(", ");
        const [row] = await engine.read(sqlite(`SELECT ${list}`), { columns: wide });
        expect(Object.values(row ?? {})).toEqual(wide.map((_, index) => index));
      }
    });
  });

  test("a page keeps the order of its statement, with and without LIMIT", async () => {
    const numbers = Array.from({ length: 300 }, (_, index) => (index * 7919) % 1009);
    await engine.write(numbers.map((number, index) => insert(`id${index}`, number)));
    const sorted = numbers.toSorted((left, right) => right - left);
    for (const [limit, from] of [
      ["", 0],
      [" LIMIT 100 OFFSET 20", 20],
      [" LIMIT -1", 0],
    ] as const) {
      const rows = await engine.read(sqlite(`${SELECT} ORDER BY number DESC, id${limit}`), { columns });
      expect(rows.map(({ number }) => number)).toEqual(sorted.slice(from, limit.includes("100") ? 120 : undefined));
    }
    const parameters = await engine.read(sqlite(`${SELECT} WHERE number > ? ORDER BY number LIMIT ?`, 500, 3), {
      columns,
    });
    expect(parameters).toHaveLength(3);
    expect(await engine.read(sqlite(`${SELECT} WHERE id = 'none'`), { columns })).toEqual([]);
  });

  test("changes are counted, and RETURNING's rows are", async () => {
    const [one] = await engine.write([sqlite("INSERT INTO items (id, number) VALUES ('a', 1), ('b', 2)")]);
    expect(one).toEqual({ rows: [], changes: 2 });
    const [update, none, removed] = await engine.write([
      sqlite("UPDATE items SET number = number + 1 RETURNING id, number"),
      sqlite("UPDATE items SET number = 0 WHERE id = 'none' RETURNING id"),
      sqlite("DELETE FROM items"),
    ]);
    expect(update).toEqual({
      rows: [
        { id: "a", number: 2 },
        { id: "b", number: 3 },
      ],
      changes: 2,
    });
    expect([none?.changes, removed?.changes]).toEqual([0, 2]);
    expect(await engine.write([])).toEqual([]);
  });

  test("several statements are one transaction", async () => {
    await expect(engine.write([insert("a"), insert("b"), insert("a")])).rejects.toMatchObject({
      code: "CONSTRAINT_VIOLATED",
    });
    expect(await oneValue(engine, "SELECT count(*) FROM items")).toBe(0);
  });

  describe("as primary", () => {
    const asPrimary = true;
    const refused = { code: "NOT_PRIMARY", side: "sqlite", retry: true };
    const trigger = `CREATE TRIGGER refuse BEFORE INSERT ON items WHEN (SELECT "primary" FROM dualdb_state) <> 'sqlite'
      BEGIN SELECT RAISE(ABORT, 'NOT_PRIMARY'); END;`;

    test("everything runs where the state says so", async () => {
      expect(await engine.write([insert("a")], { asPrimary })).toEqual([{ rows: [], changes: 1 }]);
      expect(await engine.write([insert("b"), insert("c")], { asPrimary })).toHaveLength(2);
      expect(
        (await engine.write([sqlite("UPDATE items SET number = 1 WHERE id = 'none'")], { asPrimary }))[0]?.changes,
      ).toBe(0);
      expect(await engine.read(sqlite(SELECT), { asPrimary })).toHaveLength(3);
      expect(await engine.read(sqlite(SELECT), { asPrimary, columns })).toHaveLength(3);
    });

    test("nothing runs where it says otherwise", async () => {
      await script(engine, trigger);
      await engine.write([insert("a")]);
      await setPrimary("postgres");
      const attempts = [
        () => engine.write([insert("b")], { asPrimary }),
        () => engine.write([insert("b")]),
        () => engine.write([sqlite("UPDATE items SET number = 1 WHERE id = 'none'")], { asPrimary }),
        () => engine.write([sqlite("UPDATE items SET number = 1"), insert("b")], { asPrimary }),
        () => engine.write([sqlite("DELETE FROM items"), sqlite("DELETE FROM items")], { asPrimary }),
        () => engine.transaction({ mode: "write" }, (transaction) => transaction.execute(insert("b"))),
        () => engine.read(sqlite(SELECT), { asPrimary }),
        () => engine.read(sqlite(SELECT), { asPrimary, columns }),
        () => engine.read(sqlite(`${SELECT} WHERE id = 'none'`), { asPrimary, columns }),
      ];
      for (const attempt of attempts) await expect(attempt()).rejects.toMatchObject(refused);
      expect(await engine.read(sqlite(SELECT), { columns })).toMatchObject([{ id: "a", number: null }]);
    });

    test("also where a page needs the exact statement", async () => {
      await engine.write([sqlite("INSERT INTO items (id, number) VALUES ('a', x'00')")]);
      expect(await engine.read(sqlite(SELECT), { asPrimary, columns })).toHaveLength(1);
      await setPrimary("postgres");
      await expect(engine.read(sqlite(SELECT), { asPrimary, columns })).rejects.toMatchObject(refused);
    });

    test("a state row that is gone is no primary, a state table that is gone names the command", async () => {
      await engine.write([sqlite("DELETE FROM dualdb_state")]);
      const attempts = [
        () => engine.write([sqlite("DELETE FROM items")], { asPrimary }),
        () => engine.write([insert("a"), insert("b")], { asPrimary }),
        () => engine.read(sqlite(SELECT), { asPrimary }),
        () => engine.read(sqlite(SELECT), { asPrimary, columns }),
      ];
      for (const attempt of attempts) await expect(attempt()).rejects.toMatchObject(refused);
      await engine.write([sqlite("DROP TABLE dualdb_state")]);
      const missing = {
        code: "SCHEMA_MISSING",
        table: "dualdb_state",
        message: expect.stringContaining("run dualdb migrate"),
      };
      for (const attempt of attempts) await expect(attempt()).rejects.toMatchObject(missing);
      expect(await oneValue(engine, "SELECT count(*) FROM items")).toBe(0);
    });
  });

  describe("a transaction", () => {
    test("commits, and gives back what its work resolved to", async () => {
      const result = await engine.transaction({ mode: "write" }, async (transaction) => {
        expect(await transaction.execute(insert("a", 1))).toBe(1);
        await transaction.script("INSERT INTO items (id) VALUES ('b'); INSERT INTO items (id) VALUES ('c');");
        expect(await transaction.execute(sqlite("UPDATE items SET number = 2 RETURNING id"))).toBe(3);
        return (await transaction.query(sqlite("SELECT id, number FROM items ORDER BY id"))).at(0);
      });
      expect(result).toEqual({ id: "a", number: 2n });
      expect(await oneValue(engine, "SELECT count(*) FROM items")).toBe(3);
    });

    test("rolls back when its work fails, and throws that failure itself", async () => {
      const failure = new Error("mine");
      const work = engine.transaction({ mode: "write" }, async (transaction) => {
        await transaction.execute(insert("a"));
        throw failure;
      });
      await expect(work).rejects.toBe(failure);
      const broken = engine.transaction({ mode: "write" }, async (transaction) => {
        await transaction.execute(insert("a"));
        await transaction.query(sqlite("SELECT * FROM missing"));
      });
      await expect(broken).rejects.toMatchObject({ code: "SCHEMA_MISSING", table: "missing" });
      expect(await oneValue(engine, "SELECT count(*) FROM items")).toBe(0);
      await engine.write([insert("a")]);
    });

    test("goes on after a statement that failed and was caught", async () => {
      await engine.write([insert("a")]);
      await engine.transaction({ mode: "write" }, async (transaction) => {
        await transaction.execute(insert("b"));
        await expect(transaction.execute(insert("a"))).rejects.toMatchObject({ code: "CONSTRAINT_VIOLATED" });
        await transaction.execute(insert("c"));
      });
      expect(await oneValue(engine, "SELECT group_concat(id, '') FROM items")).toBe("abc");
    });

    test("in mode read sees one snapshot, from its first read on", async () => {
      const other = await openAt(config);
      await engine.write([insert("a")]);
      await engine.transaction({ mode: "read" }, async (transaction) => {
        const count = sqlite("SELECT count(*) AS n FROM items");
        expect(await transaction.query(count)).toEqual([{ n: 1n }]);
        await other.write([insert("b")]);
        expect(await transaction.query(count)).toEqual([{ n: 1n }]);
      });
      await other.close();
      expect(await oneValue(engine, "SELECT count(*) FROM items")).toBe(2);
    });
  });

  test("work is done in the order in which it was asked for, and close() waits for it", async () => {
    const done: number[] = [];
    const note = (index: number) => () => done.push(index);
    const pending = Array.from({ length: 60 }, (_, index) => {
      if (index % 3 === 0) return engine.write([insert(`a${index}`)]).then(note(index));
      if (index % 3 === 1) return engine.read(sqlite("SELECT 1"), {}).then(note(index));
      return engine
        .transaction({ mode: "write" }, (transaction) => transaction.execute(insert(`a${index}`)))
        .then(note(index));
    });
    expect(engine.statistics()).toEqual({ connections: 1, idle: 0, waiting: 60 });
    await Promise.all([engine.close(), engine.close()]);
    expect(done).toEqual(done.toSorted((left, right) => left - right));
    await Promise.all(pending);
    expect(done).toHaveLength(60);
    expect(engine.statistics()).toEqual({ connections: 1, idle: 1, waiting: 0 });
    const closed = { code: "DATABASE_CLOSED", side: "sqlite" };
    await expect(engine.read(sqlite("SELECT 1"))).rejects.toMatchObject(closed);
    await expect(engine.write([insert("z")])).rejects.toMatchObject(closed);
    await expect(engine.transaction({ mode: "read" }, async () => 1)).rejects.toMatchObject(closed);
    engine = await openAt(config);
    expect(await oneValue(engine, "SELECT count(*) FROM items")).toBe(40);
  });

  describe("errors name things and never values", () => {
    const tables = `CREATE TABLE owners (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, role TEXT CHECK (role IN ('a', 'b')), a TEXT, b TEXT, UNIQUE (a, b));
      CREATE TABLE pets (id TEXT PRIMARY KEY, owner TEXT REFERENCES owners (id));
      INSERT INTO owners VALUES ('1', 'secret', 'a', 'secret', 'secret');`;

    test.each([
      [
        "INSERT INTO owners (id, name) VALUES ('1', 'other')",
        { table: "owners", column: "id", details: { constraint: "UNIQUE" } },
      ],
      ["INSERT INTO owners (id, name) VALUES ('2', 'secret')", { table: "owners", column: "name" }],
      [
        "INSERT INTO owners VALUES ('2', 'x', 'a', 'secret', 'secret')",
        { table: "owners", details: { columns: ["a", "b"] } },
      ],
      [
        "INSERT INTO owners (id) VALUES ('secret')",
        { table: "owners", column: "name", details: { constraint: "NOT NULL" } },
      ],
      ["INSERT INTO owners (id, name, role) VALUES ('2', 'x', 'secret')", { details: { constraint: "CHECK" } }],
      ["INSERT INTO pets VALUES ('1', 'secret')", { details: { constraint: "FOREIGN KEY" } }],
    ])("%s", async (text, expected) => {
      await script(engine, tables);
      const alone = await engine.write([sqlite(text)]).catch((reason: unknown) => reason);
      const together = await engine.write([sqlite("SELECT 1"), sqlite(text)]).catch((reason: unknown) => reason);
      for (const error of [alone, together]) {
        expect(error).toMatchObject({ code: "CONSTRAINT_VIOLATED", side: "sqlite", ...expected });
        expect((error as Error).message).not.toContain("secret");
      }
    });

    test.each([
      ["SELECT * FROM missing", { code: "SCHEMA_MISSING", table: "missing" }],
      ["SELECT missing FROM items", { code: "SCHEMA_MISSING", column: "missing" }],
      ["INSERT INTO items (missing) VALUES (1)", { code: "SCHEMA_MISSING", table: "items", column: "missing" }],
      ["SELECT 'secret' FORM items", { code: "QUERY_FAILED" }],
      ["SELECT json('secret')", { code: "QUERY_FAILED" }],
    ])("%s", async (text, expected) => {
      const error = await engine.read(sqlite(text)).catch((reason: unknown) => reason);
      expect(error).toMatchObject({ ...expected, side: "sqlite", cause: expect.anything() });
      expect((error as Error).message).not.toContain("secret");
      expect(await engine.read(sqlite("SELECT 1 AS one"))).toEqual([{ one: 1 }]);
    });

    test("a column that the statement does not select", async () => {
      const reading = engine.read(sqlite("SELECT id FROM items"), {
        columns: [column("id", "text"), column("missing", "text")],
      });
      await expect(reading).rejects.toMatchObject({ code: "SCHEMA_MISSING", column: "missing" });
    });
  });
});

/** SQLite keeps no sign of a zero. */
function withoutZeroSign(row: Row): Row {
  return {
    ...row,
    fraction: row.fraction === 0 ? 0 : (row.fraction ?? null),
    number: row.number === 0 ? 0 : (row.number ?? null),
  };
}
