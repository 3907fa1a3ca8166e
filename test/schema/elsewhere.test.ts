import { expect, onTestFinished, test } from "vitest";
import { readConfig } from "../../src/config.js";
import { openPostgres } from "../../src/engines/postgres.js";
import { silentLogger } from "../../src/logger.js";
import { checkMigrations, listMigrations, migrate } from "../../src/schema/migrations.js";
import { freshPostgres } from "../support/databases.js";
import { oneValue, openAt, script, serverConfig } from "../support/libsql.js";
import { available, startPgBouncer } from "../support/pgbouncer.js";
import { sqldRuns, startSqld } from "../support/sqld.js";
import { Folder } from "./folder.js";

const options = { timeoutMs: 30_000, logger: silentLogger };
const upToDate = { pending: [], unknown: [], changed: [] };

test.runIf(available)("twenty runs at once behind PgBouncer in transaction mode", async () => {
  const direct = await freshPostgres();
  const bouncer = await startPgBouncer(Number(new URL(direct).port));
  onTestFinished(() => bouncer.stop());
  const { postgres } = readConfig({ DATABASE_URL: bouncer.url(direct), POSTGRES_POOL_SIZE: "2" });
  if (postgres === null) throw new Error("no PostgreSQL");
  const engines = Array.from({ length: 20 }, () => openPostgres({ config: postgres, logger: silentLogger }));
  onTestFinished(async () => {
    await Promise.all(engines.map((engine) => engine.close()));
  });
  const folder = new Folder("postgres").put(
    "1_a.sql",
    "-- dualdb: no-transaction\nCREATE INDEX CONCURRENTLY by_guild ON messages (guild_id);",
  );
  const folders = [folder.path];
  const reports = await Promise.all(engines.map((engine) => migrate({ engine, folders, ...options })));
  expect(reports.flatMap(({ applied }) => applied)).toHaveLength(3);
  const [engine] = engines;
  if (engine === undefined) throw new Error("no engine");
  expect((await listMigrations("postgres", engine, folders)).map(({ status }) => status)).toEqual(
    Array(3).fill("applied"),
  );
});

test.runIf(sqldRuns)("several runs at once on a libSQL server", async () => {
  const server = await startSqld();
  onTestFinished(() => server.stop());
  const engines = await Promise.all(Array.from({ length: 5 }, () => openAt(serverConfig(server.url))));
  onTestFinished(async () => {
    await Promise.all(engines.map((engine) => engine.close()));
  });
  const reports = await Promise.all(engines.map((engine) => migrate({ engine, ...options })));
  expect(reports.flatMap(({ applied }) => applied)).toHaveLength(2);
  const [engine] = engines;
  if (engine === undefined) throw new Error("no engine");
  expect(await checkMigrations(engine)).toEqual(upToDate);
  const put = (verb: string, content: string) =>
    `${verb} INTO messages (id, timestamp, sender_type, message_content) VALUES ('a', 1, 'human', '${content}');`;
  await script(engine, put("INSERT", "first") + put("REPLACE", "second"));
  await script(engine, "INSERT INTO messages_fts (messages_fts, rank) VALUES ('integrity-check', 1)");
  const found = "SELECT count(*) FROM messages_fts WHERE messages_fts MATCH";
  expect([await oneValue(engine, `${found} 'first'`), await oneValue(engine, `${found} 'second'`)]).toEqual([0, 1]);
});
