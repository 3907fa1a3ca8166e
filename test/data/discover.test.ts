import { describe, expect, test } from "vitest";
import { type DiscoveredTable, uncarriedTables } from "../../src/data/catalogue/discover.js";
import { toPostgres, toSqlite } from "../../src/data/conversion/convert.js";
import { rowsOf } from "../../src/data/rows/rows.js";
import { silentLogger } from "../../src/logger.js";
import { migrate } from "../../src/schema/migrations.js";
import { ownTables } from "../support/travel.js";
import { postgresWith, sides, sqliteWith, tablesOf } from "./tables.js";

const nasty = `
  CREATE TABLE "select" ("order" INTEGER PRIMARY KEY, "a ""quoted"" name" TEXT NOT NULL DEFAULT 'it''s', "ünï çødé" TEXT UNIQUE, "x.y" REAL DEFAULT 1.5);
  CREATE TABLE 'it''s' (id TEXT PRIMARY KEY, n INT CHECK (n > 0 /* ) */ AND n <> ')'), CONSTRAINT "check" CHECK(length(id) < (40)));
  CREATE TABLE pairs (a TEXT, b INTEGER, note TEXT, PRIMARY KEY (b, a)) WITHOUT ROWID;
  CREATE TABLE strict_one (id INTEGER PRIMARY KEY AUTOINCREMENT, any_thing ANY, data BLOB) STRICT;
  CREATE TABLE no_key (a, b TEXT);
  CREATE TABLE by_unique (a TEXT NOT NULL UNIQUE, b TEXT UNIQUE);
  CREATE TABLE computed (id INTEGER PRIMARY KEY, price REAL, tax REAL AS (price * 0.2) VIRTUAL, gross REAL GENERATED ALWAYS AS (price * 1.2) STORED, UNIQUE (gross));
  CREATE TABLE caseless (name TEXT COLLATE NOCASE PRIMARY KEY, mail TEXT UNIQUE COLLATE RTRIM);
  CREATE TABLE parents (id INTEGER PRIMARY KEY, code TEXT UNIQUE);
  CREATE TABLE children (id INTEGER PRIMARY KEY, parent_id INTEGER REFERENCES PARENTS ON DELETE CASCADE ON UPDATE SET NULL,
    code TEXT, b INT, a TEXT, ghost TEXT REFERENCES nowhere (id), FOREIGN KEY (code) REFERENCES parents (CODE), FOREIGN KEY (b, a) REFERENCES pairs DEFERRABLE INITIALLY DEFERRED);
  CREATE INDEX children_parent ON children (parent_id DESC, code);
  CREATE INDEX children_part ON children (code) WHERE code IS NOT NULL;
  CREATE UNIQUE INDEX children_expression ON children (lower(code));
  CREATE VIRTUAL TABLE words USING fts5 (word);
  CREATE TABLE words_of_mine (id TEXT PRIMARY KEY);
  CREATE VIRTUAL TABLE boxes USING rtree (id, a, b);
  CREATE VIEW seen AS SELECT 1 AS one;
  CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY);
  CREATE TABLE _cf_KV (key TEXT PRIMARY KEY);
  CREATE TABLE libsql_wasm_func_table (name TEXT PRIMARY KEY);
  CREATE TABLE dualdb_something (id TEXT PRIMARY KEY);
  INSERT INTO strict_one (any_thing) VALUES (1);
  ANALYZE;`;

