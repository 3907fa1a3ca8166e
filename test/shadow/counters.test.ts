import { expect, test } from "vitest";
import { openPostgres } from "../../src/engines/postgres.js";
import { silentLogger } from "../../src/logger.js";
import { advance, countersOf, givenByPostgres } from "../../src/shadow/counters.js";
import { freshPostgres } from "../support/databases.js";
import { runAt } from "../support/postgres.js";
import { configOf } from "../support/postgres-config.js";
import { freshRole } from "../support/role.js";

const table = {
  name: "tickets",
  columns: [{ name: "id", kind: "bigint" as const, notNull: true }],
  key: ["id"],
  uniques: [],
  foreignKeys: [],
};

test("a counter that the user may not ask has given nothing that could be told, and ends nothing", async () => {
  const url = await freshPostgres();
  await runAt(url, "CREATE TABLE tickets (id serial PRIMARY KEY); INSERT INTO tickets DEFAULT VALUES");
  const role = await freshRole(url, "GRANT SELECT ON tickets TO ROLE");
  const givenTo = async (user: string) => {
    const postgres = openPostgres({ config: configOf(user), logger: silentLogger });
    try {
      return await postgres.transaction({ mode: "read" }, (transaction) => givenByPostgres(transaction, [table]));
    } finally {
      await postgres.close();
    }
  };
  expect(await givenTo(url)).toEqual(new Map([["tickets", 1n]]));
  expect(await givenTo(role.url)).toEqual(new Map());
});

test("a counter of a table without a row stays where it is", async () => {
  const url = await freshPostgres();
  await runAt(url, "CREATE TABLE tickets (id serial PRIMARY KEY)");
  const postgres = openPostgres({ config: configOf(url), logger: silentLogger });
  await postgres.transaction({ mode: "write" }, async (transaction) => {
    expect(await advance(transaction, await countersOf(transaction, [table]))).toEqual([]);
  });
  await postgres.close();
  expect(await runAt(url, "INSERT INTO tickets DEFAULT VALUES RETURNING id")).toEqual([{ id: 1 }]);
});
