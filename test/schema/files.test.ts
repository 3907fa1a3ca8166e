import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Side } from "../../src/engines/engine.js";
import { createMigration, readMigrations } from "../../src/schema/files.js";
import { freshDirectory } from "../support/databases.js";

function folderWith(files: Readonly<Record<string, string>>): string {
  const folder = freshDirectory();
  for (const side of ["libsql", "postgres"]) mkdirSync(join(folder, side));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}

const last = async (folder: string, side: Side = "sqlite") => (await readMigrations([folder], side)).at(-1);

describe("readMigrations", () => {
  test("our own files come in pairs, and first", async () => {
    const folder = folderWith({
      "libsql/0000_b.sql": "",
      "libsql/0000_a.sql": "",
      "libsql/read.me": "",
      "postgres/0000_c.sql": "",
    });
    const names = async (side: Side, folders: string[]) =>
      (await readMigrations(folders, side)).map(({ filename }) => filename);
    const own = await names("sqlite", []);
    expect(own[0]).toBe("0001_tables.sql");
    expect(await names("postgres", [])).toEqual(own);
    expect(await names("sqlite", [folder])).toEqual([...own, "0000_a.sql", "0000_b.sql"]);
    expect(await names("postgres", [folder])).toEqual([...own, "0000_c.sql"]);
  });

  test("the checksum ignores line endings and a byte-order mark, and nothing else", async () => {
    const checksum = async (text: string) => (await last(folderWith({ "libsql/1.sql": text })))?.checksum;
    const plain = await checksum("SELECT 1;\nSELECT 2;\n");
    expect(plain).toMatch(/^[0-9a-f]{64}$/);
    expect(await checksum("\uFEFFSELECT 1;\r\nSELECT 2;\r\n")).toBe(plain);
    expect(await checksum("SELECT 1;\rSELECT 2;\r")).toBe(plain);
    expect(await checksum("SELECT 1;\nSELECT 2; \n")).not.toBe(plain);
  });

  test.each([
    ["-- dualdb: no-transaction\nSELECT 1", true],
    ["\n-- why\n  --dualdb:  no-transaction  \nSELECT 1", true],
    ["SELECT 1;\n-- dualdb: no-transaction", false],
    ["-- about dualdb: no-transaction", false],
  ])("%j: no transaction is %s", async (text, expected) => {
    expect((await last(folderWith({ "postgres/1.sql": text }), "postgres"))?.directives.noTransaction).toBe(expected);
  });

  test.each([
    ["an unknown line", { "libsql/1.sql": "-- dualdb: no-transactions" }, "1.sql"],
    ["a file of no side", { "1.sql": "" }, "belongs to no side"],
    ["a name that is ours", { "libsql/0001_tables.sql": "" }, "two migrations are called 0001_tables.sql"],
    [
      "triggers without a transaction",
      { "libsql/1.sql": "-- dualdb: no-transaction\n-- dualdb: drop-triggers-naming a" },
      "1.sql",
    ],
  ])("%s is refused", async (_title, files, message) => {
    await expect(readMigrations([folderWith(files)], "sqlite")).rejects.toMatchObject({
      code: "MIGRATION_INVALID",
      message: expect.stringContaining(message),
    });
  });

  test("a folder that is not there is refused", async () => {
    await expect(readMigrations([join(freshDirectory(), "none")], "sqlite")).rejects.toMatchObject({
      code: "MIGRATION_INVALID",
    });
  });
});

describe("createMigration", () => {
  const clock = () => Date.UTC(2025, 0, 2, 3, 4, 5, 678);

  test("makes a pair", async () => {
    const folder = join(freshDirectory(), "migrations");
    const paths = await createMigration(folder, "add_mood", clock);
    expect(paths).toEqual([
      join(folder, "libsql", "20250102030405_add_mood.sql"),
      join(folder, "postgres", "20250102030405_add_mood.sql"),
    ]);
    expect(readdirSync(folder)).toEqual(["libsql", "postgres"]);
    expect((await last(folder))?.filename).toBe("20250102030405_add_mood.sql");
  });

  test.each(["", "Add", "a-b", "a b", "../a", "ä"])("refuses the name %j", async (name) => {
    await expect(createMigration(freshDirectory(), name, clock)).rejects.toMatchObject({ code: "MIGRATION_INVALID" });
  });
});
