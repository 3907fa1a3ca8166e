import { describe, expect, test } from "vitest";
import { runAt } from "../support/postgres.js";
import { counts, databases, numbers } from "../support/strangers.js";

/** PostgreSQL notes which of its sessions has brought a row; `mood` can make it fail in a way that no row is to blame for. */
const there = `
  CREATE FUNCTION mood(id bigint) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN true; END $$;
  CREATE TABLE items (id bigint PRIMARY KEY CHECK (mood(id)), name text, session int NOT NULL DEFAULT pg_backend_pid())`;

const rows = 8_000;

function lanes() {
  return databases(
    `CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT); ${numbers(rows)} INSERT INTO items SELECT i, 'item ' || i FROM n`,
    there,
  );
}

const sessions = (url: string) => runAt(url, "SELECT session FROM items GROUP BY session");

describe("a table that is copied on two connections", () => {
  test("has rows from both", async () => {
    const both = await lanes();
    expect(counts(await both.copy({ batchSize: 500 }))).toEqual([["items", rows, rows, 0, 0, 0]]);
    expect(await sessions(both.url)).toHaveLength(2);
  });

  test.each([
    ["a unique key beside the first", "ALTER TABLE items ADD UNIQUE (name)"],
    [
      "a trigger",
      "CREATE TRIGGER note BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    ],
  ])("is not one with %s, whose rows may be in each other's way", async (_what, change) => {
    const both = await lanes();
    await runAt(both.url, change.replace("INSERT", "UPDATE"));
    expect(counts(await both.copy({ batchSize: 500 }))).toEqual([["items", rows, rows, 0, 0, 0]]);
    expect(await sessions(both.url)).toHaveLength(1);
  });

  test("is not one in parts, which may have unique keys of their own", async () => {
    const both = await databases(
      `CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT); ${numbers(2_000)} INSERT INTO items SELECT i, 'item ' || i FROM n`,
      `CREATE TABLE items (id bigint PRIMARY KEY, name text, session int NOT NULL DEFAULT pg_backend_pid()) PARTITION BY RANGE (id);
       CREATE TABLE items_all PARTITION OF items DEFAULT; CREATE UNIQUE INDEX ON items_all (name)`,
    );
    expect(counts(await both.copy({ batchSize: 200 }))).toEqual([["items", 2_000, 2_000, 0, 0, 0]]);
    expect(await sessions(both.url)).toHaveLength(1);
  });

  test("an error on one of them ends both, whole batches stay, and the next run ends exact", async () => {
    const both = await lanes();
    const failing = (condition: string) =>
      runAt(
        both.url,
        `CREATE OR REPLACE FUNCTION mood(id bigint) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
           IF ${condition} THEN RAISE EXCEPTION 'not now' USING ERRCODE = 'lock_not_available'; END IF; RETURN true; END $$`,
      );
    await failing("id = 3777");
    await expect(both.copy({ batchSize: 500 })).rejects.toMatchObject({ code: "DATABASE_BUSY" });
    const others =
      "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
    expect(await runAt(both.url, others)).toEqual([]);
    const batches = await runAt(both.url, "SELECT (id - 1) / 500 AS batch, count(*)::int AS n FROM items GROUP BY 1");
    expect(batches.filter(({ n }) => n !== 500)).toEqual([]);
    expect(batches.length).toBeGreaterThanOrEqual(5);
    expect(batches.length).toBeLessThan(12);
    expect(batches.map(({ batch }) => Number(batch))).not.toContain(7);
    await failing("false");
    const there = batches.length * 500;
    expect(counts(await both.copy({ batchSize: 500 }))).toEqual([["items", rows, rows - there, there, 0, 0]]);
    await both.expectEqual();
  });
});
