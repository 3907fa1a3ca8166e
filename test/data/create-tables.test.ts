import { expect, test } from "vitest";
import { type DiscoveredTable, pairDatabases } from "../../src/data/catalogue/discover.js";
import { converterOf } from "../../src/data/conversion/convert.js";
import type { Definition } from "../../src/data/definition/definition.js";
import { definePostgres } from "../../src/data/definition/postgres-definition.js";
import { sqliteDefinition } from "../../src/data/definition/sqlite-definition.js";
import { TableGraph } from "../../src/data/graph.js";
import { rowsOf } from "../../src/data/rows/rows.js";
import { quote, type Table } from "../../src/data/table.js";
import type { Engine } from "../../src/engines/engine.js";
import { script } from "../support/libsql.js";
import { postgresWith, sqliteWith, tablesOf } from "./tables.js";

const shop = `
  CREATE TABLE "Customer List" ("Id" INTEGER PRIMARY KEY AUTOINCREMENT, "E-Mail" VARCHAR(40) NOT NULL UNIQUE, born DATE, is_vip BOOLEAN DEFAULT 0,
    joined TIMESTAMP DEFAULT CURRENT_TIMESTAMP, seen DATETIME, balance DECIMAL(9,2) DEFAULT 0.00, ratio REAL DEFAULT 1.5, "order" SMALLINT, note TEXT DEFAULT 'it''s',
    token UUID, settings JSON DEFAULT '{}', photo BLOB DEFAULT x'00ff', at TIME, alarm INTEGER DEFAULT (strftime('%s','now')));
  INSERT INTO "Customer List" VALUES
    (1, 'ada@example.org', '1815-12-10', 1, '2024-01-01 10:00:00', '2024-01-01T10:00:00.000Z', 12.5, 0.1, -32768, 'line
break', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"b":1,"a":[1.50]}', x'00', '10:00:00', 1700000000),
    (9007199254740993, 'bob@example.org', '2024-02-29', 0, '2024-01-01 10:00:01', '2024-01-01T10:00:00.120Z', -9999999.99, 1e300, 32767, '\u{1f600}', NULL, '[]', x'', '23:59:59', -1),
    (7, 'eve@example.org', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
  CREATE TABLE items (order_id TEXT, line INTEGER, customer INTEGER REFERENCES "Customer List" ON DELETE CASCADE ON UPDATE SET NULL,
    parent TEXT, parent_line INTEGER, price NUMERIC, PRIMARY KEY (order_id, line), FOREIGN KEY (parent, parent_line) REFERENCES items (order_id, line)) WITHOUT ROWID;
  INSERT INTO items VALUES ('a,b\\c', 1, 1, NULL, NULL, 1), ('a', 2, 7, 'a,b\\c', 1, 2.5), ('Z', 3, 9007199254740993, 'a', 2, 12345678901);
  CREATE INDEX items_by_price ON items (price DESC, line);
  CREATE UNIQUE INDEX items_once ON items (customer, line);
  CREATE INDEX items_some ON items (price) WHERE price > 1;
  CREATE TABLE wild (id TEXT PRIMARY KEY, flag BOOLEAN, small SMALLINT, short VARCHAR(3), day DATE, stamp DATETIME, counted DATETIME, money DECIMAL(4,2), doc JSON,
    loose JSON, uid UUID, whole INTEGER, real REAL, mixed, n BLOB);
  INSERT INTO wild VALUES ('1', 2, 70000, 'long', '2024-02-30', '2024-01-01 10:00', 1700000000, 123.456, 'not json', '{"a":1,"a":2}', 'ABC', 1.5, 1, 'x', x'01'),
    ('2', 0, 1, 'x', '2024-02-28', '2024-01-01T10:00:00Z', 1700000001, 1.5, '{}', '[]', NULL, 2, 2.5, 'y', x'02');
  CREATE TABLE checked (id TEXT PRIMARY KEY COLLATE NOCASE, n INTEGER CHECK (n > 0), twice INTEGER AS (n * 2), ghost TEXT REFERENCES nowhere (id),
    crossed TEXT REFERENCES "Customer List" ("Id"), at TEXT DEFAULT (hex(randomblob(4))));
  CREATE TABLE no_key (a TEXT, b INTEGER); INSERT INTO no_key VALUES ('x', 1), ('x', 1);
  CREATE TABLE bad_name (id INTEGER PRIMARY KEY, ctid TEXT, "CTID_" TEXT);
  CREATE TABLE empty (id INTEGER PRIMARY KEY, a, b DATETIME, c NUMERIC, d JSON, e TIMESTAMPTZ);
  CREATE VIEW seen AS SELECT 1; CREATE TRIGGER watch AFTER INSERT ON no_key BEGIN SELECT 1; END;`;

