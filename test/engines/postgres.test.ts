import { afterEach, describe, expect, test } from "vitest";
import type { PostgresConfig } from "../../src/config.js";
import { wrapText } from "../../src/data/conversion/wrapper.js";
import type { PostgresEngine, Statement } from "../../src/engines/engine.js";
import { openPostgres } from "../../src/engines/postgres.js";
import { silentLogger } from "../../src/logger.js";
import { freshPostgres, postgresServers } from "../support/databases.js";
import { runAt } from "../support/postgres.js";
import { configOf, withState } from "../support/postgres-config.js";

const engines: PostgresEngine[] = [];

function open(url: string, changes: Partial<PostgresConfig> = {}): PostgresEngine {
  const engine = openPostgres({ config: configOf(url, changes), logger: silentLogger });
  engines.push(engine);
  return engine;
}

afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.close()));
});

function statement(text: string, ...values: unknown[]): Statement {
  return { sql: text, text, values };
}

describe.each(postgresServers)("values on $name", ({ url: server }) => {
  const select =
    statement(`SELECT 9007199254740991 AS largest, -5::int8 AS negative, 7::int4 AS four, 3::int2 AS two, 1.5::float8 AS real,
    0.1::float4 AS single, true AS yes, false AS no, NULL AS nothing, 'é😀' AS text, '{"b": [1, 2]}'::jsonb AS json, '[1,  2]'::json AS plain,
    12.50::numeric AS numeric, 2::numeric AS whole, 12345678901234567890.5::numeric AS long, '\\x00ff'::bytea AS bytes,
    timestamp '2024-01-02 03:04:05' AS moment, date '2024-01-02' AS day, count(*) AS count, sum(1::int8) AS sum, 'NaN'::float8 AS nan`);

  test("come to callers in SQLite's shape", async () => {
    const [row] = await open(await freshPostgres(server)).read(select);
    expect(row).toEqual({
      largest: 9007199254740991,
      negative: -5,
      four: 7,
      two: 3,
      real: 1.5,
      single: 0.1,
      yes: 1,
      no: 0,
      nothing: null,
      text: "é😀",
      json: '{"b": [1, 2]}',
      plain: "[1,  2]",
      numeric: 12.5,
      whole: 2,
      long: Number("12345678901234567890.5"),
      bytes: new Uint8Array([0, 255]),
      moment: "2024-01-02 03:04:05",
      day: "2024-01-02",
      count: 1,
      sum: 1,
      nan: Number.NaN,
    });
  });

  test("come to the mirror exactly", async () => {
    const engine = open(await freshPostgres(server));
    const [row] = await engine.transaction({ mode: "read" }, (transaction) => transaction.query(select));
    expect(row).toMatchObject({
      largest: 9007199254740991n,
      negative: -5n,
      four: 7n,
      two: 3n,
      real: 1.5,
      yes: true,
      no: false,
      nothing: null,
      json: '{"b": [1, 2]}',
      numeric: "12.50",
      long: "12345678901234567890.5",
      bytes: new Uint8Array([0, 255]),
      moment: "2024-01-02 03:04:05",
      day: "2024-01-02",
      sum: "1",
    });
  });

  test("an integer that a number cannot hold is refused by its column's name, and other reads go on", async () => {
    const engine = open(await freshPostgres(server));
    const outcomes = await Promise.allSettled([
      engine.read(statement("SELECT 1 AS fine, 9007199254740992 AS big")),
      engine.read(statement("SELECT 2 AS fine")),
      engine.write([statement("SELECT -9007199254740992 AS big"), statement("SELECT 1")]),
    ]);
    expect(outcomes).toMatchObject([
      { reason: { code: "VALUE_REFUSED", column: "big" } },
      { value: [{ fine: 2 }] },
      { reason: { code: "VALUE_REFUSED", column: "big" } },
    ]);
    expect((outcomes[0] as PromiseRejectedResult).reason.message).not.toContain("9007199254740992");
  });

  test("wrapped text comes back as the original, once", async () => {
    const url = await freshPostgres(server);
    const engine = open(url);
    await runAt(url, "CREATE TABLE t (i int, j jsonb)");
    const twice = wrapText(wrapText("deep"));
    for (const [index, json] of [
      wrapText('no "json" \\'),
      twice,
      '{"$dualdb:text": 1}',
      '{"$dualdb:text": "a", "b": 2}',
    ].entries()) {
      await engine.write([statement("INSERT INTO t VALUES ($1, $2)", index, json)]);
    }
    const rows = await engine.read(statement("SELECT j FROM t ORDER BY i"));
    expect(rows[0]?.j).toBe('no "json" \\');
    expect(JSON.parse(String(rows[1]?.j))).toEqual(JSON.parse(wrapText("deep")));
    expect(JSON.parse(String(rows[2]?.j))).toEqual({ "$dualdb:text": 1 });
    expect(JSON.parse(String(rows[3]?.j))).toEqual({ "$dualdb:text": "a", b: 2 });
    const exact = await engine.transaction({ mode: "read" }, (t) => t.query(statement("SELECT j FROM t WHERE i = 0")));
    expect(JSON.parse(String(exact[0]?.j))).toEqual(JSON.parse(wrapText('no "json" \\')));
  });

  test("parameters of every kind", async () => {
    const engine = open(await freshPostgres(server));
    const [row] = await engine.read(
      statement(
        "SELECT $1::int AS i, $2::float8 AS nan, $3::bool AS yes, $4::int8 AS big, $5::text AS nothing, $6::bytea AS bytes, $7::float8 AS endless",
        ...[5, Number.NaN, true, 123n, undefined, new Uint8Array([1, 2]).subarray(1), Number.POSITIVE_INFINITY],
      ),
    );
    expect(row).toEqual({
      i: 5,
      nan: Number.NaN,
      yes: 1,
      big: 123,
      nothing: null,
      bytes: new Uint8Array([2]),
      endless: Number.POSITIVE_INFINITY,
    });
    const hard = [null, "", "null", "NULL", "'", '"', "\\", "a,b{}", "\\x41", "12345678901234567890", "é😀\n", " x "];
    const rows = await engine.read(
      statement(
        "SELECT * FROM unnest($1::text[], $2::text[]::bytea[]) AS r (a, b)",
        hard,
        hard.map(() => "\\x00ff"),
      ),
    );
    expect(rows.map(({ a }) => a)).toEqual(hard);
    expect(rows[0]?.b).toEqual(new Uint8Array([0, 255]));
  });

  test("what cannot be bound is refused", async () => {
    const engine = open(await freshPostgres(server));
    await expect(engine.read(statement("SELECT $1::jsonb", { a: "secret" }))).rejects.toMatchObject({
      code: "VALUE_REFUSED",
    });
    await expect(engine.read(statement("SELECT $1::text", "nul \0 here"))).rejects.toMatchObject({
      code: "VALUE_REFUSED",
    });
    await expect(engine.read(statement("SELECT $1::int", "secret"))).rejects.toMatchObject({
      code: "VALUE_REFUSED",
      details: { sqlState: "22P02" },
      message: expect.not.stringContaining("secret"),
    });
  });
});