describe("a SQLite file that nobody described", () => {
  test("is known table by table, without those that are nobody's data", async () => {
    const tables = await tablesOf(await sqliteWith(nasty));
    expect(tables.map(({ name }) => name)).toEqual([
      "by_unique",
      "caseless",
      "children",
      "computed",
      "it's",
      "no_key",
      "pairs",
      "parents",
      "select",
      "strict_one",
      "words_of_mine",
    ]);
    const table = (name: string) => tables.find((found) => found.name === name) as DiscoveredTable;
    expect(table("select")).toMatchObject({
      key: ["order"],
      uniques: [["ünï çødé"]],
      columns: [
        { name: "order", identity: true, notNull: true, sqliteType: "INTEGER" },
        { name: 'a "quoted" name', notNull: true, default: "'it''s'" },
        { name: "ünï çødé" },
        { name: "x.y", kind: "real", default: "1.5" },
      ],
    });
    expect(table("it's").checks).toEqual(["n > 0 /* ) */ AND n <> ')'", "length(id) < (40)"]);
    expect(table("it's").columns[0]).toMatchObject({ name: "id", identity: false, notNull: false });
    expect(table("pairs")).toMatchObject({ key: ["b", "a"], options: ["WITHOUT ROWID"] });
    expect(table("strict_one").options).toEqual(["STRICT", "AUTOINCREMENT"]);
    expect(table("no_key")).toMatchObject({ key: [], keys: [], primaryKey: [] });
    expect(table("by_unique")).toMatchObject({
      primaryKey: [],
      keys: [["a"]],
      uniques: expect.arrayContaining([["a"], ["b"]]),
    });
    expect(table("computed")).toMatchObject({
      columns: [{ name: "id" }, { name: "price" }],
      generated: [
        { name: "tax", type: "REAL" },
        { name: "gross", type: "REAL" },
      ],
      uniques: [],
    });
    expect(table("caseless").columns.map(({ collation }) => collation)).toEqual(["NOCASE", "RTRIM"]);
  });

  test("is known with its foreign keys and indexes", async () => {
    const tables = await tablesOf(await sqliteWith(nasty));
    const children = tables.find(({ name }) => name === "children");
    const nothing = { onDelete: "NO ACTION", onUpdate: "NO ACTION" };
    expect(children?.foreignKeys).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          columns: ["parent_id"],
          parent: "parents",
          parentColumns: ["id"],
          onDelete: "CASCADE",
          onUpdate: "SET NULL",
        }),
        expect.objectContaining({ columns: ["code"], parent: "parents", parentColumns: ["code"], ...nothing }),
        expect.objectContaining({ columns: ["b", "a"], parent: "pairs", parentColumns: ["b", "a"], ...nothing }),
        expect.objectContaining({ columns: ["ghost"], parent: "nowhere", parentColumns: ["id"] }),
      ]),
    );
    const index = (name: string) => children?.indexes.find((found) => found.name === name);
    expect(index("children_parent")).toMatchObject({
      unique: false,
      constraint: false,
      partial: false,
      columns: [
        { column: "parent_id", descending: true },
        { column: "code", descending: false },
      ],
    });
    expect(index("children_part")).toMatchObject({ partial: true, sql: expect.stringContaining("WHERE") });
    expect(index("children_expression")).toMatchObject({ unique: true, columns: [{ column: null }] });
    expect(children?.uniques).toEqual([]);
  });

  test("may have a thousand columns", async () => {
    const names = Array.from({ length: 1_000 }, (_, index) => `c${index}`);
    const { sqlite, postgres, pairing } = await sides(
      `CREATE TABLE wide (id INTEGER PRIMARY KEY, ${names.map((name) => `${name} INTEGER`).join(", ")});
       INSERT INTO wide VALUES (${[7, ...names.map((_, index) => index)].join(", ")}), (8, ${names.map(() => "NULL").join(", ")});`,
      `CREATE TABLE wide (id bigint PRIMARY KEY, ${names.map((name) => `${name} smallint`).join(", ")})`,
    );
    const { tables } = await pairing();
    const [table] = tables;
    if (table === undefined) throw new Error("no table in common");
    expect(table.columns).toHaveLength(1_001);
    const rows = await sqlite.transaction({ mode: "read" }, (transaction) =>
      rowsOf("sqlite").read(transaction, table, ["7", "8", "9"]),
    );
    expect(rows.map(({ key }) => key)).toEqual(["7", "8"]);
    expect(rows[0]?.values.slice(997)).toEqual([996, 997, 998, 999]);
    await postgres.transaction({ mode: "write" }, (transaction) =>
      rowsOf("postgres").upsert(
        transaction,
        table,
        rows.map((row) => toPostgres(table, row).values),
      ),
    );
    const held = await postgres.transaction({ mode: "read" }, (transaction) =>
      rowsOf("postgres").read(transaction, table, ["7", "8"]),
    );
    await sqlite.transaction({ mode: "write" }, async (transaction) => {
      await rowsOf("sqlite").remove(transaction, table, ["7", "8"]);
      await rowsOf("sqlite").upsert(
        transaction,
        table,
        held.map((row) => toSqlite(table, row).values),
      );
    });
    const again = await sqlite.transaction({ mode: "read" }, (transaction) =>
      rowsOf("sqlite").read(transaction, table, ["7", "8"]),
    );
    expect(again).toEqual(rows);
  });
});

