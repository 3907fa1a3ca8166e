import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type CopyOptions, copy } from "../../src/migrate/copy.js";
import { doctor } from "../../src/migrate/doctor.js";
import { freshDirectory, freshPostgres, freshSqlite } from "../support/databases.js";
import { openAt, script } from "../support/libsql.js";
import { runAt } from "../support/postgres.js";

/** A SQLite file, and a PostgreSQL that knows nothing of it but what `before` says. */
async function databases(text: string, before = "SELECT") {
  const sqlite = freshSqlite();
  await onSqlite(sqlite, text);
  const postgres = await freshPostgres();
  await runAt(postgres, before);
  const options = { env: {}, sqlite, postgres, rejects: join(freshDirectory(), "rejects"), createTables: true };
  return {
    sqlite: (more: string) => onSqlite(sqlite, more),
    ask: (query: string) => runAt(postgres, query),
    copy: (more: CopyOptions = {}) => copy({ ...options, ...more }),
    doctor: () => doctor(options),
  };
}

async function onSqlite(file: string, text: string): Promise<void> {
  const engine = await openAt(file);
  await script(engine, text);
  await engine.close();
}

type Databases = Awaited<ReturnType<typeof databases>>;

const indexesOf = async ({ ask }: Databases, table: string) =>
  (
    await ask(
      `SELECT indexrelid::regclass::text AS name FROM pg_index WHERE indrelid = '${table}'::regclass ORDER BY 1`,
    )
  ).map(({ name }) => name);

const foreignKeysOf = async ({ ask }: Databases) =>
  (
    await ask(
      "SELECT conrelid::regclass || ' ' || pg_get_constraintdef(oid) AS key FROM pg_constraint WHERE contype = 'f' ORDER BY 1",
    )
  ).map(({ key }) => key);

const marks = ({ ask }: Databases) => ask("SELECT description FROM pg_description WHERE description LIKE 'dualdb%'");

describe("an index that a row does not fit into", () => {
  const notes = `CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT, n INTEGER); CREATE INDEX notes_by_body ON notes (body);
    CREATE INDEX notes_by_n ON notes (n); INSERT INTO notes VALUES (1, hex(randomblob(5000)), 1), (2, 'short', 2);
    CREATE TABLE zones (id INTEGER PRIMARY KEY, name TEXT); CREATE INDEX zones_by_name ON zones (name); INSERT INTO zones VALUES (1, 'x')`;
  const refused = {
    table: "notes",
    column: null,
    text: expect.stringMatching(
      /^the index notes_by_body cannot be made \(larger than an index .* can hold .*\): left out$/,
    ),
    refused: true,
  };

  test("is left out and named, and all else is made; the doctor says so before", async () => {
    const both = await databases(notes);
    const looked = await both.doctor();
    expect(looked.findings).toEqual([]);
    expect(looked.problems.filter(({ severity }) => severity === "warning")).toMatchObject([
      { table: "notes", problem: refused.text },
    ]);
    const report = await both.copy();
    expect(report.notes).toEqual([refused]);
    expect(report.tables).toMatchObject([{ written: 2, setAside: 0 }, { written: 1 }]);
    expect(report.created.filter((sql) => sql.includes("INDEX"))).toHaveLength(2);
    expect(await indexesOf(both, "notes")).toEqual(["notes_by_n", "notes_pkey"]);
    expect(await indexesOf(both, "zones")).toEqual(["zones_by_name", "zones_pkey"]);
    expect(await marks(both)).toEqual([]);
    expect(await both.copy()).toMatchObject({ notes: [], created: [] });
  });
});

describe("a foreign key whose parent is not made with its table", () => {
  const shop = `CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO customers VALUES (1, 'a');
    CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER REFERENCES customers ON DELETE CASCADE); INSERT INTO orders VALUES (1, 1), (2, NULL);
    CREATE INDEX orders_by_customer ON orders (customer)`;
  const key = "orders FOREIGN KEY (customer) REFERENCES customers(id) ON DELETE CASCADE";

  test("is made where the parent is there already, also under a name that is spelled otherwise", async () => {
    const both = await databases(shop);
    expect((await both.copy({ tables: ["customers"] })).notes).toEqual([]);
    expect((await both.copy({ tables: ["orders"] })).notes).toEqual([]);
    expect(await foreignKeysOf(both)).toEqual([key]);
    const other = await databases(shop, `CREATE TABLE "Customers" ("ID" int PRIMARY KEY, "Name" text)`);
    expect((await other.copy()).notes).toEqual([]);
    expect(await foreignKeysOf(other)).toEqual([
      `orders FOREIGN KEY (customer) REFERENCES "Customers"("ID") ON DELETE CASCADE`,
    ]);
  });

  test("comes later where the parent does, whether or not the child is asked for again", async () => {
    for (const second of [{}, { tables: ["customers"] }]) {
      const both = await databases(shop);
      const first = await both.copy({ tables: ["orders"] });
      expect(first.notes).toEqual([
        {
          table: "orders",
          column: null,
          text: "the foreign key (customer) to customers points to a table that PostgreSQL lacks: left out until that is made",
        },
      ]);
      expect(await foreignKeysOf(both)).toEqual([]);
      const report = await both.copy(second);
      expect(report.notes).toEqual([]);
      expect(report.created).toHaveLength(2);
      expect(await foreignKeysOf(both)).toEqual([key]);
      expect(await indexesOf(both, "orders")).toEqual(["orders_by_customer", "orders_pkey"]);
      expect(await marks(both)).toEqual([]);
    }
  });

  test("is left out and named where rows stand against it, and is not added to a table that somebody has made by hand", async () => {
    const both = await databases(shop);
    await both.copy({ tables: ["orders"] });
    await both.ask("INSERT INTO orders VALUES (3, 9)");
    expect((await both.copy()).notes).toMatchObject(
      [{ table: "orders", text: /the foreign key \(customer\) .* is not there/, refused: true }].map(
        ({ text, ...note }) => ({ ...note, text: expect.stringMatching(text) }),
      ),
    );
    const byHand = await databases(shop, "CREATE TABLE orders (id bigint PRIMARY KEY, customer bigint)");
    expect((await byHand.copy()).notes).toEqual([]);
    expect(await foreignKeysOf(byHand)).toEqual([]);
  });
});