describe.each(postgresServers)("reads and writes on $name", ({ url: server }) => {
  async function prepared(primary: "sqlite" | "postgres" = "postgres") {
    const url = await freshPostgres(server);
    await withState(url, primary);
    await runAt(url, "CREATE TABLE t (i int PRIMARY KEY, name text UNIQUE, CONSTRAINT low CHECK (i < 1000))");
    return { url, engine: open(url) };
  }

  test("a read as primary keeps rows, order and names, and takes a comment, a semicolon and no rows", async () => {
    const { engine, url } = await prepared();
    await runAt(url, "INSERT INTO t SELECT i, md5(i::text) FROM generate_series(1, 999) i");
    await runAt(url, "ANALYZE t");
    for (const order of ["name", "name DESC", "i % 7, name", "length(name), i DESC"]) {
      for (const limit of ["", " LIMIT 100", " LIMIT 50 OFFSET 3"]) {
        const ordered = statement(`SELECT i, name FROM t WHERE i > $1 ORDER BY ${order}${limit} ; \n;`, 10);
        expect(await engine.read(ordered, { asPrimary: true })).toEqual(await engine.read(ordered));
      }
    }
    const joined = statement(
      "SELECT a.i, b.i AS other FROM t a JOIN t b ON b.i = a.i + 1 WHERE a.i < 4 ORDER BY a.i DESC -- end",
    );
    expect(await engine.read(joined, { asPrimary: true })).toEqual([3, 2, 1].map((i) => ({ i, other: i + 1 })));
    expect(await engine.read(statement("SELECT i FROM t WHERE i = 0"), { asPrimary: true })).toEqual([]);
    expect(await engine.read(statement("SELECT count(*) AS n FROM t"), { asPrimary: true })).toEqual([{ n: 999 }]);
  });

  test("an ordered read as primary keeps its order in a parallel plan", async () => {
    const { engine, url } = await prepared();
    await runAt(url, "CREATE TABLE wide AS SELECT i, md5(i::text) AS name FROM generate_series(1, 20000) i");
    const { pathname } = new URL(url);
    const settings = ["parallel_setup_cost = 0", "parallel_tuple_cost = 0", "min_parallel_table_scan_size = 0"];
    for (const setting of settings) await runAt(url, `ALTER DATABASE ${pathname.slice(1)} SET ${setting}`);
    const ordered = statement("SELECT name FROM wide WHERE i % 3 = 0 ORDER BY name");
    const names = (await engine.read(ordered, { asPrimary: true })).map(({ name }) => String(name));
    expect(names).toHaveLength(6666);
    expect(names).toEqual([...names].sort());
  });

  test.each(["SELECT i FROM t", "SELECT count(*) FROM t", "SELECT i FROM t WHERE i = 0 ORDER BY i LIMIT 5"])(
    "a read as primary is refused elsewhere: %s",
    async (text) => {
      const { engine, url } = await prepared("sqlite");
      await expect(engine.read(statement(text), { asPrimary: true })).rejects.toMatchObject({
        code: "NOT_PRIMARY",
        retry: true,
      });
      expect(await engine.read(statement("SELECT 1 AS one"))).toEqual([{ one: 1 }]);
      await runAt(url, "DELETE FROM dualdb_state");
      await expect(engine.read(statement(text), { asPrimary: true })).rejects.toMatchObject({ code: "NOT_PRIMARY" });
    },
  );

  test("a write tells what it changed", async () => {
    const { engine } = await prepared();
    expect(await engine.write([statement("INSERT INTO t VALUES ($1, $2), ($3, $4)", 1, "a", 2, "b")])).toEqual([
      { rows: [], changes: 2 },
    ]);
    expect(await engine.write([statement("UPDATE t SET name = name || 'x' RETURNING i, name")])).toEqual([
      { rows: [expect.objectContaining({ i: 1 }), { i: 2, name: "bx" }], changes: 2 },
    ]);
    expect(
      await engine.write([statement("DELETE FROM t WHERE i = 1"), statement("DELETE FROM t WHERE i = 77")]),
    ).toMatchObject([{ changes: 1 }, { changes: 0 }]);
    expect(await engine.write([])).toEqual([]);
  });

  test("several statements are one transaction", async () => {
    const { engine } = await prepared();
    const insert = statement("INSERT INTO t VALUES (1, 'a')");
    await expect(engine.write([insert, insert])).rejects.toMatchObject({
      code: "CONSTRAINT_VIOLATED",
      table: "t",
      details: { sqlState: "23505", constraint: "t_pkey" },
    });
    expect(await engine.read(statement("SELECT * FROM t"))).toEqual([]);
    expect(engine.statistics()).toMatchObject({ connections: 1, idle: 1, waiting: 0 });
  });

  test("a write as primary is refused elsewhere, also when it touches no row", async () => {
    const { engine } = await prepared("sqlite");
    const update = statement("UPDATE t SET name = 'x' WHERE i = 1");
    for (const statements of [[update], [update, update]]) {
      await expect(engine.write(statements, { asPrimary: true })).rejects.toMatchObject({ code: "NOT_PRIMARY" });
    }
    const { engine: primary } = await prepared();
    expect(await primary.write([update], { asPrimary: true })).toEqual([{ rows: [], changes: 0 }]);
    expect(await primary.write([update, update], { asPrimary: true })).toHaveLength(2);
  });

  test("a trigger's NOT_PRIMARY arrives as such", async () => {
    const { engine } = await prepared();
    const raise = statement("DO $$ BEGIN RAISE EXCEPTION 'NOT_PRIMARY' USING ERRCODE = 'DD001'; END $$");
    await expect(engine.write([raise])).rejects.toMatchObject({ code: "NOT_PRIMARY" });
    await expect(engine.transaction({ mode: "write" }, (t) => t.execute(raise))).rejects.toMatchObject({
      code: "NOT_PRIMARY",
    });
  });

  test("writes that collide are repeated", async () => {
    const { engine } = await prepared();
    await engine.write([statement("INSERT INTO t VALUES (1, 'a'), (2, 'b')")]);
    const touch = (i: number) => statement("UPDATE t SET name = name WHERE i = $1", i);
    const pause = statement("SELECT pg_sleep(0.05)");
    const crossing = Array.from({ length: 6 }, (_, n) =>
      engine.write(n % 2 ? [touch(1), pause, touch(2)] : [touch(2), pause, touch(1)]),
    );
    expect(await Promise.all(crossing)).toHaveLength(6);
  });

  test("one statement means one", async () => {
    const { engine } = await prepared();
    await expect(engine.write([statement("DELETE FROM t; DELETE FROM t")])).rejects.toMatchObject({
      code: "QUERY_FAILED",
    });
  });

  test("more parameters than the protocol can count are refused before anything is sent", async () => {
    const { engine, url } = await prepared();
    await runAt(url, "CREATE TABLE many (i INT)");
    const insert = (count: number) =>
      statement(
        `INSERT INTO many VALUES ${Array.from({ length: count }, (_, index) => `($${index + 1})`).join(", ")}`,
        ...Array.from({ length: count }, (_, index) => index),
      );
    const refused = { code: "QUERY_FAILED", message: expect.stringContaining("65536 parameters") };
    await expect(engine.write([insert(65_536)])).rejects.toMatchObject(refused);
    await expect(engine.write([insert(1), insert(65_536)])).rejects.toMatchObject(refused);
    await expect(engine.read(insert(65_536))).rejects.toMatchObject(refused);
    await engine.write([insert(65_535)]);
    expect(await engine.read(statement("SELECT count(*) AS n FROM many"))).toEqual([{ n: 65_535 }]);
  });

  test("a statement that opens a transaction does not leave it open", async () => {
    const { engine, url } = await prepared();
    await engine.write([statement("BEGIN")]);
    await engine.write([statement("INSERT INTO t VALUES (1, 'a')")]);
    expect(await runAt(url, "SELECT i FROM t")).toEqual([{ i: 1 }]);
  });

  test("a transaction commits, and rolls back when its work rejects", async () => {
    const { engine } = await prepared();
    const changes = await engine.transaction({ mode: "write" }, async (t) => {
      await t.script("CREATE TABLE u (i int); INSERT INTO u VALUES (1)");
      return t.execute(statement("INSERT INTO u SELECT generate_series(2, 3)"));
    });
    expect(changes).toBe(2);
    const failing = engine.transaction({ mode: "write" }, async (t) => {
      await t.execute(statement("DELETE FROM u"));
      throw new RangeError("of the work");
    });
    await expect(failing).rejects.toThrow(RangeError);
    expect(await engine.read(statement("SELECT count(*) AS n FROM u"))).toEqual([{ n: 3 }]);
  });

  test("a transaction whose failed statement was swallowed does not pretend to have committed", async () => {
    const { engine } = await prepared();
    const swallowing = engine.transaction({ mode: "write" }, async (t) => {
      await t.execute(statement("INSERT INTO t VALUES (1, 'a')"));
      await t.execute(statement("INSERT INTO t VALUES (5000, 'b')")).catch(() => {});
    });
    await expect(swallowing).rejects.toMatchObject({ code: "CONSTRAINT_VIOLATED", details: { constraint: "low" } });
    expect(await engine.read(statement("SELECT * FROM t"))).toEqual([]);
  });

  test("a read transaction sees one snapshot and takes no writes", async () => {
    const { engine } = await prepared();
    const count = statement("SELECT count(*) AS n FROM t");
    await engine.transaction({ mode: "read" }, async (t) => {
      expect(await t.query(count)).toEqual([{ n: 0n }]);
      await engine.write([statement("INSERT INTO t VALUES (1, 'a')")]);
      expect(await t.query(count)).toEqual([{ n: 0n }]);
    });
    await expect(
      engine.transaction({ mode: "read" }, (t) => t.execute(statement("DELETE FROM t"))),
    ).rejects.toMatchObject({
      code: "DATABASE_UNAVAILABLE",
    });
  });

  test("queries of a transaction that are asked for at once run in order", async () => {
    const { engine } = await prepared();
    const rows = await engine.transaction({ mode: "write" }, (t) =>
      Promise.all([1, 2, 3].map((i) => t.query(statement("INSERT INTO t VALUES ($1, 'n' || $2) RETURNING i", i, i)))),
    );
    expect(rows.flat()).toEqual([{ i: 1n }, { i: 2n }, { i: 3n }]);
  });

  test("a wait for a lock ends with the transaction's limit", async () => {
    const { engine } = await prepared();
    await engine.transaction({ mode: "write" }, async (holder) => {
      await holder.script("LOCK TABLE t");
      const waiting = engine.transaction({ mode: "write", timeoutMs: 200 }, (t) =>
        t.execute(statement("DELETE FROM t")),
      );
      await expect(waiting).rejects.toMatchObject({
        retry: true,
        message: expect.stringContaining("nothing was changed"),
      });
    });
  });

  test("the schema is the connection's own", async () => {
    const { engine } = await prepared();
    expect(await engine.schema()).toBe("public");
  });

  test("what is missing is named", async () => {
    const { engine } = await prepared();
    await expect(engine.read(statement("SELECT * FROM nowhere"))).rejects.toMatchObject({
      code: "SCHEMA_MISSING",
      table: "nowhere",
      message: expect.stringContaining("dualdb migrate"),
    });
    for (const text of ["SELECT lacking FROM t", "SELECT t.lacking FROM t", "UPDATE t SET lacking = 1"]) {
      await expect(engine.write([statement(text)])).rejects.toMatchObject({
        code: "SCHEMA_MISSING",
        column: expect.stringContaining("lacking"),
      });
    }
  });

  test("a schema from before the check is named too", async () => {
    const { engine, url } = await prepared();
    await runAt(url, "DROP FUNCTION dualdb_require_primary");
    await expect(engine.read(statement("SELECT 1"), { asPrimary: true })).rejects.toMatchObject({
      code: "SCHEMA_MISSING",
      message: expect.stringContaining("function dualdb_require_primary"),
    });
    await expect(engine.read(statement("SELECT no_such_function()"))).rejects.toMatchObject({ code: "QUERY_FAILED" });
  });

  test("a refused row names table and column, never its value", async () => {
    const { engine } = await prepared();
    await engine.transaction({ mode: "write" }, (t) =>
      t.script("CREATE TABLE n (i int NOT NULL, long text); CREATE INDEX ON n (long)"),
    );
    await expect(engine.write([statement("INSERT INTO n VALUES ($1)", null)])).rejects.toMatchObject({
      code: "CONSTRAINT_VIOLATED",
      table: "n",
      column: "i",
    });
    const noise = Array.from({ length: 9000 }, (_, index) => Math.sin(index).toString(36).slice(3, 9)).join("");
    await expect(engine.write([statement("INSERT INTO n VALUES (1, $1)", noise)])).rejects.toMatchObject({
      code: "VALUE_REFUSED",
      details: { sqlState: "54000" },
    });
  });

  test("closing twice is fine, and using it afterwards is an error", async () => {
    const { engine } = await prepared();
    await engine.read(statement("SELECT 1"));
    await Promise.all([engine.close(), engine.close()]);
    await engine.close();
    await expect(engine.read(statement("SELECT 1"))).rejects.toMatchObject({ code: "DATABASE_CLOSED" });
    const unused = open(await freshPostgres(server));
    await unused.close();
    await expect(unused.write([statement("SELECT 1")])).rejects.toMatchObject({ code: "DATABASE_CLOSED" });
  });
});