describe("rows whose keys hold NULL", () => {
  test("are found, however many are asked for at once", async () => {
    const { sqlite, pairing } = await sides(
      `CREATE TABLE odd (a TEXT, b INTEGER, PRIMARY KEY (a, b));
       WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500) INSERT INTO odd SELECT NULL, i FROM n;
       INSERT INTO odd VALUES ('x', 1)`,
      "CREATE TABLE odd (a text, b int, PRIMARY KEY (a, b))",
    );
    const [table] = (await pairing()).tables;
    if (table === undefined) throw new Error("no table in common");
    const keys = ["x,1", ...Array.from({ length: 1_500 }, (_, index) => `\\N,${index + 1}`)];
    const rows = await sqlite.transaction({ mode: "read" }, (transaction) =>
      rowsOf("sqlite").read(transaction, table, keys),
    );
    expect(rows.map(({ key }) => key).sort()).toEqual(keys.sort());
  });
});

describe("of a SQLite file's tables, by whose they are,", () => {
  const modules = `
    CREATE VIRTUAL TABLE docs USING fts5 (body); INSERT INTO docs VALUES ('kept nowhere else');
    CREATE VIRTUAL TABLE emptied USING fts5 (body);
    CREATE TABLE notes_content (id INTEGER PRIMARY KEY, body TEXT);
    CREATE VIRTUAL TABLE notes USING fts5 (body, content = 'notes_content');
    CREATE TABLE log_content (docid INTEGER PRIMARY KEY, body TEXT);
    CREATE VIRTUAL TABLE "log" USING FTS4(body, content="log_content");
    CREATE VIRTUAL TABLE [old one] USING fts3(a, b); INSERT INTO "old one" (a) VALUES ('x');
    CREATE VIRTUAL TABLE signs USING fts5 (body, content = '', contentless_delete = 1, columnsize = 1);
    CREATE VIRTUAL TABLE former USING fts5 (a, b, columnsize = 0); ALTER TABLE former RENAME TO latter;
    CREATE VIRTUAL TABLE boxes USING rtree (id, a, b); INSERT INTO boxes VALUES (1, 0, 1);
    CREATE VIRTUAL TABLE named_boxes USING rtree_i32 (id, a, b, +label); INSERT INTO named_boxes VALUES (1, 0, 1, 'home');
    CREATE VIRTUAL TABLE areas USING geopoly (label); INSERT INTO areas (_shape) VALUES ('[[0,0],[1,0],[0,1],[0,0]]');
    CREATE VIRTUAL TABLE vocabulary USING fts5vocab ('docs', 'row');
    CREATE TABLE meanings (id INTEGER PRIMARY KEY, meaning F32_BLOB(3));
    CREATE INDEX by_meaning ON meanings (libsql_vector_idx(meaning));
    CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER); CREATE TABLE _litestream_lock (id INTEGER);
    CREATE TABLE _cf_KV (key TEXT PRIMARY KEY, value BLOB); CREATE TABLE _cf_METADATA (key INTEGER PRIMARY KEY, value BLOB);
    CREATE TABLE libsql_wasm_func_table (name TEXT PRIMARY KEY, body TEXT);
    PRAGMA writable_schema = ON;
    INSERT INTO sqlite_schema VALUES ('table', 'vectors', 'vectors', 0, 'CREATE VIRTUAL TABLE vectors USING vec0(meaning float[3])');
    PRAGMA writable_schema = RESET;`;
  const lookalikes = [
    "docs_metadata",
    "docs_info",
    "docs_vocab",
    "docs_content_data",
    "signs_content",
    "latter_docsize",
    "boxes_data",
    "users_shadow",
    "libsql_notes",
    "_cf_x",
    "_litestream_x",
  ];

  test("an application's are known, whatever a module, an index or a tool calls its own", async () => {
    const mine = lookalikes.map((name) => `CREATE TABLE "${name}" (id INTEGER PRIMARY KEY, body TEXT);`).join("\n");
    const engine = await sqliteWith(`${modules} ${mine} CREATE INDEX users ON users_shadow (body);`);
    const tables = await tablesOf(engine);
    expect(tables.map(({ name }) => name).sort()).toEqual(
      [...lookalikes, "log_content", "meanings", "notes_content"].sort(),
    );
  });

  test("the others are named with the reason, and whether rows stay behind", async () => {
    const engine = await sqliteWith(modules);
    const found = await engine.transaction({ mode: "read" }, uncarriedTables);
    const parts = (name: string, ...all: readonly string[]) => all.map((part) => `${name}_${part}`).join(", ");
    const fts4 = (name: string) => `kept in ${parts(name, "docsize", "segdir", "segments", "stat")}`;
    const fts5 = (name: string) => `kept in ${parts(name, "config", "content", "data", "docsize", "idx")}`;
    const rtree = (name: string) => `kept in ${parts(name, "node", "parent", "rowid")}`;
    const indexOnly = (name: string) => `kept in ${parts(name, "config", "data", "docsize", "idx")}`;
    const stays = "its rows stay behind";
    const left = "left out";
    const reasons = Object.fromEntries(found.map(({ table, reason }) => [table, reason]));
    expect(reasons).toEqual({
      docs: `a full-text table (fts5), ${fts5("docs")}: ${stays}`,
      emptied: `a full-text table (fts5), ${fts5("emptied")}, without rows of its own: ${left}`,
      notes: `a full-text table (fts5), ${indexOnly("notes")}, without rows of its own: ${left}`,
      log: `a full-text table (fts4), ${fts4("log")}, without rows of its own: ${left}`,
      "old one": `a full-text table (fts3), kept in ${parts("old one", "content", "segdir", "segments")}: ${stays}`,
      signs: `a full-text table (fts5), ${indexOnly("signs")}, without rows of its own: ${left}`,
      latter: `a full-text table (fts5), kept in ${parts("latter", "config", "content", "data", "idx")}, without rows of its own: ${left}`,
      boxes: `an R-tree (rtree), ${rtree("boxes")}, without rows of its own: ${left}`,
      named_boxes: `an R-tree (rtree_i32), ${rtree("named_boxes")}: ${stays}`,
      areas: `an R-tree (geopoly), ${rtree("areas")}: ${stays}`,
      vocabulary: `a virtual table (fts5vocab) without rows of its own: ${left}`,
      vectors: "a virtual table of the module vec0, which is not known here: what it holds stays behind",
      by_meaning_shadow: `kept by the vector index by_meaning for itself: ${left}`,
      libsql_vector_meta_shadow: `kept by libSQL for itself: ${left}`,
      libsql_wasm_func_table: `kept by libSQL for itself: ${left}`,
      _litestream_seq: `kept by Litestream for itself: ${left}`,
      _litestream_lock: `kept by Litestream for itself: ${left}`,
      _cf_KV: `kept by Cloudflare for itself: ${left}`,
      _cf_METADATA: `kept by Cloudflare for itself: ${left}`,
    });
    const holding = found.filter(({ holdsRows }) => holdsRows).map(({ table }) => table);
    expect(holding.sort()).toEqual(["areas", "docs", "named_boxes", "old one", "vectors"]);
  });

  test("one that remembers migrations is another tool's unless it has our columns", async () => {
    const theirs = "CREATE TABLE schema_migrations (version TEXT PRIMARY KEY, dirty INTEGER)";
    for (const engine of [await sqliteWith(theirs), await postgresWith(theirs)])
      expect((await tablesOf(engine)).map(({ name }) => name)).toEqual(["schema_migrations"]);
    for (const engine of [await sqliteWith(""), await postgresWith("")]) {
      await migrate({ engine, timeoutMs: 30_000, logger: silentLogger });
      expect((await tablesOf(engine)).map(({ name }) => name)).toEqual(ownTables);
    }
  });
});

