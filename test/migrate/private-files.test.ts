import { statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { expect, test } from "vitest";
import { fileOfTable, openPrivateFile } from "../../src/migrate/private-files.js";
import { freshDirectory } from "../support/databases.js";

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
