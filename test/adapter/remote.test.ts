import { expect, test } from "vitest";
import { createDatabase, type Database } from "../../src/database.js";
import { openLibsql } from "../../src/engines/libsql.js";
import { openPostgres } from "../../src/engines/postgres.js";
import { silentLogger } from "../../src/logger.js";
import { compareDatabases } from "../../src/migrate/compare.js";
import { migrate as migratePair } from "../../src/migrate/migrate.js";
import { migrate } from "../../src/schema/migrations.js";
import { freshPostgres, freshSqlite } from "../support/databases.js";
import { serverConfig } from "../support/libsql.js";
import { configOf } from "../support/postgres-config.js";
import { origin } from "../support/services.js";
import { sqldRuns, startSqld } from "../support/sqld.js";

const phases = [
  {},
  { USE_POSTGRES_SHADOW: "on" },
  { USE_POSTGRES_SHADOW: "on", USE_POSTGRES_READ: "on" },
  { USE_POSTGRES_SHADOW: "on", USE_POSTGRES_PRIMARY: "on" },
  { USE_POSTGRES_PRIMARY: "on" },
  {},
  { USE_POSTGRES_SHADOW: "on" },
];

/** The same bot in every phase: writes, reads its own writes at once, changes and deletes. */
async function live(database: Database, phase: number): Promise<void> {
  const { messageService, documentService, userProfileService } = database;
  const before = await messageService.getMessageCount();
  const id = await messageService.saveHumanMessage({ ...origin, messageContent: `phase ${phase}` });
  expect(await messageService.getMessageCount()).toBe(before + 1);
  expect(await messageService.getMessageById(id)).toMatchObject({ message_content: `phase ${phase}` });
  await userProfileService.getOrCreateUserProfile(origin.userId, `ada${phase}`);
  expect(await userProfileService.getUserProfile(origin.userId)).toMatchObject({ username: `ada${phase}` });
  const kept = await documentService.createDocument({ title: "kept", createdBy: origin.userId });
  const deleted = await documentService.createDocument({ title: "deleted", createdBy: origin.userId });
  await documentService.addCollaborator({ documentId: kept.id, userId: "223456789012345678" });
  expect(await documentService.deleteDocument(deleted.id)).toBe(true);
  expect(await documentService.getDocument(deleted.id)).toBeNull();
}

test.runIf(sqldRuns)("a libSQL server goes through every phase like a file", async () => {
  const server = await startSqld();
  const url = await freshPostgres();
  const postgres = openPostgres({ config: configOf(url), logger: silentLogger });
  await migrate({ engine: postgres, timeoutMs: 30_000, logger: silentLogger });
  for (const [phase, flags] of phases.entries()) {
    const database = createDatabase({ env: { TURSO_DATABASE_URL: server.url, DATABASE_URL: url, ...flags } });
    await live(database, phase);
    if ("USE_POSTGRES_SHADOW" in flags) expect(await database.drain()).toEqual({ pending: 0, quarantined: 0 });
    await database.close();
  }
  const sqlite = await openLibsql({ config: serverConfig(server.url), logger: silentLogger });
  const { equal, tables } = await compareDatabases(sqlite, postgres);
  expect(tables.find(({ table }) => table === "messages")).toMatchObject({
    sqlite: phases.length,
    postgres: phases.length,
  });
  expect(equal).toBe(true);
  await Promise.all([sqlite.close(), postgres.close()]);
  await server.stop();
});

test.runIf(sqldRuns)("a new libSQL server beside a PostgreSQL that has another partner stays empty", async () => {
  const server = await startSqld();
  const url = await freshPostgres();
  await migratePair({ env: { SQLITE_DB_PATH: freshSqlite(), DATABASE_URL: url } });
  const env = { TURSO_DATABASE_URL: server.url, DATABASE_URL: url };
  const refused = { code: "PAIR_MISMATCH", message: expect.stringContaining("There is no SQLite database at") };
  await expect(migratePair({ env })).rejects.toMatchObject(refused);
  await expect(createDatabase({ env }).open()).rejects.toMatchObject(refused);
  const sqlite = await openLibsql({ config: serverConfig(server.url), logger: silentLogger });
  expect(await sqlite.read({ sql: "SELECT name FROM sqlite_master", text: "", values: [] })).toEqual([]);
  await sqlite.close();
  await server.stop();
});
