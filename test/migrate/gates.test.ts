import { readFileSync } from "node:fs";
import { createClient } from "@libsql/client";
import { describe, expect, test } from "vitest";
import { finalize } from "../../src/migrate/finalize.js";
import { type GateName, gate, gates } from "../../src/migrate/gates.js";
import type { ToolOptions } from "../../src/migrate/options.js";
import { repair } from "../../src/migrate/repair.js";
import { recordRun } from "../../src/migrate/runs.js";
import { verify } from "../../src/migrate/verify.js";
import { freshDirectory } from "../support/databases.js";
import type { TestPair } from "../support/pair.js";
import { runAt } from "../support/postgres.js";
import { ownTables, travelledPair, verified } from "../support/travel.js";

const day = 86_400_000;

async function onSqlite(pair: TestPair, ...statements: readonly string[]): Promise<void> {
  const client = createClient({ url: `file:${pair.file}` });
  for (const statement of statements) await client.execute(statement);
  client.close();
}

function onPostgres(pair: TestPair, statements: string): Promise<unknown> {
  return runAt(pair.url, statements);
}

/** A write that only the mirror may do, in the session of one simple query. */
const asMirror = "SELECT set_config('dualdb.mirror', 'on', false);";

async function counter(pair: TestPair, kind: string, name: string, code: string, total: number): Promise<void> {
  await onPostgres(
    pair,
    `INSERT INTO dualdb_counters SELECT max(id), '${kind}', '${name}', '${code}', ${total}, ${Date.now()}, ${Date.now() + 1_000} FROM dualdb_steps`,
  );
}

async function openness(name: GateName, pair: TestPair, options: ToolOptions = {}) {
  const { open, checks } = await gate(name, { env: pair.env("--S"), ...options });
  return { open, unmet: checks.filter(({ ok }) => ok !== true) };
}

interface Case {
  readonly check: string;
  readonly title: string;
  readonly spoil: (pair: TestPair) => Promise<unknown>;
  /** Others that fall with it. */
  readonly also?: readonly string[];
  readonly gate?: GateName;
  readonly options?: (pair: TestPair) => ToolOptions;
  readonly detail: RegExp;
}