describe("a definition that PostgreSQL cannot have as it is", () => {
  const plain =
    "CREATE TABLE zz (id INTEGER PRIMARY KEY, name TEXT); CREATE INDEX zz_by_name ON zz (name); INSERT INTO zz VALUES (1, 'z')";

  /** With another table that nothing is wrong with. */
  async function copied(text: string, before?: string) {
    const both = await databases(`${text}; ${plain}`, before);
    const looked = await both.doctor();
    const report = await both.copy();
    expect(await both.ask("SELECT name FROM zz")).toEqual([{ name: "z" }]);
    expect(await indexesOf(both, "zz")).toEqual(["zz_by_name", "zz_pkey"]);
    const notes = report.notes.map(({ table, column, text }) => `${table}.${column ?? "*"}: ${text}`);
    // The doctor says the same before.
    for (const { table, text: problem } of report.notes)
      expect(looked.problems).toContainEqual(expect.objectContaining({ table, problem }));
    return { both, report, notes };
  }

  test("an index whose name is taken there gets another", async () => {
    const { both, notes } = await copied(
      `CREATE TABLE a (id INTEGER PRIMARY KEY, n INTEGER); CREATE INDEX theirs ON a (n); CREATE UNIQUE INDEX a_pkey ON a (n, id); INSERT INTO a VALUES (1, 2)`,
      "CREATE TABLE other (n int); CREATE INDEX theirs ON other (n); CREATE INDEX theirs_1 ON other (n)",
    );
    expect(await indexesOf(both, "a")).toEqual(["a_pkey", "a_pkey_1", "theirs_2"]);
    expect(notes).toEqual([
      "a.*: the index a_pkey is called a_pkey_1 in PostgreSQL, where that name is taken",
      "a.*: the index theirs is called theirs_2 in PostgreSQL, where that name is taken",
    ]);
  });

  test("a default of the rowid, of which SQLite makes nothing, is none", async () => {
    const { both, notes } = await copied(
      "CREATE TABLE a (id INTEGER PRIMARY KEY DEFAULT 5, n TEXT); INSERT INTO a (n) VALUES ('first')",
    );
    expect(notes).toEqual([]);
    expect(await both.ask("INSERT INTO a DEFAULT VALUES RETURNING id::int")).toEqual([{ id: 2 }]);
  });

  test("a document that jsonb cannot hold is no default", async () => {
    const { both, notes } = await copied(
      `CREATE TABLE a (id INTEGER PRIMARY KEY, d JSON DEFAULT '"\\u0000"', e JSON DEFAULT '"\\u0041"', f JSON DEFAULT '[1e999999]')`,
    );
    expect(notes).toEqual([`a.d: its DEFAULT '"\\u0000"' is left out`, "a.f: its DEFAULT '[1e999999]' is left out"]);
    expect(await both.ask("INSERT INTO a DEFAULT VALUES RETURNING d, e")).toEqual([{ d: null, e: "A" }]);
  });

  test("a table called like one of PostgreSQL's own is left out", async () => {
    const { report, notes } = await copied(
      "CREATE TABLE pg_class (id INTEGER PRIMARY KEY); CREATE INDEX own ON pg_class (id)",
    );
    expect(notes).toEqual(["pg_class.*: PostgreSQL has a table of its own of that name: the table is left out"]);
    expect(report.leftOut).toMatchObject([{ table: "pg_class" }]);
  });

  test("tables called like the keys of others are made, and so are these", async () => {
    const { both, notes } = await copied(
      `CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT UNIQUE); INSERT INTO users VALUES (1, 'a'); CREATE TABLE users_email_key (id INTEGER PRIMARY KEY);
       CREATE TABLE users_pkey (id INTEGER PRIMARY KEY); CREATE TABLE users_pkey_pkey (id INTEGER PRIMARY KEY); CREATE TABLE users_id_seq (id INTEGER PRIMARY KEY)`,
    );
    expect(notes).toEqual([]);
    expect(await indexesOf(both, "users")).toHaveLength(2);
    expect(await both.ask("INSERT INTO users (email) VALUES ('b') RETURNING id::int")).toEqual([{ id: 2 }]);
    await expect(both.ask("INSERT INTO users (email) VALUES ('b')")).rejects.toThrow(/unique/);
  });

  test("a table under whose name PostgreSQL has something else is left out, and so is a foreign key to it", async () => {
    const { report, notes } = await copied(
      "CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE b (id INTEGER PRIMARY KEY, a INTEGER REFERENCES a); INSERT INTO b VALUES (1, NULL)",
      "CREATE VIEW a AS SELECT 1 AS id",
    );
    expect(notes).toEqual([
      "a.*: the table cannot be made (something of that name is there already (42P07)): left out",
      expect.stringMatching(/^b\.\*: the foreign key \(a\) to a cannot be made \(.*\): left out$/),
    ]);
    expect(report).toMatchObject({ leftOut: [{ table: "a" }], tables: [{ table: "b", written: 1 }, { table: "zz" }] });
  });
});
