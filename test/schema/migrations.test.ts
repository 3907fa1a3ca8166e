import { describe, expect, test } from "vitest";
import type { Engine, Row } from "../../src/engines/engine.js";
import { silentLogger } from "../../src/logger.js";
import {
  checkMigrations,
  listMigrations,
  type MigrateOptions,
  migrate,
  requireSchema,
} from "../../src/schema/migrations.js";
import { Folder } from "./folder.js";
import { openTarget, sides } from "./sides.js";

const own = ["0001_tables.sql", "0002_journal.sql"];

function run(engine: Engine, more: Partial<MigrateOptions> = {}) {
  return migrate({ engine, timeoutMs: 30_000, logger: silentLogger, ...more });
}

function query(engine: Engine, text: string): Promise<Row[]> {
  return engine.read({ sql: text, text, values: [] });
}

function execute(engine: Engine, text: string) {
  return engine.write([{ sql: text, text, values: [] }]);
}

describe.each(sides)("migrate on $name", ({ side, fresh }) => {
  const started = async () => ({ engine: await openTarget(await fresh()), folder: new Folder(side) });

  test("a fresh database is brought up to date, once", async () => {
    const { engine } = await started();
    expect(await checkMigrations(engine)).toEqual({ pending: own, unknown: [], changed: [] });
    await expect(requireSchema(engine)).rejects.toMatchObject({
      code: "SCHEMA_MISSING",
      message: expect.stringContaining("dualdb migrate"),
    });
    const report = await run(engine, { clock: () => 1_700_000_000_123 });
    expect(report).toMatchObject({ side, pending: [], unknown: [], searchRebuilt: false });
    expect(report.applied.map(({ filename }) => filename)).toEqual(own);
    expect((await run(engine)).applied).toEqual([]);
    await requireSchema(engine);
    const rows = await query(engine, "SELECT * FROM schema_migrations ORDER BY id");
    expect(rows).toEqual(
      own.map((filename, index) => ({
        id: index + 1,
        filename,
        applied_at: 1_700_000_000_123,
        checksum: expect.stringMatching(/^[0-9a-f]{64}$/),
        execution_time_ms: expect.any(Number),
        success: 1,
        error_message: null,
      })),
    );
  });

  test("a dry run names what it would do, and does nothing", async () => {
    const { engine, folder } = await started();
    folder.put("1_a.sql", "CREATE TABLE a (id INTEGER)");
    const report = await run(engine, { folders: [folder.path], dryRun: true });
    expect(report).toMatchObject({ applied: [], pending: [...own, "1_a.sql"] });
    expect((await checkMigrations(engine)).pending).toEqual(own);
    await expect(query(engine, "SELECT * FROM schema_migrations")).rejects.toThrow();
  });

  test("a table of that name that is another tool's is left as it is, and named with the next step", async () => {
    const { engine } = await started();
    await execute(engine, "CREATE TABLE schema_migrations (version TEXT PRIMARY KEY)");
    await execute(engine, "INSERT INTO schema_migrations VALUES ('20240101000000')");
    const taken = {
      code: "MIGRATION_TABLE_TAKEN",
      side,
      table: "schema_migrations",
      message: expect.stringContaining("schema_migrations_table_name"),
    };
    const looks = [run, (on: Engine) => run(on, { dryRun: true }), (on: Engine) => listMigrations(side, on)];
    for (const look of [...looks, requireSchema, checkMigrations])
      await expect(look(engine)).rejects.toMatchObject(taken);
    expect(await query(engine, "SELECT * FROM schema_migrations")).toEqual([{ version: "20240101000000" }]);
    await expect(query(engine, "SELECT * FROM messages")).rejects.toThrow();
    await execute(engine, "ALTER TABLE schema_migrations RENAME TO rails_migrations");
    expect((await run(engine)).applied).toHaveLength(own.length);
  });

  test("the user's files apply after ours, by name, and are not missed when the library looks", async () => {
    const { engine, folder } = await started();
    folder.put("0000_b.sql", "INSERT INTO a (id) VALUES (2)").put("0000_a.sql", "CREATE TABLE a (id INTEGER);");
    const report = await run(engine, { folders: [folder.path] });
    expect(report.applied.map(({ filename }) => filename)).toEqual([...own, "0000_a.sql", "0000_b.sql"]);
    expect(await query(engine, "SELECT id FROM a")).toEqual([{ id: 2 }]);
    expect(await checkMigrations(engine)).toEqual({ pending: [], unknown: ["0000_a.sql", "0000_b.sql"], changed: [] });
    await requireSchema(engine);
  });

  test("migrations that the files do not know are refused unless told", async () => {
    const { engine, folder } = await started();
    await run(engine, { folders: [folder.put("1_a.sql", "CREATE TABLE a (id INTEGER)").path] });
    await expect(run(engine)).rejects.toMatchObject({
      code: "MIGRATION_UNKNOWN",
      message: expect.stringContaining("1_a.sql"),
    });
    expect(await run(engine, { allowUnknown: true })).toMatchObject({ applied: [], unknown: ["1_a.sql"] });
  });

  test("an edited file is refused, other line endings are not", async () => {
    const { engine, folder } = await started();
    folder.put("1_a.sql", "CREATE TABLE a (\n  id INTEGER\n);\n");
    await run(engine, { folders: [folder.path] });
    folder
      .put("1_a.sql", "\uFEFFCREATE TABLE a (\r\n  id INTEGER\r\n);\r\n")
      .put("2_b.sql", "CREATE TABLE b (id INTEGER)");
    expect((await run(engine, { folders: [folder.path] })).applied).toHaveLength(1);
    folder.put("1_a.sql", "CREATE TABLE a (id BIGINT);").put("3_c.sql", "CREATE TABLE c (id INTEGER)");
    await expect(run(engine, { folders: [folder.path] })).rejects.toMatchObject({
      code: "MIGRATION_CHANGED",
      side,
      details: { filenames: ["1_a.sql"] },
    });
    const statuses = (await listMigrations(side, engine, [folder.path])).map(({ status }) => status);
    expect(statuses).toEqual(["applied", "applied", "changed", "applied", "pending"]);
  });

  test("a failure undoes its file, stops the run and is remembered; the corrected file runs", async () => {
    const { engine, folder } = await started();
    folder
      .put("1_a.sql", "CREATE TABLE a (id INTEGER PRIMARY KEY);")
      .put("2_b.sql", "INSERT INTO a VALUES (12345);\n\nINSERT INTO a VALUES (12345);\n")
      .put("3_c.sql", "CREATE TABLE c (id INTEGER);");
    const failure = await run(engine, { folders: [folder.path] }).catch((error) => error);
    expect(failure).toMatchObject({ code: "MIGRATION_FAILED", side, details: { filename: "2_b.sql", line: 3 } });
    expect(failure.message).toMatch(/2_b\.sql failed on \w+, line 3: /);
    expect(failure.message).not.toContain("12345");
    expect(await query(engine, "SELECT id FROM a")).toEqual([]);
    const entries = (await listMigrations(side, engine, [folder.path])).slice(2);
    expect(entries.map(({ status }) => status)).toEqual(["applied", "failed", "pending"]);
    expect(entries[1]?.error).toMatch(/^line 3: /);
    expect(entries[1]?.error).not.toContain("12345");
    folder.put("2_b.sql", "INSERT INTO a VALUES (1)");
    expect((await run(engine, { folders: [folder.path] })).applied).toHaveLength(2);
    expect((await listMigrations(side, engine, [folder.path])).every(({ status }) => status === "applied")).toBe(true);
  });

  test("a file that failed may also go", async () => {
    const { engine, folder } = await started();
    await expect(run(engine, { folders: [folder.put("1_a.sql", "SELEC").path] })).rejects.toMatchObject({
      code: "MIGRATION_FAILED",
    });
    expect((await run(engine, { folders: [folder.remove("1_a.sql").path] })).unknown).toEqual([]);
  });

  test("a missing table is named", async () => {
    const { engine, folder } = await started();
    folder.put("1_a.sql", "INSERT INTO nowhere VALUES (1)");
    await expect(run(engine, { folders: [folder.path] })).rejects.toThrow(
      /line 1: there is no table nowhere\. Correct/,
    );
  });

  test("a file with its own COMMIT is refused before anything runs", async () => {
    const { engine, folder } = await started();
    folder.put("1_a.sql", "CREATE TABLE a (id INTEGER);").put("2_b.sql", "SELECT 1;\n-- and now\nCOMMIT;");
    await expect(run(engine, { folders: [folder.path] })).rejects.toMatchObject({
      code: "MIGRATION_INVALID",
      details: { filename: "2_b.sql", line: 3 },
    });
    expect((await checkMigrations(engine)).pending).toEqual(own);
  });

  test("twenty runs at once all succeed, and apply each file once", async () => {
    const target = await fresh();
    const folder = new Folder(side)
      .put("1_a.sql", "CREATE TABLE a (id INTEGER)")
      .put("2_b.sql", "INSERT INTO a VALUES (1)")
      .put("3_c.sql", "INSERT INTO a VALUES (2)")
      .put(
        "4_d.sql",
        `-- dualdb: no-transaction\nCREATE INDEX ${side === "postgres" ? "CONCURRENTLY" : ""} a_id ON a (id);`,
      );
    const engines = await Promise.all(
      Array.from({ length: 20 }, () => openTarget(target, { POSTGRES_POOL_SIZE: "2" })),
    );
    const reports = await Promise.all(engines.map((engine) => run(engine, { folders: [folder.path] })));
    const applied = reports.flatMap((report) => report.applied.map(({ filename }) => filename));
    expect(applied.sort()).toEqual([...own, "1_a.sql", "2_b.sql", "3_c.sql", "4_d.sql"]);
    const [engine] = engines;
    expect(engine && (await query(engine, "SELECT id FROM a ORDER BY id"))).toEqual([{ id: 1 }, { id: 2 }]);
  });

  test("twenty runs over one engine, too", async () => {
    const { engine, folder } = await started();
    folder.put("1_a.sql", "CREATE TABLE a (id INTEGER)");
    const reports = await Promise.all(Array.from({ length: 20 }, () => run(engine, { folders: [folder.path] })));
    expect(reports.flatMap(({ applied }) => applied)).toHaveLength(3);
  });

  test("a file without a transaction runs statement by statement", async () => {
    const { engine, folder } = await started();
    const special = side === "postgres" ? "CREATE INDEX CONCURRENTLY a_id ON a (id)" : "VACUUM";
    folder.put("1_a.sql", "CREATE TABLE a (id INTEGER)");
    folder.put("2_b.sql", `-- dualdb: no-transaction\nINSERT INTO a VALUES (1);\n${special};\n`);
    expect((await run(engine, { folders: [folder.path] })).applied).toHaveLength(4);
    folder.put("3_c.sql", `-- dualdb: no-transaction\nINSERT INTO a VALUES (2);\nINSERT INTO nowhere VALUES (1);\n`);
    await expect(run(engine, { folders: [folder.path] })).rejects.toMatchObject({ details: { line: 3 } });
    expect(await query(engine, "SELECT id FROM a ORDER BY id")).toEqual([{ id: 1 }, { id: 2 }]);
  });

  test("a file without a transaction that a run has left half-way runs again", async () => {
    const { engine, folder } = await started();
    folder.put("1_a.sql", "-- dualdb: no-transaction\nCREATE TABLE IF NOT EXISTS a (id INTEGER);");
    await run(engine, { folders: [folder.path] });
    const left = "success = FALSE, error_message = 'under way, or broken off'";
    await execute(engine, `UPDATE schema_migrations SET ${left} WHERE filename = '1_a.sql'`);
    expect((await run(engine, { folders: [folder.path], timeoutMs: 300 })).applied).toHaveLength(1);
  });

  test("a statement may take longer than a call may", async () => {
    const engine = await openTarget(await fresh(), { POSTGRES_QUERY_TIMEOUT_MS: "2000" });
    const folder = new Folder(side);
    const slow = side === "postgres" ? "SELECT pg_sleep(3);" : "SELECT 1;";
    folder.put("1_a.sql", slow).put("2_b.sql", `-- dualdb: no-transaction\n${slow}`);
    expect((await run(engine, { folders: [folder.path] })).applied).toHaveLength(4);
  });

  test("whoever holds the lock for too long is named", async () => {
    const target = await fresh();
    const [holder, engine] = [await openTarget(target), await openTarget(target, { MIGRATION_TIMEOUT: "50" })];
    const text =
      side === "postgres" ? "SELECT pg_advisory_xact_lock(1685414252, 1835624306)" : "CREATE TABLE held (id INTEGER)";
    await holder.transaction({ mode: "write" }, async (transaction) => {
      await transaction.script(text);
      await expect(run(engine, { timeoutMs: 50 })).rejects.toMatchObject({ code: "MIGRATION_LOCKED", retry: true });
    });
    expect((await run(engine)).applied).toHaveLength(2);
  });

  test("the tables are those of the specification", async () => {
    const { engine } = await started();
    await run(engine);
    const columns: Readonly<Record<string, number>> = {
      messages: 23,
      queries: 15,
      documents: 9,
      document_collaborators: 6,
      user_profiles: 116,
      user_analysis_history: 8,
    };
    for (const [table, count] of Object.entries(columns)) {
      const from =
        side === "postgres" ? "information_schema.columns WHERE table_name =" : "pragma_table_info WHERE arg =";
      expect(await query(engine, `SELECT count(*) AS count FROM ${from} '${table}'`)).toEqual([{ count }]);
    }
    await execute(engine, "INSERT INTO documents (id, title, created_by) VALUES ('d', 't', 'u')");
    const [row] = await query(engine, "SELECT * FROM documents");
    const seconds = Math.floor(Date.now() / 1000);
    expect(row).toMatchObject({ content: "", is_public: 1, metadata: null, created_by_username: null });
    expect(Math.abs(Number(row?.created_at) - seconds)).toBeLessThan(60);
    expect(row?.updated_at).toBe(row?.created_at);
  });

  test("constraints hold", async () => {
    const { engine } = await started();
    await run(engine);
    const refused = { code: "CONSTRAINT_VIOLATED" };
    const message = (type: string) =>
      execute(
        engine,
        `INSERT INTO messages (id, timestamp, sender_type, message_content) VALUES ('m', 1, '${type}', 'x')`,
      );
    await expect(message("robot")).rejects.toMatchObject(refused);
    const profile = (id: string) =>
      execute(
        engine,
        `INSERT INTO user_profiles (id, user_id, username, first_seen_at, last_interaction_at) VALUES ('${id}', 'u', 'n', 1, 1)`,
      );
    const history = () =>
      execute(engine, "INSERT INTO user_analysis_history (id, user_id, analysis_timestamp) VALUES ('h', 'u', 1)");
    await expect(history()).rejects.toMatchObject(refused);
    await profile("p");
    await expect(profile("q")).rejects.toMatchObject(refused);
    await history();
    await execute(engine, "DELETE FROM user_profiles WHERE user_id = 'u'");
    expect(await query(engine, "SELECT id FROM user_analysis_history")).toEqual([]);
  });
});
