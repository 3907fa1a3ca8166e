import { rmSync } from "node:fs";
import { basename } from "node:path";
import { describe, expect, test } from "vitest";
import { dualdb } from "../support/asking.js";
import { TestPair } from "../support/pair.js";

async function lost(): Promise<TestPair> {
  const pair = await TestPair.create();
  const database = await pair.open("P-S");
  await database.queryService.saveQuery({ userId: "123456789012345678", username: "ada", queryText: "q" });
  await database.close();
  for (const ending of ["", "-wal", "-shm"]) rmSync(`${pair.file}${ending}`, { force: true });
  return pair;
}

describe("dualdb rearm", () => {
  test("asks for the name of the database whose rows are given up, and says what to do next", async () => {
    const pair = await lost();
    const name = basename(pair.file);
    const { status, out, err } = await dualdb(["rearm", "--primary", "postgres"], pair.env("P-S"), name);
    expect(err).toContain(`(${name})`);
    expect(out).toMatch(
      /^created {4}.*bot\.db\narmed {6}.*messages.*\nprimary {4}PostgreSQL; SQLite is owed 1 row\nStart the application with USE_POSTGRES_PRIMARY true/,
    );
    expect(status).toBe(0);
    const again = await dualdb(["rearm", "--primary", "postgres", "--confirm", name, "--json"], pair.env("P-S"));
    expect(JSON.parse(again.out)).toMatchObject({ ok: true, primary: "postgres", created: null, owed: 1 });
  });

  test.each([
    ["another name typed", 2, "VALIDATION_FAILED", ["--primary", "postgres"], "other"],
    ["nothing typed, but Ctrl-C", 130, "INTERRUPTED", ["--primary", "postgres"], null],
    ["nobody there, and no --confirm", 2, "VALIDATION_FAILED", ["--primary", "postgres"], undefined],
    ["no --primary", 2, "--primary", ["--confirm", "x"], undefined],
    ["another side", 2, "sqlite, postgres", ["--primary", "mysql", "--confirm", "x"], undefined],
    ["--tables", 2, "CONFIG_INVALID", ["--primary", "sqlite", "--tables", "messages", "--confirm", "x"], undefined],
  ])("changes nothing with %s", async (_what, status, text, more, answer) => {
    const pair = await lost();
    const outcome = await dualdb(["rearm", ...more], pair.env("P-S"), answer);
    expect(outcome).toMatchObject({ status, out: "" });
    expect(outcome.err).toContain(text);
    expect((await pair.rows("postgres", "SELECT pair_id FROM dualdb_state"))[0]?.pair_id).not.toBeNull();
  });
});
