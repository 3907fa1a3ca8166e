import { existsSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { createClient } from "@libsql/client";
import { describe, expect, test } from "vitest";
import { run } from "../../src/cli/program.js";
import { sql } from "../../src/index.js";
import { finalize, finalizeWith } from "../../src/migrate/finalize.js";
import { migrationStatus } from "../../src/migrate/status.js";
import { disarm } from "../../src/shadow/disarm.js";
import { freshDirectory, freshSqlite } from "../support/databases.js";
import { speaker, type TestPair } from "../support/pair.js";
import { runAt } from "../support/postgres.js";
import { Recorder } from "../support/recorder.js";
import { travelledPair } from "../support/travel.js";

const nameOf = (pair: TestPair) => new URL(pair.url).pathname.slice(1);
const say = (messageContent: string) => ({ ...speaker, messageContent });

function finalizing(pair: TestPair, more: { readonly confirm?: string; readonly directory?: string } = {}) {
  return { env: pair.env("P-S"), confirm: nameOf(pair), directory: freshDirectory(), ...more };
}

/** Tables, triggers and functions of ours on both sides; the search index of SQLite needs one of the tables. */
async function leftovers(pair: TestPair) {
  const client = createClient({ url: `file:${pair.file}` });
  const { rows } = await client.execute("SELECT name FROM sqlite_schema WHERE name LIKE 'dualdb%' ORDER BY name");
  client.close();
  const there = await runAt(
    pair.url,
    `SELECT relname::text AS name FROM pg_class WHERE relname IN ('dualdb_journal', 'dualdb_version')
     UNION SELECT proname FROM pg_proc WHERE proname LIKE 'dualdb%' UNION SELECT tgname FROM pg_trigger WHERE NOT tgisinternal`,
  );
  return { sqlite: rows.map(({ name }) => name), postgres: there.map(({ name }) => name) };
}

const nothingLeft = {
  sqlite: ["dualdb_conflicts", "dualdb_messages_replaced", "dualdb_state"],
  postgres: ["dualdb_require_primary"],
};

describe("finalize", () => {
  test("exports, disarms both sides, and PostgreSQL goes on alone, SQLite's file gone", async () => {
    const pair = await travelledPair("P-S");
    const options = finalizing(pair);
    const report = await finalize(options);
    expect(report).toMatchObject({
      already: false,
      exported: { directory: options.directory, source: { side: "sqlite" } },
    });
    expect(report.checks.every(({ ok }) => ok === true)).toBe(true);
    expect(report.exported?.tables).toContainEqual(
      expect.objectContaining({ table: "messages", rows: 3, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) }),
    );
    expect(readdirSync(options.directory)).toContain("_metadata.json");
    expect(await leftovers(pair)).toEqual(nothingLeft);

    const accessed = statSync(pair.file).mtimeMs;
    const logger = new Recorder();
    const bot = await pair.open("P-S", { logger });
    const id = await bot.messageService.saveHumanMessage(say("goes on"));
    expect(await bot.messageService.getMessageById(id)).toMatchObject({ message_content: "goes on" });
    await bot.write(sql`DELETE FROM messages WHERE id = ${id}`);
    expect(await bot.status()).toMatchObject({
      effective: "postgres",
      sqlite: null,
      relay: null,
      postgres: { reachable: true, state: { finalized: true } },
    });
    expect(await bot.drain()).toEqual({ pending: 0, quarantined: 0 });
    await bot.close();
    expect(logger.of("finalized")).toHaveLength(1);
    expect(logger.lines.filter(({ level }) => level === "error")).toEqual([]);
    expect(statSync(pair.file).mtimeMs).toBe(accessed);
    for (const end of ["", "-wal", "-shm"]) rmSync(pair.file + end, { force: true });
    const later = await pair.open("P--");
    expect(await later.messageService.getMessageCount()).toBe(3);
    await later.close();
    expect(existsSync(pair.file)).toBe(false);
  });

  test("refuses flags that are unset from then on, PostgreSQL reachable or not, the file there or not", async () => {
    const pair = await travelledPair("P-S");
    await finalize(finalizing(pair));
    for (const letters of ["---", "--S", "-RS"]) {
      await expect(pair.open(letters)).rejects.toMatchObject({ code: "FINALIZED" });
      const away = { env: { DATABASE_URL: "postgres://u@127.0.0.1:1/nothing" } };
      await expect(pair.open(letters, away)).rejects.toMatchObject({ code: "FINALIZED" });
      await expect(pair.open(letters, { env: { SQLITE_DB_PATH: freshSqlite() } })).rejects.toMatchObject({
        code: "FINALIZED",
      });
    }
    const { finalized, next, rollBack, tables } = await migrationStatus({ env: pair.env("P--") });
    expect({ finalized, next, rollBack }).toMatchObject({
      finalized: true,
      next: { ready: true, command: null },
      rollBack: { possible: false },
    });
    expect(tables).toContainEqual({ table: "messages", sqlite: null, postgres: 3, owed: 0 });
  });

  test("lets a bot that runs go on, and stop mirroring", async () => {
    const pair = await travelledPair("P-S");
    const logger = new Recorder();
    const bot = await pair.open("P-S", { logger });
    await finalize(finalizing(pair));
    for (let index = 0; index < 5; index++) await bot.messageService.saveHumanMessage(say(`row ${index}`));
    expect(await bot.messageService.getMessageCount()).toBe(8);
    await expect.poll(() => logger.of("finalized").length).toBe(1);
    expect(await bot.drain()).toEqual({ pending: 0, quarantined: 0 });
    await bot.close();
  });

  test("migrates PostgreSQL alone afterwards", async () => {
    const pair = await travelledPair("P-S");
    await finalize(finalizing(pair));
    rmSync(pair.file);
    let out = "";
    const stdout = { write: (text: string) => (out += text) };
    const interruption = () => new AbortController().signal;
    expect(await run(["migrate"], { env: pair.env("P--"), stdout, stderr: stdout, interruption })).toBe(0);
    expect(out).toMatch(/^postgres .*\n {2}up to date\nSQLite is left out: the pair was finalized\n$/);
    expect(existsSync(pair.file)).toBe(false);
  });

  test.each(["after-sqlite-mark", "after-postgres"] as const)(
    "killed %s there is no way back already, bots with PostgreSQL go on, and a second run finishes",
    async (point) => {
      const pair = await travelledPair("P-S");
      const killed = finalizeWith(finalizing(pair), (reached) => {
        if (reached === point) throw new Error("killed");
      });
      await expect(killed).rejects.toThrow("killed");
      await expect(pair.open("---")).rejects.toMatchObject({ code: "FINALIZED" });
      const away = { env: { DATABASE_URL: "postgres://u@127.0.0.1:1/nothing" } };
      await expect(pair.open("---", away)).rejects.toMatchObject({ code: "FINALIZED" });
      const bot = await pair.open("P-S");
      await bot.messageService.saveHumanMessage(say("meanwhile"));
      expect(await bot.drain()).toEqual({ pending: 0, quarantined: 0 });
      await bot.close();
      const report = await finalize(finalizing(pair));
      expect(report.already).toBe(point === "after-postgres");
      expect(await leftovers(pair)).toEqual(nothingLeft);
      expect(await finalize(finalizing(pair))).toMatchObject({ already: true, exported: null });
    },
  );

  test("refuses while its gate is closed, names what is amiss, and changes nothing", async () => {
    const pair = await travelledPair("--S");
    const options = finalizing(pair);
    await expect(finalize(options)).rejects.toMatchObject({
      code: "GATE_CLOSED",
      message: expect.stringContaining("\n- primary: PostgreSQL is not primary yet"),
      details: { checks: [expect.objectContaining({ name: "primary", ok: false })] },
    });
    expect(readdirSync(options.directory)).toEqual([]);
    expect(await leftovers(pair)).not.toEqual(nothingLeft);
  });

  test("refuses another name, an unreachable PostgreSQL, and a folder of somebody's", async () => {
    const pair = await travelledPair("P-S");
    await expect(finalize(finalizing(pair, { confirm: "postgres" }))).rejects.toMatchObject({
      code: "VALIDATION_FAILED",
    });
    const away = { ...finalizing(pair), confirm: "nothing", postgres: "postgres://u@127.0.0.1:1/nothing" };
    await expect(finalize(away)).rejects.toMatchObject({ code: "DATABASE_UNAVAILABLE" });
    const folder = join(pair.file, "..");
    await expect(finalize(finalizing(pair, { directory: folder }))).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    await (await pair.open("---")).close();
    expect(await pair.primaries()).toEqual({ sqlite: "sqlite", postgres: "sqlite" });
  });

  test("gives way to a roll-back that has come first, forced or not", async () => {
    const pair = await travelledPair("P-S");
    await (await pair.open("---")).close();
    await expect(disarm(await pair.sqlite, pair.postgres, Date.now)).rejects.toMatchObject({ code: "NOT_PRIMARY" });
    const again = await pair.open("P-S");
    await again.drain();
    await again.close();
    await pair.open("---", { env: { DATABASE_URL: "postgres://u@127.0.0.1:1/nothing" } });
    expect(await pair.primaries()).toEqual({ sqlite: "sqlite", postgres: "postgres" });
    await expect(disarm(await pair.sqlite, pair.postgres, Date.now)).rejects.toMatchObject({ code: "NOT_PRIMARY" });
    const back = await pair.open("--S");
    await pair.expectConverged(back);
  });
});
