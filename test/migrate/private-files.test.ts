import { chmodSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { copy } from "../../src/migrate/copy.js";
import { exportData } from "../../src/migrate/export.js";
import { importData } from "../../src/migrate/import.js";
import { fileOfTable, openPrivateFile, privateFolder } from "../../src/migrate/private-files.js";
import { repair } from "../../src/migrate/repair.js";
import { verify } from "../../src/migrate/verify.js";
import { freshDirectory } from "../support/databases.js";
import { openAt, script } from "../support/libsql.js";
import { TestPair } from "../support/pair.js";
import { runAt } from "../support/postgres.js";

test("a file of rows and its folder belong to their owner alone", async () => {
  const path = join(freshDirectory(), "rows", "inner", "notes.jsonl");
  const before = process.umask(0);
  try {
    await (await openPrivateFile(path, "w")).close();
  } finally {
    process.umask(before);
  }
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(statSync(dirname(path)).mode & 0o777).toBe(0o700);
});

describe("a folder that is there", () => {
  const modeOf = (path: string) => (statSync(path).mode & 0o7777).toString(8);
  const folderOf = (mode: number, ...files: readonly string[]) => {
    const folder = join(freshDirectory(), "folder");
    mkdirSync(folder);
    for (const file of files) writeFileSync(join(folder, file), "");
    chmodSync(folder, mode);
    return folder;
  };

  test.each([
    ["an empty one", 0o755, [], "700"],
    ["one of an export", 0o775, ["_metadata.json", "notes.jsonl", "notes.jsonl.part"], "700"],
    ["one of rejects or former rows", 0o750, ["a%2Eb.jsonl", "repair-2026-11-21T14-11-34.098Z.jsonl"], "700"],
    ["one with anything else", 0o755, ["notes.jsonl", "letter.txt"], "755"],
    ["one for everybody", 0o1777, [], "1777"],
    ["one that is private", 0o500, [], "500"],
  ])("is closed to others where it is for rows alone: %s", async (_what, mode, files, expected) => {
    const folder = folderOf(mode, ...files);
    expect(await privateFolder(folder)).toBeUndefined();
    expect(modeOf(folder)).toBe(expected);
  });

  test("is closed by an export, by rows that are set aside, and by former rows; not by a report of verify", async () => {
    const pair = await TestPair.create({ migrated: false });
    const sqlite = await openAt(pair.file);
    await script(
      sqlite,
      "CREATE TABLE notes (id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO notes VALUES (1, 1), (2, -1)",
    );
    await sqlite.close();
    await runAt(pair.url, "CREATE TABLE notes (id int PRIMARY KEY, n int CHECK (n > 0))");
    await runAt(pair.url, "INSERT INTO notes VALUES (1, 2), (3, 3)");
    const [exported, imported, copied, former, reports] = Array.from({ length: 5 }, () => folderOf(0o755));
    const databases = { env: {}, sqlite: pair.file, postgres: pair.url };
    await exportData({ ...databases, directory: exported ?? "" });
    await importData({ ...databases, to: "postgres", directory: exported ?? "", rejects: imported ?? "" });
    await copy({ ...databases, rejects: copied ?? "" });
    await runAt(pair.url, "UPDATE notes SET n = 7");
    await verify({ ...databases, output: join(reports ?? "", "differences.jsonl") });
    const { kept } = await repair({ ...databases, apply: true, directory: former ?? "" });
    expect([exported, imported, copied, former].map((folder) => modeOf(folder ?? ""))).toEqual(Array(4).fill("700"));
    expect(modeOf(reports ?? "")).toBe("755");
    const files = [join(imported ?? "", "notes.jsonl"), kept ?? "", join(reports ?? "", "differences.jsonl")];
    expect(files.map(modeOf)).toEqual(Array(3).fill("600"));
  });
});

test("a file that is there is gone on with, begun anew, or refused", async () => {
  const path = join(freshDirectory(), "notes.jsonl");
  const write = async (flags: "w" | "a" | "wx", text: string) => {
    const file = await openPrivateFile(path, flags);
    await file.write(text);
    await file.close();
    return readFile(path, "utf8");
  };
  expect(await write("wx", "one")).toBe("one");
  expect(await write("a", "two")).toBe("onetwo");
  expect(await write("w", "three")).toBe("three");
  await expect(write("wx", "four")).rejects.toThrow("EEXIST");
});

test.each([
  ["messages", "messages.jsonl"],
  ["Order Details", "Order%20Details.jsonl"],
  ["../../etc/passwd", "%2E%2E%2F%2E%2E%2Fetc%2Fpasswd.jsonl"],
  [".hidden", "%2Ehidden.jsonl"],
  ["a\0b", "a%00b.jsonl"],
  ["CON", "%43ON.jsonl"],
  ["straße", "stra%C3%9Fe.jsonl"],
])("the rows of %j lie in %s", (table, name) => {
  const path = fileOfTable("folder", table, ".jsonl");
  expect(dirname(path)).toBe("folder");
  expect(basename(path)).toBe(name);
  expect(decodeURIComponent(basename(path, ".jsonl"))).toBe(table);
});