describe("a PostgreSQL database that nobody described", () => {
  test("is known with types, keys and what the database fills in", async () => {
    const engine = await postgresWith(`
      CREATE TYPE mood AS ENUM ('sad', 'ok');
      CREATE DOMAIN short AS varchar(5) CHECK (VALUE <> 'x');
      CREATE DOMAIN shorter AS short;
      CREATE COLLATION caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
      CREATE TABLE "Every" (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, s serial, v varchar(20) NOT NULL DEFAULT 'x', n numeric(9,2), t timestamptz(3),
        m mood, d shorter, a int[], j json, double_n int GENERATED ALWAYS AS (id * 2) STORED, c text COLLATE caseless UNIQUE,
        UNIQUE (v) INCLUDE (n), EXCLUDE USING btree (n WITH =), CHECK (n > 0));
      CREATE UNIQUE INDEX part ON "Every" (s) WHERE s > 5;
      CREATE INDEX late ON "Every" USING hash (m);
      CREATE TABLE deferrable_key (id int PRIMARY KEY DEFERRABLE, other int NOT NULL UNIQUE);
      CREATE TABLE parts (id int, day date, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
      CREATE TABLE parts_2024 PARTITION OF parts FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
      CREATE TABLE child (id int PRIMARY KEY, p int, d date, FOREIGN KEY (p, d) REFERENCES parts (id, day) ON DELETE SET NULL ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED);
      CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.hidden (id int);`);
    const tables = await tablesOf(engine);
    expect(tables.map(({ name }) => name)).toEqual(["Every", "child", "deferrable_key", "parts"]);
    const [every, child, deferrable, parts] = tables;
    expect(every?.columns).toMatchObject([
      { name: "id", type: "integer", identity: true, kind: "integer" },
      { name: "s", identity: true },
      {
        name: "v",
        type: "character varying(20)",
        cast: "character varying",
        notNull: true,
        default: expect.stringContaining("'x'"),
      },
      { name: "n", type: "numeric(9,2)", cast: "numeric", kind: "numeric" },
      { name: "t", type: "timestamp(3) with time zone", kind: "other" },
      { name: "m", type: "mood", category: "enum" },
      { name: "d", type: "shorter", base: "character varying(5)", kind: "text", category: "domain" },
      { name: "a", type: "integer[]", kind: "other", category: "array" },
      { name: "j", type: "json", kind: "json" },
      { name: "c", collation: "caseless" },
    ]);
    expect(every).toMatchObject({
      generated: [{ name: "double_n", type: "integer" }],
      keys: [["id"], ["v"]],
      checks: [expect.stringContaining("> ")],
    });
    expect(every?.uniques).toEqual(expect.arrayContaining([["v"], ["c"]]));
    expect(every?.indexes).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ name: "part", unique: true, partial: true }),
        expect.objectContaining({ name: "late", method: "hash", columns: [{ column: "m", descending: false }] }),
      ]),
    );
    expect(child?.foreignKeys).toEqual([
      {
        columns: ["p", "d"],
        parent: "parts",
        parentColumns: ["id", "day"],
        onDelete: "SET NULL",
        onUpdate: "CASCADE",
        deferred: true,
      },
    ]);
    expect(deferrable).toMatchObject({ primaryKey: ["id"], keys: [["other"]] });
    expect(parts).toMatchObject({ options: ["PARTITIONED"], key: ["id", "day"] });
  });
});

