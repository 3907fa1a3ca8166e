import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { run } from "../../src/cli/program.js";
import { createMigration, listMigrations, type MigratedSide, migrate } from "../../src/migrate/index.js";
import { freshDirectory, freshPostgres, freshSqlite } from "../support/databases.js";
import { speaker, TestPair } from "../support/pair.js";
import { runAt } from "../support/postgres.js";

const own = ["0001_tables.sql", "0002_journal.sql"];
const tables = ["document_collaborators", "documents", "messages", "queries", "user_analysis_history", "user_profiles"];

async function bothSides() {
  return { SQLITE_DB_PATH: freshSqlite(), DATABASE_URL: await freshPostgres() };
}

/** A folder with a file of the same name and text for each side. */
async function folderWith(text: string): Promise<{ readonly dir: string; readonly filename: string }> {
  const dir = freshDirectory();
  const paths = await createMigration(dir, "mine", () => 1_700_000_000_000);
  for (const path of paths) writeFileSync(path, text);
  return { dir, filename: "20231114221320_mine.sql" };
}

const shown = ({ side, applied, pending }: MigratedSide) => ({
  side,
  applied: applied.map(({ filename }) => filename),
  pending,
});

describe("migrate as a function", () => {
  test("does what the command does, and tells of each side when it is done", async () => {
    const env = await bothSides();
    const { dir, filename } = await folderWith("CREATE TABLE mine (id INTEGER PRIMARY KEY)");
    const told: MigratedSide[] = [];
    const report = await migrate({ env, dir, onSide: (side) => told.push(side) });
    const applied = [...own, filename];
    expect(report.sides.map(shown)).toEqual([
      { side: "sqlite", applied, pending: [] },
      { side: "postgres", applied, pending: [] },
    ]);
    expect(report).toMatchObject({ armed: [...tables, "mine"].sort(), finalized: false });
    expect(told).toEqual(report.sides);
    const again = await migrate({ env, dir });
    expect(again).toMatchObject({ sides: [{ applied: [] }, { applied: [] }], armed: [] });
    let out = "";
    const terminal = { env, stdout: { write: (text: string) => (out += text) }, stderr: { write: () => {} } };
    await run(["migrate", "--json", "--dir", dir], { ...terminal, interruption: () => new AbortController().signal });
    expect(JSON.parse(out)).toEqual({ ok: true, ...again });
  });

  test("takes the databases, one side, a dry run and unknown files as the command does", async () => {
    const { SQLITE_DB_PATH: sqlite, DATABASE_URL: postgres } = await bothSides();
    const planned = await migrate({ env: {}, sqlite, postgres, dryRun: true });
    expect(planned.sides.map(shown)).toEqual([
      { side: "sqlite", applied: [], pending: own },
      { side: "postgres", applied: [], pending: own },
    ]);
    expect(planned.armed).toEqual([]);
    expect(existsSync(sqlite)).toBe(false);
    const { dir, filename } = await folderWith("CREATE TABLE mine (id INTEGER PRIMARY KEY)");
    const { sides } = await migrate({ env: {}, sqlite, postgres, dir, only: "postgres" });
    expect(sides.map(shown)).toEqual([{ side: "postgres", applied: [...own, filename], pending: [] }]);
    expect(existsSync(sqlite)).toBe(false);
    await expect(migrate({ env: {}, sqlite, postgres })).rejects.toMatchObject({ code: "MIGRATION_UNKNOWN" });
    const allowed = await migrate({ env: {}, sqlite, postgres, allowUnknown: true });
    expect(allowed.sides.map(({ unknown }) => unknown)).toEqual([[], [filename]]);
    await expect(migrate({ env: {}, sqlite, only: "postgres" })).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });

  test("tells of the side that is done where the other one fails, and the list says why", async () => {
    const env = await bothSides();
    const dir = freshDirectory();
    for (const side of ["libsql", "postgres"]) {
      mkdirSync(join(dir, side));
      writeFileSync(join(dir, side, "1_a.sql"), side === "libsql" ? "SELECT 1" : "SELECT 1 FROM nowhere");
    }
    const told: MigratedSide[] = [];
    const running = migrate({ env, dir, onSide: (side) => told.push(side) });
    await expect(running).rejects.toMatchObject({ code: "MIGRATION_FAILED", side: "postgres" });
    expect(told.map(({ side }) => side)).toEqual(["sqlite"]);
    const { sides } = await listMigrations({ env, dir });
    expect(sides.map(({ migrations }) => migrations.at(-1)?.status)).toEqual(["applied", "failed"]);
  });

  test("leaves SQLite out once PostgreSQL has been finalized", async () => {
    const env = await bothSides();
    await migrate({ env });
    await runAt(env.DATABASE_URL, "UPDATE dualdb_state SET finalized = TRUE");
    const { finalized, sides } = await migrate({ env: { ...env, SQLITE_DB_PATH: freshSqlite() } });
    expect({ finalized, sides: sides.map(({ side }) => side) }).toEqual({ finalized: true, sides: ["postgres"] });
  });
});

describe("a migration that changes rows of a pair", () => {
  const ddl = "ALTER TABLE messages ADD COLUMN mood TEXT;";
  const dml = "UPDATE messages SET mood = 'fine';";

  test.each([
    ["--S", "sqlite", "libsql", "postgres", "postgres"],
    ["P-S", "postgres", "postgres", "sqlite", "libsql"],
  ] as const)(
    "does so with %s in the file of %s, and the mirror carries them; in the other file it is refused",
    async (letters, primary, primaryFolder, other, otherFolder) => {
      const pair = await TestPair.create();
      const before = await pair.open(letters);
      await before.messageService.saveHumanMessage({ ...speaker, messageContent: "old" });
      await before.drain();
      await before.close();
      const dir = freshDirectory();
      const put = (folder: string, text: string) => writeFileSync(join(dir, folder, "1_mood.sql"), text);
      for (const folder of ["libsql", "postgres"]) mkdirSync(join(dir, folder));
      put(primaryFolder, `${ddl}\n${dml}`);
      put(otherFolder, `${ddl}\n${dml}`);
      await expect(migrate({ env: pair.env("---"), dir })).rejects.toMatchObject({
        code: "MIGRATION_FAILED",
        side: other,
        message: expect.stringMatching(
          new RegExp(`line 2: .*by the file in ${primaryFolder} alone.*out of ${otherFolder} and run`),
        ),
        details: { reason: "NOT_PRIMARY", line: 2 },
      });
      await expect(pair.rows(other, "SELECT mood FROM messages")).rejects.toMatchObject({ code: "SCHEMA_MISSING" });
      expect(await pair.owed(other)).toBe(0);
      put(otherFolder, ddl);
      await migrate({ env: pair.env("---"), dir });
      expect(await pair.owed(primary)).toBe(1);
      await pair.expectConverged(await pair.open(letters));
      expect(await pair.rows(other, "SELECT mood FROM messages")).toEqual([{ mood: "fine" }]);
    },
  );
});