async function define(sqlite: Engine): Promise<Definition> {
  const tables = await tablesOf(sqlite);
  return sqlite.transaction({ mode: "read" }, (transaction) => definePostgres(transaction, tables));
}

async function run(engine: Engine, statements: Definition["tables"]): Promise<void> {
  for (const { sql } of statements) await script(engine, sql);
}

/** Every row of every table with a key, parents first, from one side to the other. */
async function carry(sqlite: Engine, postgres: Engine, target: "sqlite" | "postgres"): Promise<string[]> {
  const findings: string[] = [];
  await sqlite.transaction({ mode: "write" }, (left) =>
    postgres.transaction({ mode: "write" }, async (right) => {
      const { tables } = await pairDatabases(left, right);
      const [from, to] = target === "postgres" ? [left, right] : [right, left];
      const source = target === "postgres" ? "sqlite" : "postgres";
      for (const table of new TableGraph(tables).parentsFirst) {
        const keys: string[] = [];
        for await (const page of rowsOf(source).keys(from, table)) keys.push(...page.map(String));
        const rows = (await rowsOf(source).read(from, table, keys)).map(converterOf(table, target));
        for (const finding of rows.flatMap((row) => row.findings))
          findings.push(`${table.name}.${finding.column} ${finding.key}: ${finding.action}`);
        await rowsOf(target).upsert(
          to,
          table,
          rows.map(({ values }) => values),
        );
      }
    }),
  );
  return findings.sort();
}

