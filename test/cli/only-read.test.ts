import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createClient } from "@libsql/client";
import { expect, test } from "vitest";
import { commandLine } from "../support/command-line.js";
import { freshDirectory, freshPostgres, freshSqlite } from "../support/databases.js";
import { runAt } from "../support/postgres.js";

/** A library on both sides whose file is in SQLite's own journal mode; SQLite has one book more. */
async function library(): Promise<{ file: string; url: string }> {
  const [file, url] = [freshSqlite(), await freshPostgres()];
  const text = "CREATE TABLE books (isbn TEXT PRIMARY KEY, title TEXT); INSERT INTO books VALUES ('1', 'one')";
  await runAt(url, text);
  const client = createClient({ url: `file:${file}` });
  await client.executeMultiple(`${text}, ('2', 'two')`);
  client.close();
  return { file, url };
}

/** What lies in the file's folder, to the byte. */
function everything(file: string): string[] {
  const folder = dirname(file);
  const digest = (name: string) =>
    createHash("sha256")
      .update(readFileSync(join(folder, name)))
      .digest("hex");
  return readdirSync(folder).map((name) => `${name} ${digest(name)}`);
}

test.each([
  ["doctor", 0],
  ["verify", 3],
  ["repair", 3],
  ["status", 0],
  ["status --gate shadow", 3],
  ["export", 0],
  ["import", 0],
  ["migrate --list", 0],
  ["migrate --dry-run", 0],
])("dualdb %s leaves the SQLite file as it is, its journal mode too", async (command, status) => {
  const { file, url } = await library();
  const folder = freshDirectory();
  const env = { SQLITE_DB_PATH: file, DATABASE_URL: url };
  const before = everything(file);
  const dir = command === "export" || command === "import" ? ["--dir", folder] : [];
  if (command === "import") await commandLine(["export", ...dir], { env });
  expect(await commandLine([...command.split(" "), ...dir], { env })).toMatchObject({ status, err: "" });
  expect(everything(file)).toEqual(before);
});
