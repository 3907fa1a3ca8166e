import { copyFileSync, existsSync, renameSync, rmSync } from "node:fs";
import { basename } from "node:path";
import { describe, expect, test } from "vitest";
import { migrate } from "../../src/migrate/migrate.js";
import { rearm } from "../../src/migrate/rearm.js";
import { migrationStatus } from "../../src/migrate/status.js";
import { arm } from "../../src/shadow/arm.js";
import { freshPostgres } from "../support/databases.js";
import { speaker, TestPair } from "../support/pair.js";
import { runAt } from "../support/postgres.js";

const say = (messageContent: string) => ({ ...speaker, messageContent });

/** SQLite's file as it was in the shadow's days, put back after PostgreSQL has been primary, and has been written to. */
async function restored() {
  const pair = await TestPair.create();
  const shadowed = await pair.open("--S");
  const kept = await shadowed.messageService.saveHumanMessage(say("before"));
  await shadowed.drain();
  await shadowed.close();
  copyFileSync(pair.file, `${pair.file}.backup`);
  const primary = await pair.open("P-S");
  const late = await primary.messageService.saveHumanMessage(say("after"));
  await primary.drain();
  await primary.close();
  for (const ending of ["", "-wal", "-shm"]) rmSync(`${pair.file}${ending}`, { force: true });
  renameSync(`${pair.file}.backup`, pair.file);
  return { pair, kept, late };
}

describe("an older SQLite file that was put back while PostgreSQL is primary", () => {
  test.each(["--S", "-RS", "P--", "P-S"])("is refused with %s, and nothing is changed", async (letters) => {
    const { pair } = await restored();
    const refused = { code: "PAIR_MISMATCH", message: expect.stringContaining("dualdb rearm --primary postgres") };
    await expect(pair.open(letters)).rejects.toMatchObject(refused);
    await expect(arm(await pair.sqlite, pair.postgres, Date.now)).rejects.toMatchObject(refused);
    await expect(migrate({ env: pair.env(letters) })).rejects.toMatchObject(refused);
    expect(await pair.primaries()).toEqual({ sqlite: "sqlite", postgres: "postgres" });
    expect(await pair.count("postgres", "messages")).toBe(2);
  });

  test("is refused also where somebody has taken the pair's mark off both sides", async () => {
    const { pair } = await restored();
    await runAt(pair.url, "UPDATE dualdb_state SET pair_id = NULL");
    const sqlite = await pair.sqlite;
    await sqlite.write([{ sql: "UPDATE dualdb_state SET pair_id = NULL", text: "", values: [] }]);
    await expect(pair.open("P-S")).rejects.toMatchObject({ code: "PAIR_MISMATCH" });
    expect(await pair.count("postgres", "messages")).toBe(2);
  });

  test("becomes the partner again with PostgreSQL's rows", async () => {
    const { pair, late } = await restored();
    const options = { env: pair.env("P-S"), primary: "postgres" as const };
    await expect(rearm({ ...options, confirm: "something" })).rejects.toMatchObject({ code: "VALIDATION_FAILED" });
    const report = await rearm({ ...options, confirm: basename(pair.file) });
    expect(report).toMatchObject({ primary: "postgres", created: null, unmirrored: [], owed: 2 });
    expect(report.armed).toHaveLength(6);
    const database = await pair.open("P-S");
    await pair.expectConverged(database);
    expect(await database.messageService.getMessageById(late)).toMatchObject({ message_content: "after" });
    expect(await pair.count("sqlite", "messages")).toBe(2);
    await database.close();
    await pair.expectConverged(await pair.open("--S"));
  });

  test("becomes the partner again with its own rows, if somebody says so", async () => {
    const { pair, kept } = await restored();
    const confirm = new URL(pair.url).pathname.slice(1);
    expect(await rearm({ env: pair.env("--S"), primary: "sqlite", confirm })).toMatchObject({ primary: "sqlite" });
    const database = await pair.open("--S");
    await pair.expectConverged(database);
    expect(await pair.rows("postgres", "SELECT id FROM messages")).toEqual([{ id: kept }]);
  });
});

