import pg from "pg";
import { afterEach, describe, expect, onTestFinished, test } from "vitest";
import { wrapText } from "../../src/data/conversion/wrapper.js";
import type { PostgresEngine, ReadOptions, Statement } from "../../src/engines/engine.js";
import { openPostgres } from "../../src/engines/postgres.js";
import { primaryCondition } from "../../src/engines/postgres-primary.js";
import { silentLogger } from "../../src/logger.js";
import { freshPostgres, postgresServers } from "../support/databases.js";
import { runAt } from "../support/postgres.js";
import { configOf, withState } from "../support/postgres-config.js";

const engines: PostgresEngine[] = [];

afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.close()));
});

function statement(text: string, ...values: unknown[]): Statement {
  return { sql: text, text, values };
}

/** One with the condition within, as the services make them. */
function lookup(text: string, ...values: unknown[]): Statement {
  return { ...statement(text, ...values), textAsPrimary: `${text} AND ${primaryCondition}` };
}

const columns = [
  { name: "id", kind: "text", notNull: true },
  { name: "small", kind: "integer", notNull: false },
  { name: "large", kind: "bigint", notNull: false },
  { name: "ratio", kind: "real", notNull: false },
  { name: "flag", kind: "boolean", notNull: false },
  { name: "json", kind: "json", notNull: false },
] as const;
const everything = "SELECT id, small, large, ratio, flag, json FROM t";

async function prepared(server: string, primary: "sqlite" | "postgres" = "postgres") {
  const url = await freshPostgres(server);
  await withState(url, primary);
  await runAt(
    url,
    "CREATE TABLE t (id text PRIMARY KEY, small int, large bigint, ratio double precision, flag boolean, json jsonb)",
  );
  const engine = openPostgres({ config: configOf(url, { poolSize: 1 }), logger: silentLogger });
  engines.push(engine);
  return { url, engine };
}

describe.each(postgresServers)("a SELECT of known columns on $name", ({ url: server }) => {
  test.each<ReadOptions>([{}, { asPrimary: true }])("gives what one that is described gives: %j", async (options) => {
    const { engine, url } = await prepared(server);
    await runAt(
      url,
      `INSERT INTO t VALUES ('', 0, 9007199254740991, 0.1, true, '{"b": [1, 12345678901234567890]}'), ('é😀', -5, -1, 1e300, false, $1),
       ('nothing', NULL, NULL, NULL, NULL, NULL), ('extremes', 2147483647, 0, 'Infinity', true, '"t"'), ('text', 1, 1, 'NaN', NULL, '[]')`,
      [wrapText("no {json")],
    );
    await runAt(
      url,
      "INSERT INTO t SELECT 'row ' || i, i, i, i / 7.0, i % 2 = 0, '{}' FROM generate_series(1, 500) AS i",
    );
    const ordered = statement(`${everything} ORDER BY id`);
    const rows = await engine.read(ordered, { ...options, columns });
    expect(rows).toHaveLength(505);
    expect(rows).toEqual(await engine.read(ordered, options));
    expect(rows.find(({ id }) => id === "é😀")).toMatchObject({ json: "no {json", flag: 0, ratio: 1e300 });
    expect(await engine.read(statement(`${everything} WHERE id = 'nobody'`), { ...options, columns })).toEqual([]);
  });

  test("takes values of every kind", async () => {
    const { engine, url } = await prepared(server);
    await runAt(url, "INSERT INTO t (id, small, large, ratio, flag) VALUES ('a', 1, 5000000000, 0.5, true)");
    const found = async (condition: string, ...values: unknown[]) =>
      (await engine.read(statement(`${everything} WHERE ${condition}`, ...values), { columns })).length;
    expect(await found("id = $1 AND $2::text IS NULL", "a", null)).toBe(1);
    expect(await found("small = $1 AND ratio = $2", 1, 0.5)).toBe(1);
    expect(await found("large = $1 AND flag = $2", 5_000_000_000n, true)).toBe(1);
    expect(await found("id = ANY($1::text[])", ["a", "b,{}"])).toBe(1);
    expect(await found("decode('00ff', 'hex') = $1", new Uint8Array([0, 255]))).toBe(1);
  });

  test("names the column of an integer that a number cannot hold, and leaves the connection of use", async () => {
    const { engine, url } = await prepared(server);
    await runAt(url, "INSERT INTO t (id, large) VALUES ('a', 9007199254740993)");
    const refused = { code: "VALUE_REFUSED", column: "large" };
    await expect(engine.read(statement(everything), { columns })).rejects.toMatchObject(refused);
    expect(await engine.read(statement(`${everything} WHERE id = 'b'`), { columns })).toEqual([]);
  });

  test("fails like any other", async () => {
    const { engine } = await prepared(server);
    const failing = (text: string, options: ReadOptions = {}) =>
      engine.read(statement(text), { columns, ...options }).then(
        () => "no error",
        (error: unknown) => error,
      );
    expect(await failing("SELECT id FROM nowhere")).toMatchObject({ code: "SCHEMA_MISSING", table: "nowhere" });
    expect(await failing(`${everything} WHERE small = 1 / length('')`)).toMatchObject({ code: "VALUE_REFUSED" });
    expect(engine.statistics()).toMatchObject({ connections: 1, idle: 1 });
    const slow = await failing(`${everything}, pg_sleep(5)`, { timeoutMs: 100 });
    expect(slow).toMatchObject({ code: "DATABASE_UNAVAILABLE" });
    expect(await engine.read(statement(everything), { columns })).toEqual([]);
  });

  test("that gives other columns than its caller named is an error and no wrong row", async () => {
    const { engine, url } = await prepared(server);
    await runAt(url, "INSERT INTO t (id) VALUES ('a')");
    const other = engine.read(statement("SELECT id FROM t"), { columns });
    await expect(other).rejects.toMatchObject({ code: "QUERY_FAILED" });
    expect(engine.statistics()).toMatchObject({ connections: 1, idle: 1 });
    expect(await engine.read(statement(everything), { columns })).toHaveLength(1);
  });
});

