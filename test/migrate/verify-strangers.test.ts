import { setTimeout as sleep } from "node:timers/promises";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import type { Engine, Statement } from "../../src/engines/engine.js";
import { openPostgres } from "../../src/engines/postgres.js";
import { silentLogger } from "../../src/logger.js";
import type { ReachedLook } from "../../src/migrate/verify/settling.js";
import { type VerifyOptions, type VerifyReport, verifyWith } from "../../src/migrate/verify.js";
import { freshPostgres, freshSqlite } from "../support/databases.js";
import { found } from "../support/differences.js";
import { openAt, script } from "../support/libsql.js";
import { configOf } from "../support/postgres-config.js";

const rows = 400;

let sqlite: Engine;
let postgres: Engine;
let compare: (more?: VerifyOptions, reached?: ReachedLook) => Promise<VerifyReport>;

/** Two databases that are no pair, with the same rows. */
beforeEach(async () => {
  const file = freshSqlite();
  const url = await freshPostgres();
  sqlite = await openAt(file);
  postgres = openPostgres({ config: configOf(url), logger: silentLogger });
  onTestFinished(async () => {
    await Promise.all([sqlite.close(), postgres.close()]);
  });
  for (const engine of [sqlite, postgres])
    await script(
      engine,
      `CREATE TABLE items (id BIGINT PRIMARY KEY, n BIGINT); CREATE TABLE log (line TEXT);
       INSERT INTO items WITH RECURSIVE i (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM i WHERE n < ${rows - 1}) SELECT n, 0 FROM i`,
    );
  compare = (more = {}, reached = () => undefined) =>
    verifyWith({ env: {}, sqlite: file, postgres: url, settleMs: 500, ...more }, reached);
});

function statement(text: string): Statement {
  return { sql: text, text, values: [] };
}

/** Inserts, updates and deletes until `stop`; row 7 of every ten is left alone, and no row ever becomes again what it was. */
function eightWriters(put: (statement: Statement) => Promise<void>): { stop(): Promise<void> } {
  let isOver = false;
  const write = async (writer: number) => {
    for (let turn = 0; !isOver; turn++) {
      const id = 10 * ((turn * 7 + writer * 5) % (rows / 10)) + (writer < 7 ? writer : 8);
      if (turn % 4 === 3) await put(statement(`DELETE FROM items WHERE id = ${id}`));
      else
        await put(
          statement(`INSERT INTO items VALUES (${id}, ${turn + 1}) ON CONFLICT (id) DO UPDATE SET n = excluded.n`),
        );
      await put(statement(`INSERT INTO log VALUES ('${writer} ${turn}')`));
    }
  };
  const running = Promise.all(Array.from({ length: 8 }, (_, writer) => write(writer)));
  // A failure is met where it is waited for.
  running.catch(() => undefined);
  return {
    async stop() {
      isOver = true;
      await running;
    },
  };
}

/** What is stated as certain. */
const certain = (report: VerifyReport) => found(report).filter((text) => !text.startsWith("owed "));

test("an application that writes to both: what is on its way is no difference, and every other one is named", async () => {
  const onTheirWay = new Set<Promise<unknown>>();
  const writers = eightWriters(async (change) => {
    await sqlite.write([change]);
    const arriving = sleep(20).then(() => postgres.write([change]));
    onTheirWay.add(arriving);
    await arriving;
    onTheirWay.delete(arriving);
  });
  // However slow the machine is: what a look has seen on its way has arrived before the next one.
  const arrived = async () => {
    await Promise.all(onTheirWay);
  };
  for (let round = 0; round < 2; round++) {
    const report = await compare({}, arrived);
    expect(certain(report)).toEqual([]);
    expect(report.keyless.map(({ same }) => same)).not.toContain(false);
  }
  await postgres.write(
    [
      "DELETE FROM items WHERE id = 17",
      "UPDATE items SET n = -1 WHERE id = 27",
      "INSERT INTO items VALUES (9999, 0)",
    ].map(statement),
  );
  const planted = ["different 27 n", "extra 9999", "missing 17"];
  expect(certain(await compare({}, arrived))).toEqual(planted);
  await writers.stop();
  const report = await compare();
  expect(found(report)).toEqual(planted);
  expect(report.keyless).toMatchObject([{ same: true }]);
});

test("rows that arrive between two looks are no difference, in a table without a key neither", async () => {
  const late = ["UPDATE items SET n = 1 WHERE id = 5", "INSERT INTO log VALUES ('late')"].map(statement);
  await sqlite.write(late);
  let looks = 0;
  const report = await compare({}, async () => {
    looks += 1;
    const [change] = late.splice(0, 1);
    if (change !== undefined) await postgres.write([change]);
  });
  expect(looks).toBe(2);
  expect(report).toMatchObject({ tables: [{ equal: rows, different: 0 }], keyless: [{ same: true }] });
});

test("an application that writes to one side alone: what differs is named, a row that keeps changing is owed, the rest is equal", async () => {
  const touched = new Set(["17", "97"]);
  const writers = eightWriters(async (change) => {
    const [, id] = /items\D*(\d+)/.exec(change.sql) ?? [];
    if (id !== undefined) touched.add(id);
    await sqlite.write([change]);
    await sleep(20);
  });
  const restless = async () => {
    await postgres.write([statement("UPDATE items SET n = n - 1 WHERE id = 97")]);
  };
  await restless();
  await postgres.write([statement("DELETE FROM items WHERE id = 17")]);
  const tables = ["items"];
  for (const from of ["sqlite", "postgres"] as const) {
    const named = found(await compare({ from, tables }, restless));
    expect(named).toContain(from === "sqlite" ? "missing 17" : "extra 17");
    expect(named).toContain("owed 97");
    expect(named.filter((text) => !touched.has(text.split(" ")[1] ?? ""))).toEqual([]);
  }
  await writers.stop();
  const left = new Set((await sqlite.read(statement("SELECT id FROM items"))).map(({ id }) => String(id)));
  touched.delete("17");
  const apart = [...touched].map((id) => (left.has(id) ? `different ${id} n` : `extra ${id}`));
  expect(found(await compare({ tables }))).toEqual(["missing 17", ...apart].sort());
});
