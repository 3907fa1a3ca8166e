import { expect, test } from "vitest";
import { commandLine } from "../support/command-line.js";
import { freshPostgres, freshSqlite } from "../support/databases.js";
import { openAt, script } from "../support/libsql.js";
import { makeOldBotFile } from "../support/old-bot.js";
import { TestPair } from "../support/pair.js";
import { runAt } from "../support/postgres.js";

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
  expect(out.trimEnd().split("\n").at(-1)).toBe("not healthy: 7 kinds of finding in 8 rows");
  const quiet = await doctor([...args, "--quiet"]);
  expect(quiet.out).not.toContain("scanned");
  expect(quiet.out).toContain("refused  queries.result_count: ");
});

test("a PostgreSQL without tables is told once what to do about all of them", async () => {
  const file = freshSqlite();
  await makeOldBotFile(file, { rows: 1 });
  const { status, out } = await doctor(["--sqlite", file, "--pg", await freshPostgres()]);
  expect(status).toBe(3);
  expect(out.match(/^error +PostgreSQL \w+: PostgreSQL has no such table: its rows were not scanned$/gm)).toHaveLength(
    6,
  );
  expect(out.match(/npx dualdb migrate/g)).toHaveLength(1);
  expect(out.trimEnd().split("\n").at(-1)).toBe("not healthy: 6 errors");
});

test("a warning alone is called one", async () => {
  const pair = await TestPair.create();
  await makeOldBotFile(pair.file, { rows: 1, dirty: false });
  const engine = await openAt(pair.file);
  await script(engine, `CREATE TABLE visits (page TEXT); INSERT INTO visits VALUES (char(27))`);
  await engine.close();
  await runAt(pair.url, "CREATE TABLE visits (page text)");
  const { status, out } = await doctor(["--sqlite", pair.file, "--pg", pair.url]);
  expect(status).toBe(3);
  expect(out).toMatch(/^scanned {2}visits {18}1 row$/m);
  expect(out).toContain("         Stops mirroring the table. Give it a primary key on both sides;");
  expect(out.trimEnd().split("\n").at(-1)).toBe("not healthy: 1 warning");
});

test("rows that nothing names are counted, and each problem says what it stops", async () => {
  const [file, url] = [freshSqlite(), await freshPostgres()];
  const engine = await openAt(file, { createFile: true });
  await script(engine, "CREATE TABLE visits (page TEXT NOT NULL); INSERT INTO visits VALUES (''), (''), ('/')");
  await engine.close();
  await runAt(url, "CREATE TABLE visits (page text CHECK (page <> ''))");
  const { status, out } = await doctor(["--sqlite", file, "--pg", url]);
  expect(status).toBe(3);
  expect(out).toContain("scanned  visits  3 rows, 2 would not arrive\n");
  expect(out).toContain("refused  visits.page: a CHECK does not hold (visits_page_check): 2 rows\n");
  expect(out).toContain("and the row stays as it is in SQLite; the table has no key to name it by\n");
  expect(out).toContain(
    "warning  PostgreSQL visits page: the column may be NULL, in SQLite it may not\n         Stops nothing. Once",
  );
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