/** Every value as SQLite's own literal; documents as what they parse to. */
async function dump(sqlite: Engine, { name, columns, key }: Table): Promise<unknown[]> {
  const cells = columns.map(
    ({ name: column }, index) => `quote(${quote(column)}) AS c${index}, CAST(${quote(column)} AS TEXT) AS d${index}`,
  );
  const text = `SELECT ${cells.join(", ")} FROM ${quote(name)} ORDER BY ${key.map(quote).join(", ")}`;
  const rows = await sqlite.transaction({ mode: "read" }, (transaction) =>
    transaction.query({ sql: text, text, values: [] }),
  );
  return rows.map((row) =>
    columns.map(({ sqliteType = "" }, index) =>
      /JSON/.test(sqliteType) ? parsed(String(row[`d${index}`])) : String(row[`c${index}`]),
    ),
  );
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

test("a database that nobody described gets its tables in PostgreSQL, and comes back to a new file to the byte", async () => {
  const sqlite = await sqliteWith(shop);
  const postgres = await postgresWith("");
  const definition = await define(sqlite);
  await run(postgres, definition.tables);
  const there = await carry(sqlite, postgres, "postgres");
  await run(postgres, definition.later);
  expect(there).toEqual([]);

  const made = sqliteDefinition(await tablesOf(postgres));
  const again = await sqliteWith("");
  await run(again, made.tables);
  expect(await carry(again, postgres, "sqlite")).toEqual([]);
  await run(again, made.later);

  const originals = (await tablesOf(sqlite)).filter(({ name }) => ["Customer List", "items", "wild"].includes(name));
  for (const table of originals) expect(await dump(again, table)).toEqual(await dump(sqlite, table));
  const copies = await tablesOf(again);
  for (const table of originals) {
    const copy = copies.find(({ name }) => name === table.name);
    expect(copy).toMatchObject({ key: table.key, uniques: expect.arrayContaining([...table.uniques]) });
    expect(copy?.columns.map(({ name, notNull, default: value }) => ({ name, notNull, value }))).toEqual(
      table.columns.map(({ name, notNull, default: value }) => ({
        name,
        notNull: notNull || table.key.includes(name),
        value: defaultsBack[value ?? ""] ?? value,
      })),
    );
    expect(
      copy?.foreignKeys.map(({ columns, parent, onDelete, onUpdate }) => ({ columns, parent, onDelete, onUpdate })),
    ).toEqual(
      expect.arrayContaining(
        table.foreignKeys.map(({ columns, parent, onDelete, onUpdate }) => ({ columns, parent, onDelete, onUpdate })),
      ),
    );
  }
});

/** Another spelling of the same. */
const defaultsBack: Readonly<Record<string, string>> = {
  "strftime('%s','now')": "CAST(strftime('%s', 'now') AS INTEGER)",
};

test("types are the richest in which every value survives, and notes say why others were chosen", async () => {
  const sqlite = await sqliteWith(shop);
  const postgres = await postgresWith("");
  const definition = await define(sqlite);
  await run(postgres, definition.tables);
  const tables = await tablesOf(postgres);
  const types = (name: string) => {
    const table = tables.find((found) => found.name === name) as DiscoveredTable;
    return Object.fromEntries(table.columns.map((column) => [column.name, column.type]));
  };
  expect(types("Customer List")).toEqual({
    Id: "bigint",
    "E-Mail": "character varying(40)",
    born: "date",
    is_vip: "boolean",
    joined: "timestamp without time zone",
    seen: "timestamp(3) with time zone",
    balance: "numeric(9,2)",
    ratio: "double precision",
    order: "smallint",
    note: "text",
    token: "uuid",
    settings: "jsonb",
    photo: "bytea",
    at: "time without time zone",
    alarm: "bigint",
  });
  expect(types("wild")).toEqual({
    id: "text",
    flag: "bigint",
    small: "bigint",
    short: "text",
    day: "text",
    stamp: "text",
    counted: "bigint",
    money: "numeric",
    doc: "text",
    loose: "json",
    uid: "text",
    whole: "numeric",
    real: "double precision",
    mixed: "text",
    n: "bytea",
  });
  expect(types("empty")).toEqual({
    id: "bigint",
    a: "text",
    b: "timestamp without time zone",
    c: "numeric",
    d: "jsonb",
    e: "timestamp with time zone",
  });
  expect(tables.map(({ name }) => name)).not.toContain("bad_name");
  const notes = definition.notes.map(({ table, column, text }) => `${table}.${column ?? "*"}: ${text}`);
  for (const expected of [
    /^wild\.small: declared SMALLINT, .* smallint: made bigint/,
    /^wild\.day: declared DATE/,
    /^wild\.counted: declared DATETIME/,
    /^wild\.doc: declared JSON, .* jsonb: made text/,
    /^wild\.loose: .*made json/,
    /^bad_name\.ctid: .*left out/,
    /^checked\.\*: CHECK \(n > 0\)/,
    /^checked\.twice: computed/,
    /^checked\.id: compared by NOCASE/,
    /^checked\.at: its DEFAULT/,
    /^checked\.\*: the foreign key \(ghost\) to nowhere/,
    /^checked\.\*: the foreign key \(crossed\) .* joins text to bigint/,
    /^no_key\.\*: has no primary key/,
    /^no_key\.\*: the trigger watch/,
    /^seen\.\*: a view/,
    /^items\.\*: the index items_some/,
  ])
    expect(notes).toContainEqual(expect.stringMatching(expected));
  expect(definition.later.map(({ table, kind, sql }) => ({ table, kind, sql }))).toEqual(
    expect.arrayContaining([
      { table: "items", kind: "index", sql: 'CREATE INDEX "items_by_price" ON "items" ("price" DESC, "line")' },
      {
        table: "items",
        kind: "unique index",
        sql: 'CREATE UNIQUE INDEX "items_once" ON "items" ("customer", "line")',
      },
      {
        table: "items",
        kind: "foreign key",
        sql: 'ALTER TABLE "items" ADD FOREIGN KEY ("customer") REFERENCES "Customer List" ("Id") ON DELETE CASCADE ON UPDATE SET NULL',
      },
    ]),
  );
});

test("defaults do in PostgreSQL what they do in SQLite", async () => {
  const sqlite = await sqliteWith(shop);
  const postgres = await postgresWith("");
  await run(postgres, (await define(sqlite)).tables);
  const now = Date.now();
  const fill = `INSERT INTO "Customer List" ("Id", "E-Mail") VALUES (100, 'new@example.org')`;
  await script(sqlite, fill);
  await script(postgres, fill);
  await sqlite.transaction({ mode: "read" }, (left) =>
    postgres.transaction({ mode: "read" }, async (right) => {
      const { tables } = await pairDatabases(left, right);
      const table = tables.find(({ name }) => name === "Customer List") as Table;
      const [mine] = (await rowsOf("sqlite").read(left, table, ["100"])).map(converterOf(table, "postgres"));
      const [other] = await rowsOf("postgres").read(right, table, ["100"]);
      for (const [index, { name }] of table.columns.entries()) {
        const [here, there] = [mine?.values[index], other?.values[index]];
        if (name === "joined") expect(Math.abs(Date.parse(`${there}Z`) - now)).toBeLessThan(60_000);
        else if (name === "alarm") expect(Math.abs(Number(there) * 1_000 - now)).toBeLessThan(60_000);
        else if (here instanceof Uint8Array) expect(Buffer.from(here).equals(there as Uint8Array)).toBe(true);
        else expect(String(there)).toBe(String(here));
      }
    }),
  );
});

const registry = `
  CREATE TABLE units (authority TEXT, code INTEGER_OR_TEXT, base INTEGER_OR_TEXT, PRIMARY KEY (authority, code)) WITHOUT ROWID;
  INSERT INTO units VALUES ('EPSG', 9001, NULL), ('PROJ', 'metre', NULL);
  CREATE TABLE axes (id INTEGER PRIMARY KEY, authority TEXT, code INTEGER_OR_TEXT, FOREIGN KEY (authority, code) REFERENCES units (authority, code));
  INSERT INTO axes VALUES (1, 'EPSG', 9001);
  CREATE TABLE spans (authority TEXT, code INTEGER, PRIMARY KEY (authority, code), FOREIGN KEY (authority, code) REFERENCES units (authority, code));
  CREATE TABLE boxes (xmin REAL, xmax INTEGER, label TEXT UNIQUE, PRIMARY KEY (label, xmax), FOREIGN KEY (xmax) REFERENCES visits (id));
  CREATE INDEX boxes_by_side ON boxes (xmin);
  CREATE TABLE insides (label TEXT, side INTEGER, FOREIGN KEY (label, side) REFERENCES boxes (label, xmax));
  CREATE TABLE members (unit TEXT NOT NULL UNIQUE);
  INSERT INTO spans VALUES (NULL, NULL), (NULL, 9001), (NULL, NULL);
  CREATE TABLE visits (id INTEGER PRIMARY KEY, exact DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
    whole TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')), spelled TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')));
  INSERT INTO visits (id, exact) VALUES (1, '2024-01-01T10:00:00.120Z'); INSERT INTO boxes VALUES (1.5, 1, 'a');`;

test("columns that a foreign key joins have types that compare, and a primary key with NULLs does not keep its rows out", async () => {
  const sqlite = await sqliteWith(registry);
  const postgres = await postgresWith("");
  const definition = await define(sqlite);
  await run(postgres, definition.tables);
  expect(await carry(sqlite, postgres, "postgres")).toEqual([]);
  await run(postgres, definition.later);
  const tables = await tablesOf(postgres);
  const named = (name: string) => tables.find((table) => table.name === name);
  expect(named("axes")?.columns.map(({ type }) => type)).toEqual(["bigint", "text", "text"]);
  expect(named("axes")?.foreignKeys).toMatchObject([{ columns: ["authority", "code"], parent: "units" }]);
  expect(named("spans")).toMatchObject({ primaryKey: [], uniques: [["authority", "code"]], key: [] });
  expect(named("spans")?.foreignKeys).toMatchObject([{ parent: "units" }]);
  const notes = definition.notes.map(({ table, column, text }) => `${table}.${column ?? "*"}: ${text}`);
  expect(notes.filter((note) => note.startsWith("members"))).toEqual([]);
  expect(notes).toEqual(
    expect.arrayContaining([
      "axes.code: made text, like the columns that a foreign key joins it to",
      "spans.*: its primary key has NULLs, and is made UNIQUE: it can only be copied, into an empty table",
    ]),
  );
});

test("columns whose names PostgreSQL keeps for itself are found under others", async () => {
  const sqlite = await sqliteWith(registry);
  const postgres = await postgresWith("");
  const { tables, later, notes } = await define(sqlite);
  await run(postgres, tables);
  expect(await carry(sqlite, postgres, "postgres")).toEqual([]);
  await run(postgres, later);
  const text = "SELECT xmin_, xmax_, label FROM boxes";
  expect(await postgres.read({ sql: text, text, values: [] })).toEqual([{ xmin_: 1.5, xmax_: 1, label: "a" }]);
  expect(notes).toContainEqual({
    table: "boxes",
    column: "xmin",
    text: "called xmin_ in PostgreSQL, which has a column xmin in every table",
  });
  const found = await tablesOf(postgres);
  const named = (name: string) => found.find((table) => table.name === name);
  expect(named("boxes")).toMatchObject({ key: ["label", "xmax_"], foreignKeys: [{ columns: ["xmax_"] }] });
  expect(named("insides")).toMatchObject({ foreignKeys: [{ parentColumns: ["label", "xmax_"] }] });
});

test("what has no name in SQLite is left out, and said", async () => {
  const named = "CREATE TABLE u (id INTEGER PRIMARY KEY, a TEXT)";
  const nameless = "PostgreSQL has no names without a character: the table is left out";
  const column = await define(
    await sqliteWith(`${named}; CREATE TABLE t (id INTEGER PRIMARY KEY, "" TEXT); INSERT INTO t VALUES (1, 'x')`),
  );
  expect(column.tables.map(({ table }) => table)).toEqual(["u"]);
  expect(column.notes).toEqual([{ table: "t", column: "", text: nameless }]);
  const table = await define(await sqliteWith(`${named}; CREATE TABLE "" (id INTEGER PRIMARY KEY)`));
  expect(table.tables.map(({ table: name }) => name)).toEqual(["u"]);
  expect(table.notes).toEqual([{ table: "", column: null, text: nameless }]);
  const index = await define(await sqliteWith(`${named}; CREATE INDEX "" ON u (a)`));
  expect(index.later).toEqual([]);
  expect(index.notes.map(({ text }) => text)).toEqual(["the index  has a name without a character: left out"]);
});

test("clocks in SQLite's ISO forms go to PostgreSQL, and come back", async () => {
  const sqlite = await sqliteWith(registry);
  const postgres = await postgresWith("");
  await run(postgres, (await define(sqlite)).tables);
  const again = await sqliteWith("");
  await run(again, sqliteDefinition(await tablesOf(postgres)).tables);
  const fill = "INSERT INTO visits (id) VALUES (2)";
  const shape = (row: object) => Object.values(row).map((value) => String(value).replaceAll(/\d/g, "9"));
  const texts = "SELECT exact, whole, spelled FROM visits WHERE id = 2";
  for (const side of [sqlite, again]) {
    await script(side, fill);
    const [row = {}] = await side.read({ sql: texts, text: texts, values: [] });
    expect(shape(row)).toEqual(["9999-99-99T99:99:99.999Z", "9999-99-99T99:99:99Z", "9999-99-99T99:99:99.999Z"]);
  }
  await script(postgres, fill);
  const [row = {}] = await postgres.read({
    sql: "",
    text: `SELECT whole, spelled FROM visits WHERE id = 2`,
    values: [],
  });
  expect(shape(row)).toEqual(["9999-99-99T99:99:99Z", "9999-99-99T99:99:99.999Z"]);
});
