import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { commandLine } from "../support/command-line.js";
import { freshDirectory, freshPostgres, freshSqlite } from "../support/databases.js";
import { filledPair, plant } from "../support/differences.js";
import { openAt, script } from "../support/libsql.js";
import { runAt } from "../support/postgres.js";
import { freshRole } from "../support/role.js";

const dualdb = (args: readonly string[], env: NodeJS.ProcessEnv = {}) => commandLine(args, { env });

test("verify and repair, from equal to different and back", async () => {
  const { pair, database } = await filledPair("--S", 30);
  await database.close();
  const databases = ["--sqlite", pair.file, "--pg", pair.url];
  const equal = await dualdb(["verify", ...databases]);
  expect(equal).toMatchObject({ status: 0, err: "" });
  expect(equal.out).toMatch(/^messages {16}sqlite 30 {2}postgres 30 {2}equal$/m);
  expect(equal.out.trimEnd().split("\n").at(-1)).toBe("equal: SQLite's rows are all in PostgreSQL");

  await plant(
    pair,
    "postgres",
    "DELETE FROM messages WHERE id > 'm0003'",
    "UPDATE messages SET username = 'x' WHERE id = 'm0001'",
  );
  const output = join(freshDirectory(), "differences.jsonl");
  const differs = await dualdb(["verify", ...databases, "--quiet", "--output", output]);
  expect(differs.status).toBe(3);
  const lines = differs.out.trimEnd().split("\n");
  expect(lines[0]).toMatch(/^messages +sqlite +30 {2}postgres +4 {2}26 missing, 1 different$/);
  expect(lines.slice(1, 4)).toEqual(["  different  m0001  username", "  missing    m0004", "  missing    m0005"]);
  expect(lines.slice(21)).toEqual([
    "  and 7 more: --output FILE has them all",
    "not equal: npx dualdb repair shows what it would mend",
  ]);
  expect(readFileSync(output, "utf8").trimEnd().split("\n")).toHaveLength(27);

  const directory = freshDirectory();
  const shown = await dualdb(["repair", ...databases, "--dir", directory]);
  expect(shown.status).toBe(3);
  expect(shown.out).toContain("messages  26 to add, 1 to change");
  expect(shown.out.trimEnd().split("\n").at(-1)).toBe("nothing has been changed: run it again with --apply");
  const mended = await dualdb(["repair", ...databases, "--dir", directory, "--apply"]);
  expect(mended.status).toBe(0);
  expect(mended.out).toContain("messages  26 added, 1 changed");
  expect(mended.out).toMatch(/former rows kept in .*repair-[\dT.-]+Z\.jsonl/);
  expect(await dualdb(["verify", ...databases, "--quiet"])).toEqual({ status: 0, out: "", err: "" });

  const text = "UPDATE messages SET username = 'y' WHERE id = 'm0002'";
  await (await pair.sqlite).write([{ sql: text, text, values: [] }]);
  const owing = await dualdb(["verify", ...databases, "--settle", "0"]);
  expect(owing.status).toBe(3);
  expect(owing.out).toMatch(/ {2}1 owed\n {2}owed +m0002\n/);
  expect(owing.out.trimEnd().split("\n").at(-1)).toBe("not equal: npx dualdb copy brings what is owed");
});

test("one JSON document each", async () => {
  const { pair } = await filledPair("--S", 3);
  await plant(pair, "postgres", "DELETE FROM messages WHERE id = 'm0001'");
  const databases = ["--sqlite", pair.file, "--pg", pair.url, "--tables", "messages", "--json"];
  const verified = JSON.parse((await dualdb(["verify", ...databases])).out);
  const differences = [{ table: "messages", key: "m0001", kind: "missing" }];
  expect(verified).toMatchObject({ ok: true, equal: false, tables: [{ table: "messages", missing: 1, differences }] });
  const repaired = JSON.parse((await dualdb(["repair", ...databases])).out);
  expect(repaired).toMatchObject({
    ok: true,
    applied: false,
    equal: false,
    tables: [{ missing: 1, differences }],
    kept: null,
  });
  const unreachable = await dualdb([
    "verify",
    "--sqlite",
    pair.file,
    "--pg",
    "postgres://u:s3cret@127.0.0.1:1/x",
    "--json",
  ]);
  expect(JSON.parse(unreachable.out)).toMatchObject({ ok: false, error: { code: "DATABASE_UNAVAILABLE" } });
  expect(unreachable.status).toBe(1);
  expect(unreachable.out).not.toContain("s3cret");
});

test("wrong usage ends with 2, what cannot be told with 1", async () => {
  const { pair } = await filledPair("--S", 1);
  const databases = ["--sqlite", pair.file, "--pg", pair.url];
  for (const wrong of [["--settle", "soon"], ["--from", "mysql"], ["--tables", "nothing"], ["--unknown"]])
    expect([wrong, (await dualdb(["verify", ...databases, ...wrong])).status]).toEqual([wrong, 2]);
  expect((await dualdb(["verify", ...databases, "--from", "postgres"])).status).toBe(1);
  expect((await dualdb(["verify", "--sqlite", freshSqlite(), "--pg", pair.url])).status).toBe(1);
  expect((await dualdb(["repair", ...databases, "--report", freshDirectory()])).status).toBe(1);
});

test("a key that is whatever somebody has written does not move the cursor", async () => {
  const { pair } = await filledPair("--S", 1);
  await plant(
    pair,
    "postgres",
    `INSERT INTO messages (id, timestamp, sender_type, message_content) VALUES (E'\\x1b[2Jgone\\n', 1, 'ai', 'x')`,
  );
  const { out } = await dualdb(["verify", "--sqlite", pair.file, "--pg", pair.url, "--quiet"]);
  expect(out).toContain("extra      \\x1b[2Jgone\\x0a");
});

test("names a counter that is behind, but not as long as the change of the primary will set it", async () => {
  const [file, url] = [freshSqlite(), await freshPostgres()];
  const engine = await openAt(file);
  await script(engine, "CREATE TABLE tickets (id INTEGER PRIMARY KEY); INSERT INTO tickets VALUES (7)");
  await engine.close();
  await runAt(url, "CREATE TABLE tickets (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY)");
  await runAt(url, "INSERT INTO tickets VALUES (7)");
  const databases = ["--sqlite", file, "--pg", url];
  const apart = await dualdb(["verify", ...databases]);
  expect(apart.status).toBe(3);
  expect(apart.out).toContain(
    "tickets: PostgreSQL's counter for id is at its beginning, and the highest value is 7: raise it with setval()\n",
  );
  const { url: reader } = await freshRole(url, "GRANT SELECT ON tickets TO ROLE");
  expect((await dualdb(["verify", "--sqlite", file, "--pg", reader])).out).toContain(
    "tickets: PostgreSQL's counter for id may be behind the highest value, 7: nobody can tell without SELECT on tickets_id_seq\n",
  );
  await dualdb(["migrate", ...databases]);
  await runAt(url, "ALTER TABLE tickets DISABLE TRIGGER USER; TRUNCATE tickets; INSERT INTO tickets VALUES (7)");
  await runAt(url, "ALTER TABLE tickets ENABLE TRIGGER USER");
  const again = await openAt(file);
  await script(again, "DELETE FROM dualdb_journal");
  await again.close();
  expect(await dualdb(["verify", ...databases, "--quiet"])).toEqual({ status: 0, out: "", err: "" });
});