describe.each(postgresServers)("a SELECT with the condition within on $name", ({ url: server }) => {
  test.each(["id = $1", "id = $1 AND flag", "length(id) < length($1)", "id IN (SELECT id FROM t WHERE id = $1)"])(
    "is refused elsewhere, with a row and without: %s",
    async (condition) => {
      const { engine, url } = await prepared(server, "sqlite");
      await runAt(url, "INSERT INTO t (id, flag) VALUES ('a', true)");
      const read = (id: string) =>
        engine.read(lookup(`${everything} WHERE ${condition}`, id), { asPrimary: true, columns });
      for (const id of ["a", "nobody"]) await expect(read(id)).rejects.toMatchObject({ code: "NOT_PRIMARY" });
      await runAt(url, `UPDATE dualdb_state SET "primary" = 'postgres'`);
      const found = [...(await read("a")), ...(await read("nobody"))];
      expect(found.map(({ id }) => id)).toEqual(["a"]);
    },
  );

  test("is settled once, not with every row", async () => {
    const { url } = await prepared(server);
    const plan = await runAt(url, `EXPLAIN ${everything} WHERE flag AND ${primaryCondition}`);
    const settled = expect.stringContaining(`One-Time Filter: ${primaryCondition}`);
    expect(plan.map((line) => line["QUERY PLAN"])).toContainEqual(settled);
  });

  test("never answers from the time when SQLite was primary", async () => {
    const { engine, url } = await prepared(server);
    await runAt(url, "INSERT INTO t (id, small) VALUES ('a', 0)");
    const flips = new pg.Client({ connectionString: url });
    await flips.connect();
    onTestFinished(() => flips.end());
    const answers = { fresh: 0, refused: 0, stale: 0 };
    const read = async () => {
      const [row] = await engine.read(lookup(`${everything} WHERE id = $1`, "a"), { asPrimary: true, columns });
      answers[row?.small === 0 ? "fresh" : "stale"] += 1;
    };
    let flipping = true;
    const reading = (async () => {
      while (flipping) {
        await read().catch((error: unknown) => {
          expect(error).toMatchObject({ code: "NOT_PRIMARY" });
          answers.refused += 1;
        });
      }
    })();
    for (let flip = 0; flip < 300; flip++) {
      await flips.query(`BEGIN; UPDATE dualdb_state SET "primary" = 'sqlite'; UPDATE t SET small = 1; COMMIT`);
      await flips.query(`BEGIN; UPDATE t SET small = 0; UPDATE dualdb_state SET "primary" = 'postgres'; COMMIT`);
    }
    flipping = false;
    await reading;
    expect(answers.stale).toBe(0);
    expect(Math.min(answers.fresh, answers.refused)).toBeGreaterThan(0);
  });
});