describe("the tables of both sides", () => {
  test("are brought together under SQLite's names", async () => {
    const { pairing } = await sides(
      `CREATE TABLE UserAccounts (userId INTEGER PRIMARY KEY, displayName TEXT NOT NULL, bornOn TEXT);
       CREATE TABLE posts (id TEXT PRIMARY KEY, authorID INTEGER REFERENCES UserAccounts, slug TEXT UNIQUE);`,
      `CREATE TABLE user_accounts (user_id bigint PRIMARY KEY, display_name text NOT NULL UNIQUE, born_on date);
       CREATE TABLE "POSTS" (id text PRIMARY KEY, author_id bigint REFERENCES user_accounts ON DELETE CASCADE, slug varchar(9));`,
    );
    const { tables, unmirrored, missing, ambiguous } = await pairing();
    expect({ unmirrored, missing, ambiguous }).toEqual({ unmirrored: [], missing: [], ambiguous: [] });
    expect(tables).toMatchObject([
      {
        name: "UserAccounts",
        postgresName: "user_accounts",
        key: ["userId"],
        uniques: [["displayName"]],
        columns: [
          { name: "userId", postgresName: "user_id", type: "bigint", sqliteType: "INTEGER" },
          { name: "displayName", postgresName: "display_name", notNull: true, sqliteNotNull: true },
          { name: "bornOn", postgresName: "born_on", type: "date", sqliteType: "TEXT" },
        ],
      },
      {
        name: "posts",
        postgresName: "POSTS",
        uniques: [["slug"]],
        foreignKeys: [{ columns: ["authorID"], parent: "UserAccounts", parentColumns: ["userId"] }],
      },
    ]);
    expect(tables[1]?.columns[0]).not.toHaveProperty("postgresName");
  });

  test("without a key that both keep are given separately, with the reason", async () => {
    const { pairing } = await sides(
      `CREATE TABLE none (a TEXT); CREATE TABLE by_unique (a TEXT NOT NULL UNIQUE, b TEXT);
       CREATE TABLE caseless (name TEXT COLLATE NOCASE PRIMARY KEY); CREATE TABLE cite (name TEXT PRIMARY KEY);
       CREATE TABLE other (a TEXT PRIMARY KEY, b TEXT NOT NULL UNIQUE); CREATE TABLE differs (a TEXT PRIMARY KEY, b TEXT);
       CREATE TABLE times (at TEXT PRIMARY KEY); CREATE TABLE only_here (id TEXT PRIMARY KEY); CREATE TABLE floats (x REAL PRIMARY KEY);`,
      `CREATE TABLE none (a text); CREATE TABLE by_unique (a text NOT NULL UNIQUE, b text); CREATE TABLE caseless (name text PRIMARY KEY);
       CREATE COLLATION caseless_c (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
       CREATE TABLE cite (name text COLLATE caseless_c PRIMARY KEY); CREATE TABLE other (b text PRIMARY KEY, a text);
       CREATE TABLE differs (a text, b text PRIMARY KEY); CREATE TABLE times (at timestamptz PRIMARY KEY); CREATE TABLE floats (x float8 PRIMARY KEY);
       CREATE TABLE only_there (id int PRIMARY KEY);`,
    );
    const { tables, keyless, unmirrored, postgresOnly } = await pairing();
    expect(tables.map(({ name, key }) => [name, key])).toEqual([
      ["by_unique", ["a"]],
      ["other", ["b"]],
    ]);
    expect(tables[1]?.uniques).toEqual([["a"]]);
    expect(keyless.map(({ name, key }) => [name, key])).toEqual(
      ["caseless", "cite", "differs", "floats", "none", "times"].map((name) => [name, []]),
    );
    expect(Object.fromEntries(unmirrored.map(({ table, reason }) => [table, reason]))).toEqual({
      caseless: expect.stringContaining("NOCASE in SQLite"),
      cite: expect.stringContaining("caseless_c in PostgreSQL"),
      differs: "its primary key differs between the sides",
      floats: expect.stringContaining("spelled differently"),
      none: "it has no primary key in SQLite",
      only_here: "PostgreSQL has no such table",
      times: expect.stringContaining("spelled differently"),
    });
    expect(postgresOnly).toEqual(["only_there"]);
  });

  test("say what is missing, computed or ambiguous", async () => {
    const { pairing } = await sides(
      `CREATE TABLE t (id INTEGER PRIMARY KEY, here TEXT, double INTEGER AS (id * 2), "plain" INTEGER);
       CREATE TABLE unclear (id INTEGER PRIMARY KEY, userId TEXT); CREATE TABLE NAMES (id INTEGER PRIMARY KEY);`,
      `CREATE TABLE t (id bigint PRIMARY KEY, there text, double bigint, plain bigint GENERATED ALWAYS AS (id * 3) STORED);
       CREATE TABLE unclear (id bigint PRIMARY KEY, user_id text, "USER_ID" text);
       CREATE TABLE "Names" (id int PRIMARY KEY); CREATE TABLE names (id int PRIMARY KEY);`,
    );
    const { tables, missing, generated, ambiguous, unmirrored } = await pairing();
    expect(tables.map(({ name, columns }) => [name, columns.map((column) => column.name)])).toEqual([["t", ["id"]]]);
    expect(missing).toEqual([
      { side: "postgres", table: "t", column: "here" },
      { side: "sqlite", table: "t", column: "there" },
    ]);
    expect(generated).toEqual([
      { side: "sqlite", table: "t", column: "double" },
      { side: "postgres", table: "t", column: "plain" },
    ]);
    expect(ambiguous).toEqual([
      { left: ["NAMES"], right: ["Names", "names"] },
      { table: "unclear", left: ["userId"], right: ["user_id", "USER_ID"] },
    ]);
    expect(unmirrored.map(({ table, reason }) => [table, /names do not tell/.test(reason)])).toEqual([
      ["NAMES", true],
      ["unclear", true],
    ]);
  });
});