const cases: readonly Case[] = [
  {
    check: "schema",
    title: "a migration is missing",
    spoil: (pair) => onPostgres(pair, "DELETE FROM schema_migrations WHERE filename LIKE '0002%'"),
    detail: /PostgreSQL lacks 0002.*dualdb migrate/,
  },
  {
    check: "schema",
    title: "the name of our table of migrations is taken",
    spoil: (pair) =>
      onPostgres(pair, "ALTER TABLE schema_migrations RENAME TO o; CREATE TABLE schema_migrations (version TEXT)"),
    detail: /PostgreSQL has a table schema_migrations of another tool's/,
  },
  {
    check: "pair",
    title: "PostgreSQL has no partner",
    spoil: (pair) => onPostgres(pair, "UPDATE dualdb_state SET pair_id = NULL"),
    also: ["verify", "shadow-errors", "errors"],
    detail: /dualdb migrate/,
  },
  {
    check: "pair",
    title: "a change of the primary is half-way",
    spoil: (pair) => onSqlite(pair, `UPDATE dualdb_state SET "primary" = 'postgres'`),
    detail: /half-way/,
  },
  {
    check: "primary",
    title: "SQLite is primary still",
    spoil: async () => undefined,
    gate: "finalize",
    detail: /USE_POSTGRES_PRIMARY/,
  },
  {
    check: "tables",
    title: "PostgreSQL lacks a table",
    spoil: (pair) => onPostgres(pair, "DROP TABLE queries"),
    also: ["mirrored"],
    detail: /PostgreSQL lacks queries/,
  },
  {
    check: "columns",
    title: "PostgreSQL lacks a column",
    spoil: (pair) => onPostgres(pair, "ALTER TABLE queries DROP COLUMN ai_summary"),
    detail: /PostgreSQL lacks queries\.ai_summary/,
  },
  {
    check: "mirrored",
    title: "a table has no key",
    spoil: async (pair) => {
      await onSqlite(pair, "CREATE TABLE notes (note TEXT)");
      await onPostgres(pair, "CREATE TABLE notes (note TEXT)");
    },
    also: ["verify"],
    detail: /notes \(.*key/,
  },
  {
    check: "foreign-keys",
    title: "a row has lost its parent on both sides",
    spoil: async (pair) => {
      await onPostgres(pair, `${asMirror} SET session_replication_role = replica; DELETE FROM documents`);
      await onSqlite(pair, "PRAGMA foreign_keys = OFF", "DELETE FROM documents", "DELETE FROM dualdb_journal");
    },
    detail: /1 row of document_collaborators \(document_id\) in SQLite; 1 row of .* in PostgreSQL/,
  },
  {
    check: "counts",
    title: "PostgreSQL has a row less, and nobody owes it",
    spoil: (pair) => onPostgres(pair, `${asMirror} DELETE FROM documents`),
    detail: /documents: SQLite 1, PostgreSQL 0.*dualdb verify/,
  },
  {
    check: "verify",
    title: "never",
    spoil: (pair) => onPostgres(pair, "DELETE FROM dualdb_runs"),
    detail: /never verified/,
  },
  {
    check: "verify",
    title: "too long ago",
    spoil: async (pair) => {
      await onPostgres(pair, "DELETE FROM dualdb_runs");
      await verified(pair, 2 * day);
    },
    gate: "postgres",
    detail: /equal 2 days ago, but at most 24 hours/,
  },
  {
    check: "verify",
    title: "of one table, and it differed",
    spoil: (pair) => {
      const at = Date.now() + 10;
      const facts = { tables: ["messages"], compared: ["messages"], differing: ["messages"] };
      return recordRun(pair.postgres, { command: "verify", outcome: "differs", beganAt: at, endedAt: at, facts });
    },
    detail: /differences in messages, found .* ago/,
  },
  {
    check: "verify",
    title: "of one table only",
    spoil: async (pair) => {
      await onPostgres(pair, "DELETE FROM dualdb_runs");
      await verified(pair, 0, ["messages"]);
    },
    detail: /only some tables were verified, and not document_collaborators, documents, queries, /,
  },
  {
    check: "verify",
    title: "of one table too long ago, and of the others since",
    spoil: async (pair) => {
      await onPostgres(pair, "DELETE FROM dualdb_runs");
      await verified(pair, 2 * day);
      const others = ownTables.filter((table) => table !== "queries");
      await verified(pair, 0, others);
    },
    gate: "postgres",
    detail: /queries equal 2 days ago, but at most 24 hours/,
  },
  {
    check: "quarantine",
    title: "PostgreSQL refuses a row",
    spoil: (pair) =>
      onSqlite(
        pair,
        `INSERT INTO dualdb_journal VALUES ('messages', 'm1', 1, ${Date.now()}, 9, 'VALUE_REFUSED 22003')`,
      ),
    detail: /1 row refused.*messages: m1 \(VALUE_REFUSED 22003\)/,
  },
  {
    check: "owed",
    title: "a row has been owed for an hour",
    spoil: (pair) =>
      onSqlite(pair, `INSERT INTO dualdb_journal VALUES ('messages', 'm1', 1, ${Date.now() - 3_600_000}, 0, NULL)`),
    detail: /1 row, the oldest for 60 minutes.*USE_POSTGRES_SHADOW/,
  },
  {
    check: "shadow-errors",
    title: "one row in two was refused",
    spoil: (pair) => counter(pair, "count", "refused", "", 5),
    detail: /5 of 10 rows since the step to shadow.*1 %/,
  },
  {
    check: "shadow-errors",
    title: "the relay failed, and nobody knows why",
    spoil: (pair) => counter(pair, "error", "relay-failed", "QUERY_FAILED", 1),
    also: ["errors"],
    detail: /1 × relay-failed QUERY_FAILED/,
  },
  {
    check: "errors",
    title: "an error was logged",
    spoil: (pair) => counter(pair, "error", "sqlite-unavailable", "DATABASE_UNAVAILABLE", 1),
    detail: /1 × sqlite-unavailable DATABASE_UNAVAILABLE.*dualdb verify/,
  },
  {
    check: "search",
    title: "SQLite's index has nothing in it",
    spoil: (pair) => onSqlite(pair, "INSERT INTO messages_fts (messages_fts) VALUES ('delete-all')"),
    detail: /SQLite does not find 3 messages by a word/,
  },
  {
    check: "json-indexes",
    title: "an index on JSON is not valid",
    spoil: (pair) =>
      onPostgres(
        pair,
        "CREATE INDEX by_user ON messages USING gin (metadata jsonb_path_ops); CREATE INDEX by_metadata ON messages USING gin (metadata); UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'by_metadata'::regclass",
      ),
    detail: /does not use by_metadata/,
  },
];

describe("a gate", () => {
  test("is open where everything is as it should be, from step to step", async () => {
    const pair = await travelledPair();
    await onPostgres(
      pair,
      `CREATE INDEX a ON messages USING gin (metadata); CREATE INDEX b ON messages ((metadata ->> 'x') DESC NULLS LAST);
       CREATE INDEX c ON messages USING gin ((metadata -> 'y') jsonb_path_ops) WHERE metadata ? 'y';
       CREATE INDEX d ON messages (user_id, (metadata ->> 'z')); CREATE INDEX e ON messages USING hash (jsonb_extract_path_text(metadata, 'v'));
       CREATE INDEX f ON messages USING gin (to_tsvector('english', metadata)); CREATE INDEX "no JSON" ON messages (guild_id)`,
    );
    for (const name of ["shadow", "read", "postgres"] as const)
      expect(await openness(name, pair)).toEqual({ open: true, unmet: [] });
    await (await pair.open("P-S")).close();
    const before = (await gate("finalize", { env: pair.env("P-S") })).checks.find(({ name }) => name === "verify");
    expect(before).toMatchObject({ ok: false, detail: expect.stringMatching(/before PostgreSQL became primary/) });
    await verified(pair);
    const { open, checks } = await gate("finalize", { env: pair.env("P-S") });
    expect(checks.filter(({ ok }) => ok !== true)).toEqual([]);
    expect(open).toBe(true);
    expect(checks.find(({ name }) => name === "json-indexes")?.detail).toBe("6 used");
  });

  test.each(cases)("is closed by $check: $title", async ({ check, spoil, also = [], gate: name, options, detail }) => {
    const pair = await travelledPair();
    await spoil(pair);
    const { open, unmet } = await openness(name ?? "read", pair, options?.(pair));
    expect(open).toBe(false);
    expect(unmet.map((failed) => failed.name)).toEqual(expect.arrayContaining([check]));
    expect(unmet.filter((failed) => failed.name !== check && !also.includes(failed.name))).toEqual([]);
    expect(unmet.find((failed) => failed.name === check)?.detail).toMatch(detail);
  });

  test("says that there is nothing to check where no migration has made an index on JSON", async () => {
    const { checks } = await gate("read", { env: (await travelledPair()).env("--S") });
    const detail = "nothing to check: no JSONB column has an index";
    expect(checks).toContainEqual({ name: "json-indexes", ok: true, detail });
  });

  test("is closed by latency: PostgreSQL is slow", async () => {
    const pair = await travelledPair();
    const role = `slow_${Date.now()}`;
    await onPostgres(
      pair,
      `${asMirror} DELETE FROM messages WHERE id <> (SELECT min(id) FROM messages);
       CREATE ROLE ${role} LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO ${role};
       ALTER TABLE messages ENABLE ROW LEVEL SECURITY;
       CREATE POLICY slow ON messages USING (pg_sleep(0.101) IS NOT NULL)`,
    );
    await onSqlite(
      pair,
      "DELETE FROM messages WHERE id <> (SELECT min(id) FROM messages)",
      "DELETE FROM dualdb_journal",
    );
    const url = new URL(pair.url);
    url.username = role;
    const { open, unmet } = await openness("read", pair, { postgres: url.href });
    await onPostgres(pair, `DROP OWNED BY ${role}; DROP ROLE ${role}`);
    expect(unmet.map(({ name }) => name)).toEqual(["latency"]);
    expect(unmet[0]?.detail).toMatch(/messages: p95 1\d\d\.\d ms, where less than 100/);
    expect(open).toBe(false);
  });

  test("cannot be told where PostgreSQL cannot be asked, and is closed where nobody names one", async () => {
    const pair = await travelledPair();
    const silent = await openness("read", pair, { postgres: "postgres://u@127.0.0.1:1/nothing" });
    expect(silent.open).toBeNull();
    expect(silent.unmet.every(({ ok }) => ok === null)).toBe(true);
    expect(silent.unmet.map(({ name }) => name)).toContain("reachable");
    const unnamed = await gate("shadow", { env: { SQLITE_DB_PATH: pair.file } });
    expect(unnamed.open).toBe(false);
  });

  test("is settled by a verify after the error, and counts rows that are on their way as untold", async () => {
    const pair = await travelledPair();
    await counter(pair, "error", "relay-failed", "QUERY_FAILED", 1);
    await counter(pair, "count", "mirrored", "x", 0);
    await onPostgres(pair, "UPDATE dualdb_counters SET total = 1000 WHERE name = 'mirrored'");
    await verified(pair, -5_000);
    expect((await openness("read", pair)).unmet).toEqual([]);
    await onSqlite(pair, "DELETE FROM messages WHERE id = (SELECT min(id) FROM messages)");
    expect(await openness("read", pair)).toEqual({
      open: null,
      unmet: [
        { name: "counts", ok: null, detail: expect.stringMatching(/still owed \(messages: SQLite 2, PostgreSQL 3\)/) },
      ],
    });
  });

  test("takes an error for settled when every table has been verified since, by one run or by several, and not before", async () => {
    const pair = await travelledPair();
    await counter(pair, "error", "relay-failed", "QUERY_FAILED", 1);
    await onPostgres(pair, "UPDATE dualdb_counters SET total = 1000 WHERE kind = 'count'");
    const unmet = async () => (await openness("read", pair)).unmet.map(({ name }) => name);
    await verified(pair, -5_000, ["queries"]);
    expect(await unmet()).toEqual(["shadow-errors", "errors"]);
    await verified(
      pair,
      -5_000,
      ownTables.filter((table) => table !== "queries"),
    );
    expect(await unmet()).toEqual([]);
  });

  test("remembers a difference of a table until that table is found equal, whatever is verified between", async () => {
    const pair = await travelledPair("P-S");
    const env = pair.env("P-S");
    const verdict = async () => (await gate("finalize", { env })).checks.find(({ name }) => name === "verify");
    expect((await verify({ env })).equal).toBe(true);
    await onPostgres(pair, `${asMirror} UPDATE documents SET title = 'changed behind the mirror'`);
    expect((await verify({ env, tables: ["documents"], settleMs: 0 })).equal).toBe(false);
    expect((await verify({ env, tables: ["messages"] })).equal).toBe(true);
    expect(await verdict()).toMatchObject({ ok: false, detail: expect.stringMatching(/^differences in documents, /) });
    const confirm = new URL(pair.url).pathname.slice(1);
    await expect(finalize({ env, confirm, directory: freshDirectory() })).rejects.toMatchObject({
      code: "GATE_CLOSED",
      details: { checks: [expect.objectContaining({ name: "verify", ok: false })] },
    });
    expect((await verify({ env, settleMs: 0 })).equal).toBe(false);
    expect(await verdict()).toMatchObject({ ok: false, detail: expect.stringMatching(/^differences in documents, /) });
    await repair({ env, apply: true, tables: ["documents"], directory: freshDirectory() });
    expect(await verdict()).toMatchObject({ ok: true });
  });

  test("does not take a verify for an answer that began before a difference was found", async () => {
    const pair = await travelledPair();
    const at = Date.now() + 1_000;
    const looked = (
      outcome: "done" | "differs",
      beganAt: number,
      endedAt: number,
      tables: readonly string[] | null,
    ) => {
      const differing = outcome === "done" ? [] : ["documents"];
      const facts = { tables, compared: tables ?? ownTables, differing };
      return recordRun(pair.postgres, { command: "verify", outcome, beganAt, endedAt, facts });
    };
    await looked("differs", at, at + 20, ["documents"]);
    await looked("done", at - 1, at + 30, null);
    expect((await openness("read", pair)).unmet.map(({ name }) => name)).toEqual(["verify"]);
    await looked("done", at + 21, at + 40, null);
    expect((await openness("read", pair)).unmet).toEqual([]);
  });

  test("looks at the tables that are asked for only", async () => {
    const pair = await travelledPair();
    await onSqlite(pair, "CREATE TABLE own (note TEXT)");
    const tables = ["messages", "documents"];
    expect((await openness("read", pair)).open).toBe(false);
    expect(await openness("read", pair, { tables })).toEqual({ open: true, unmet: [] });
    await expect(openness("read", pair, { tables: ["none"] })).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });

  test("stands in MIGRATION.md as it is", () => {
    const guide = readFileSync(new URL("../../MIGRATION.md", import.meta.url), "utf8");
    const rows = [...guide.matchAll(/^\| ([a-z-]+) \| .* \| ([x–]) \| ([x–]) \| ([x–]) \| ([x–]) \|$/gm)];
    const order = ["shadow", "read", "postgres", "finalize"] as const;
    const told = order.map((_name, column) => rows.filter((row) => row[column + 2] === "x").map(([, check]) => check));
    expect(told).toEqual(order.map((name) => gates[name].checks));
  });

  test("has a test for each of its checks", () => {
    const tested = new Set([...cases.map(({ check }) => check), "reachable", "latency"]);
    const names = Object.values(gates).flatMap(({ checks }) => checks);
    expect(new Set(names)).toEqual(tested);
  });
});