test("a PostgreSQL that was restored from before the change of the primary gets SQLite's rows", async () => {
  const pair = await TestPair.create();
  const shadowed = await pair.open("--S");
  await shadowed.messageService.saveHumanMessage(say("one"));
  await shadowed.drain();
  await shadowed.close();
  const back = await pair.open("P-S");
  await back.messageService.saveHumanMessage(say("two"));
  await back.drain();
  await back.close();
  await runAt(
    pair.url,
    `UPDATE dualdb_state SET "primary" = 'sqlite', wanted = 'sqlite', pair_id = 'another'; DROP TABLE messages CASCADE`,
  );
  await expect(pair.open("P-S")).rejects.toMatchObject({ retry: false });
  await runAt(pair.url, "DELETE FROM schema_migrations");
  await migrate({ env: pair.env("---"), only: "postgres" });
  const confirm = new URL(pair.url).pathname.slice(1);
  await rearm({ env: pair.env("---"), primary: "sqlite", confirm });
  await pair.expectConverged(await pair.open("--S"));
  expect(await pair.count("postgres", "messages")).toBe(2);
});

test("a PostgreSQL that is lost while it was primary is made anew, after a word, with SQLite's rows", async () => {
  const pair = await TestPair.create();
  const primary = await pair.open("P-S");
  await primary.messageService.saveHumanMessage(say("one"));
  await primary.drain();
  await primary.close();
  const url = await freshPostgres();
  const env = pair.env("---", { DATABASE_URL: url });
  await expect(migrate({ env })).rejects.toMatchObject({
    code: "PAIR_MISMATCH",
    message: expect.stringContaining("dualdb migrate --only postgres, then dualdb rearm --primary sqlite"),
  });
  expect(await runAt(url, "SELECT to_regclass('schema_migrations') AS t")).toEqual([{ t: null }]);
  await migrate({ env, only: "postgres" });
  await rearm({ env, primary: "sqlite", confirm: new URL(url).pathname.slice(1) });
  const shadowed = await pair.open("--S", { env: { DATABASE_URL: url } });
  expect(await shadowed.drain()).toEqual({ pending: 0, quarantined: 0 });
  expect(await runAt(url, "SELECT message_content FROM messages")).toEqual([{ message_content: "one" }]);
});

test("a SQLite file that is lost is made anew beside a PostgreSQL that is primary, which is said until then", async () => {
  const pair = await TestPair.create();
  const primary = await pair.open("P-S");
  await primary.messageService.saveHumanMessage(say("one"));
  await primary.close();
  for (const ending of ["", "-wal", "-shm"]) rmSync(`${pair.file}${ending}`, { force: true });
  const alone = await pair.open("P-S");
  const { problem, effective } = await alone.status();
  expect(effective).toBe("postgres");
  expect(problem).toMatchObject({ code: "DATABASE_UNAVAILABLE" });
  expect(problem?.message).toContain("dualdb rearm --primary postgres");
  await alone.close();
  expect(existsSync(pair.file)).toBe(false);
  const options = { env: pair.env("P-S"), primary: "postgres" as const, confirm: basename(pair.file) };
  expect(await rearm(options)).toMatchObject({ created: pair.file, owed: 1 });
  expect(await rearm(options)).toMatchObject({ created: null, owed: 1 });
  await pair.expectConverged(await pair.open("P-S"));
  expect(await pair.count("sqlite", "messages")).toBe(1);
  expect((await migrationStatus({ env: pair.env("P-S") })).primary).toBe("postgres");
});

test("a pair that was finalized stays so", async () => {
  const pair = await TestPair.create();
  await (await pair.open("P-S")).close();
  await runAt(pair.url, "UPDATE dualdb_state SET finalized = TRUE");
  const options = { env: pair.env("P--"), primary: "postgres" as const, confirm: basename(pair.file) };
  await expect(rearm(options)).rejects.toMatchObject({ code: "FINALIZED" });
});
