import { describe, expect, test } from "vitest";
import { DualDbError } from "../../src/errors.js";
import { sql } from "../../src/index.js";
import { copy } from "../../src/migrate/copy.js";
import { doctor } from "../../src/migrate/doctor.js";
import { verify } from "../../src/migrate/verify.js";
import { found } from "../support/differences.js";
import { script } from "../support/libsql.js";
import { TestPair, until } from "../support/pair.js";
import { runAt } from "../support/postgres.js";
import { Recorder } from "../support/recorder.js";

/** A pair that shares a table of events, whose times SQLite counts. */
async function withEvents(rows = "") {
  const pair = await TestPair.create();
  await runAt(pair.url, "CREATE TABLE ev (id bigint PRIMARY KEY, at timestamptz)");
  await (await pair.open("---")).close();
  await script(await pair.sqlite, `CREATE TABLE ev (id INTEGER PRIMARY KEY, at INTEGER); ${rows}`);
  return pair;
}

const timesOn = async (pair: TestPair) =>
  (await pair.rows("postgres", "SELECT extract(epoch FROM at)::bigint::text AS at FROM ev ORDER BY id")).map(
    ({ at }) => at,
  );

const epochs = { MIGRATION_EPOCHS: "ev.at=s" };

describe("numbers for times in a column that was empty when the process opened", () => {
  test("are not guessed from one row, and go, the first one with them, as soon as there are two", async () => {
    const pair = await withEvents();
    const logger = new Recorder();
    const database = await pair.open("--S", { logger });
    await database.write(sql`INSERT INTO ev VALUES (1, 1704103200)`);
    await until("the row is refused", () => logger.of("refused").length > 0);
    expect(logger.of("refused").map(({ fields }) => fields)).toMatchObject([
      { table: "ev", key: "1", column: "at", reason: expect.stringContaining("MIGRATION_EPOCHS=TABLE.COLUMN=s") },
    ]);
    expect(logger.text).not.toContain("--epoch");
    expect(await timesOn(pair)).toEqual([]);
    await until(
      "the row is set aside",
      async () => Number((await pair.rows("sqlite", "SELECT attempts FROM dualdb_journal"))[0]?.attempts) === 5,
    );
    await database.write(sql`INSERT INTO ev VALUES (2, 1704103201)`);
    await until("both rows are there", async () => (await timesOn(pair)).length === 2);
    await pair.expectConverged(database);
    expect(await timesOn(pair)).toEqual(["1704103200", "1704103201"]);
  });

  test("wait for somebody who says what they count, where they may be anything", async () => {
    const pair = await withEvents("INSERT INTO ev VALUES (1, 5), (2, 6), (3, 7)");
    const forward = await pair.open("--S");
    await until("all are set aside", async () => (await forward.drain()).quarantined === 3);
    await forward.close();
    const refused = await pair.open("P-S").catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(DualDbError);
    expect(refused).toMatchObject({ code: "FLIP_REFUSED", message: expect.stringContaining("MIGRATION_EPOCHS") });
    expect(String(refused)).not.toContain("--epoch");
    const told = await pair.open("P-S", { env: epochs });
    expect(await timesOn(pair)).toEqual(["5", "6", "7"]);
    await told.write(sql`UPDATE ev SET at = to_timestamp(8) WHERE id = 1`);
    await told.write(sql`INSERT INTO ev VALUES (4, to_timestamp(9))`);
    expect(await told.drain()).toEqual({ pending: 0, quarantined: 0 });
    expect(await pair.rows("sqlite", "SELECT at, typeof(at) AS type FROM ev ORDER BY id")).toEqual(
      [8, 6, 7, 9].map((at) => ({ at, type: "integer" })),
    );
  });
});

describe("MIGRATION_EPOCHS", () => {
  test("holds for the commands, whose --epoch goes before it", async () => {
    const pair = await withEvents("INSERT INTO ev VALUES (1, 5)");
    const tables = ["ev"];
    const silent = await doctor({ env: pair.env("---"), tables });
    expect(silent.findings).toMatchObject([{ action: "refused", count: 1 }]);
    const env = pair.env("---", epochs);
    expect((await doctor({ env, tables })).findings).toEqual([]);
    expect((await copy({ env, tables })).tables).toMatchObject([{ written: 1 }]);
    expect(await timesOn(pair)).toEqual(["5"]);
    expect(found(await verify({ env, tables }))).toEqual([]);
    const milliseconds = new Map([["ev.at", "milliseconds"]] as const);
    expect(found(await verify({ env, tables, epochs: milliseconds }))).toEqual(["different 1 at"]);
    // Said of a table that is not looked at.
    expect((await doctor({ env, tables: ["documents"] })).findings).toEqual([]);
  });

  test("that names no column of times stops a command, and is the problem of an application that goes on", async () => {
    const pair = await withEvents();
    const more = { MIGRATION_EPOCHS: "ev.id=s" };
    const message = expect.stringContaining("ev.id");
    await expect(copy({ env: pair.env("---", more) })).rejects.toMatchObject({ code: "CONFIG_INVALID", message });
    const database = await pair.open("--S", { env: more });
    await database.write(sql`INSERT INTO ev VALUES (1, 1704103200)`);
    await until("the relay says so", async () => (await database.status()).problem !== null);
    expect((await database.status()).problem).toMatchObject({ code: "CONFIG_INVALID", message });
  });
});
