import { expect, test } from "vitest";
import { commandLine } from "../support/command-line.js";
import { freshSqlite } from "../support/databases.js";
import { makeOldBotFile } from "../support/old-bot.js";
import { TestPair } from "../support/pair.js";

const doctor = (args: readonly string[]) => commandLine(["doctor", ...args]);

async function pairWith(dirty: boolean): Promise<string[]> {
  const pair = await TestPair.create();
  await makeOldBotFile(pair.file, { rows: 10, dirty });
  return ["--sqlite", pair.file, "--pg", pair.url];
}

test("a healthy file ends with 0 and says so", async () => {
  const { status, out, err } = await doctor(await pairWith(false));
  expect(out).toContain("scanned  messages");
  expect(out.trimEnd().split("\n").at(-1)).toBe("healthy: every row would arrive as it is");
  expect({ status, err }).toEqual({ status: 0, err: "" });
});

test("a dirty file ends with 3, each kind of finding with its keys and what will happen", async () => {
  const args = await pairWith(true);
  const { status, out } = await doctor(args);
  expect(status).toBe(3);
  expect(out).toContain("refused  queries.result_count: ");
  expect(out).toContain("will not arrive: set aside, and the row stays as it is in SQLite; key dirty-refused");
  expect(out).toContain("wrapped  messages.metadata: text that jsonb cannot hold as a document");
  const quiet = await doctor([...args, "--quiet"]);
  expect(quiet.out).not.toContain("scanned");
  expect(quiet.out).toContain("refused  queries.result_count: ");
});

test("one JSON document, also where a database cannot be reached", async () => {
  const args = await pairWith(true);
  const { out } = await doctor([...args, "--json"]);
  expect(JSON.parse(out)).toMatchObject({ ok: true, healthy: false, findings: expect.any(Array) });
  const unreachable = await doctor(["--sqlite", freshSqlite(), "--pg", "postgres://u:s3cret@127.0.0.1:1/x", "--json"]);
  expect(JSON.parse(unreachable.out)).toMatchObject({ ok: true, healthy: null, findings: [] });
  expect(unreachable.out).not.toContain("s3cret");
  expect(unreachable.status).toBe(1);
});

test("wrong usage ends with 2", async () => {
  expect((await doctor(["--tables", "a,,b"])).status).toBe(2);
  expect((await doctor(["--pg", "mysql://x"])).status).toBe(2);
  expect((await doctor([])).err).toContain("No PostgreSQL is named");
});
