import { writeFileSync } from "node:fs";
import { stripVTControlCharacters } from "node:util";
import { describe, expect, test } from "vitest";
import { run } from "../../src/cli/program.js";
import { freshDirectory, freshPostgres, freshSqlite } from "../support/databases.js";
import { script } from "../support/libsql.js";
import { makeOldBotFile } from "../support/old-bot.js";
import { runAt } from "../support/postgres.js";
import { travelledPair, verified } from "../support/travel.js";

async function dualdb(args: string, env: NodeJS.ProcessEnv, isTTY = false, columns = 200) {
  const written = { out: "", err: "" };
  const stream = (name: "out" | "err") => ({
    isTTY,
    columns,
    write(text: string) {
      written[name] += text;
    },
  });
  const interruption = () => new AbortController().signal;
  const status = await run(args.split(" "), { env, stdout: stream("out"), stderr: stream("err"), interruption });
  return { status, ...written };
}

async function oldBot(): Promise<string> {
  const file = freshSqlite();
  await makeOldBotFile(file, { rows: 1 });
  return file;
}

describe("dualdb status", () => {
  test("shows everything at one glance, in plain lines", async () => {
    const pair = await travelledPair();
    const { status, out, err } = await dualdb("status", pair.env("--S"));
    expect({ status, err }).toEqual({ status: 0, err: "" });
    for (const line of [
      `sqlite        ${pair.file}`,
      "flags         USE_POSTGRES_SHADOW (route shadow)",
      "primary       SQLite",
      "owed          to PostgreSQL: 0 rows",
      "roll-back     nothing to do: SQLite is primary",
      "next          Let PostgreSQL answer reads.",
      "              USE_POSTGRES_READ=true",
    ])
      expect(out.split("\n")).toContain(line);
    expect(out).toMatch(/^application {3}shadow for .*; mirrored 5, errors 0$/m);
    expect(out).toMatch(/^messages +3 +3 +0$/m);
    expect(out).toMatch(/^reads +PostgreSQL +p50 .* ms, p95 .* ms, p99 .* ms$/m);
    expect(out).not.toContain("\u001b");
    expect((await dualdb("status --quiet", pair.env("--S"))).out).toBe("");
  });

  test("says in colour and with status 3 what the other side refuses", async () => {
    const pair = await travelledPair("P-S");
    await runAt(pair.url, `INSERT INTO dualdb_journal VALUES ('messages', 'm1', 1, ${Date.now()}, 9, 'VALUE_REFUSED')`);
    const { status, out } = await dualdb("status --quiet", pair.env("P-S"), true);
    expect(status).toBe(3);
    expect(out).toContain("\u001b[31mrefused       messages m1: VALUE_REFUSED (9 tries)");
  });

  test("counts every row that was written on both sides, and names the first", async () => {
    const pair = await travelledPair();
    const numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)";
    await script(
      await pair.sqlite,
      `INSERT INTO dualdb_conflicts ${numbers} SELECT 'messages', printf('m%04d', i), i FROM n`,
    );
    const { status, out } = await dualdb("status --quiet", pair.env("--S"));
    expect(status).toBe(3);
    expect(out.match(/^conflict {6}messages m\d{4}: SQLite's version stayed$/gm)).toHaveLength(20);
    expect(out).toContain("conflicts     1,480 more, 1,500 in all: --json has the first 1,000\n");
    const document = JSON.parse((await dualdb("status --json", pair.env("--S"))).out);
    expect(document).toMatchObject({ conflictCount: 1_500, conflicts: { length: 1_000 } });
    const gate = await dualdb("status --gate read", pair.env("--S"));
    expect(gate.out).toMatch(/quarantine +nothing; 1,500 conflicts of a forced roll-back/);
    const database = await pair.open("---");
    expect(await database.status()).toMatchObject({ conflictCount: 1_500, conflicts: { length: 1_000 } });
  });

  test("says that its flags are not those of the application, and that not all went over", async () => {
    const pair = await travelledPair();
    const facts = '{"tables": null}';
    const run = (command: string) =>
      runAt(
        pair.url,
        `INSERT INTO dualdb_runs SELECT '${command}', pair_id, '${command}', 'differs', 1, ${Date.now()}, '${facts}' FROM dualdb_state`,
      );
    await run("copy");
    await run("verify");
    const { out } = await dualdb("status", pair.env("---"));
    expect(out).toContain("flags         none (route sqlite), but the application has told of route shadow\n");
    expect(out).toMatch(/^last copy {5}in part, /m);
    expect(out).toMatch(/^last verify {3}differs, /m);
    await verified(pair, -1_000, ["documents", "messages"]);
    expect((await dualdb("status", pair.env("---"))).out).toMatch(/^last verify {3}done for documents, messages, /m);
  });

  test("breaks its lines between words on a terminal, under where they began, and nowhere else", async () => {
    const pair = await travelledPair();
    const narrow = stripVTControlCharacters((await dualdb("status --gate finalize", pair.env("--S"), true, 60)).out);
    expect(narrow).toContain(
      "  NO   primary        PostgreSQL is not primary yet: set\n                      USE_POSTGRES_PRIMARY=true first\n",
    );
    expect(Math.max(...narrow.split("\n").map(({ length }) => length))).toBeLessThanOrEqual(60);
    const piped = await dualdb("status --gate finalize", pair.env("--S"), false, 60);
    expect(piped.out).toContain("is not primary yet: set USE_POSTGRES_PRIMARY=true first\n");
  });

  test("knows no primary and no debts before the databases are a pair", async () => {
    const { out } = await dualdb("status", { SQLITE_DB_PATH: await oldBot(), DATABASE_URL: await freshPostgres() });
    expect(out).toContain("primary       none: the databases have not been brought together\n");
    expect(out).not.toContain("owed  ");
  });

  test("--json is one document", async () => {
    const pair = await travelledPair();
    const { status, out } = await dualdb("status --json", pair.env("--S"));
    expect(status).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ ok: true, primary: "sqlite", requested: "shadow", next: { ready: true } });
  });

  test("cannot tell where PostgreSQL is away", async () => {
    const pair = await travelledPair();
    const env = { ...pair.env("--S"), DATABASE_URL: "postgres://u:hunter2@127.0.0.1:1/nothing" };
    const { status, out, err } = await dualdb("status", env);
    expect(status).toBe(1);
    expect(out).toContain("PostgreSQL    DATABASE_UNAVAILABLE");
    for (const label of ["application   ", "last verify   "])
      expect(out).toContain(`${label}PostgreSQL, which remembers it, cannot be asked\n`);
    expect(out + err).not.toContain("hunter2");
    const gate = await dualdb("status --gate read", env);
    expect(gate.status).toBe(1);
    expect(gate.out).toMatch(/^ {2}\? {4}errors +PostgreSQL, which remembers it, cannot be asked$/m);
  });

  test("--gate shows every check, and its status is the verdict", async () => {
    const pair = await travelledPair();
    const open = await dualdb("status --gate read", pair.env("--S"));
    expect(open).toMatchObject({ status: 0, err: "" });
    expect(open.out).toMatch(/^ {2}ok {3}reachable +both databases answer$/m);
    expect(open.out).toMatch(/gate read: open\n$/);
    expect(await dualdb("status --gate read --quiet", pair.env("--S"))).toEqual({ status: 0, out: "", err: "" });
    const closed = await dualdb("status --gate finalize --json", pair.env("--S"));
    expect(closed.status).toBe(3);
    expect(JSON.parse(closed.out)).toMatchObject({ ok: true, gate: "finalize", open: false });
  });

  test.each([
    ["no gate of that name", "status --gate now", {}, 2],
    ["a file that is not there", "status", { SQLITE_DB_PATH: freshSqlite() }, 1],
    ["a directory", "status", { SQLITE_DB_PATH: freshDirectory() }, 1],
    ["a PostgreSQL that is none", "status --pg mysql://h/d", {}, 2],
    ["an impossible flag", "status", { USE_POSTGRES_READ: "maybe" }, 2],
  ])("ends with a clear error for %s", async (_what, args, env, status) => {
    const outcome = await dualdb(args, env);
    expect(outcome).toMatchObject({ status, out: "" });
    expect(outcome.err).not.toBe("");
  });

  test("ends with a clear error for a file that is no database", async () => {
    const file = freshSqlite();
    writeFileSync(file, "no database ".repeat(500));
    const { status, err } = await dualdb("status", { SQLITE_DB_PATH: file });
    expect(status).toBe(1);
    expect(err).toContain("DATABASE_UNUSABLE");
  });
});
