import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Engine, Statement } from "../../src/engines/engine.js";
import { serviceSides } from "../support/service-sides.js";
import { openServices, type Services } from "../support/services.js";

/** Many rows for few users, so that PostgreSQL has a reason to use an index. */
const rows = {
  messages: `SELECT 'm' || n, n, 'human', 'user' || (n % 50), 'ada', 'channel' || (n % 20), 'general', 'guild' || (n % 5), 'word' || n FROM numbers`,
  queries: `SELECT 'q' || n, n, 'user' || (n % 50), 'ada', '?' FROM numbers`,
  documents: `SELECT 'd' || n, 't', 'user' || (n % 50), n FROM numbers`,
  document_collaborators: `SELECT 'c' || n, 'd' || n, 'user' || (n % 50) FROM numbers`,
  user_profiles: `SELECT 'p' || n, 'user' || n, 'ada', n, n FROM numbers`,
  user_analysis_history: `SELECT 'h' || n, 'user' || (1 + n % 50), n FROM numbers`,
};
const columns: Record<keyof typeof rows, string> = {
  messages: "id, timestamp, sender_type, user_id, username, channel_id, channel_name, guild_id, message_content",
  queries: "id, timestamp, user_id, username, query_text",
  documents: "id, title, created_by, updated_at",
  document_collaborators: "id, document_id, user_id",
  user_profiles: "id, user_id, username, first_seen_at, last_interaction_at",
  user_analysis_history: "id, user_id, analysis_timestamp",
};

const calls: [string, (services: Services) => Promise<unknown>][] = [
  ["all messages", ({ messages }) => messages.queryMessages()],
  ["a user's messages", ({ messages }) => messages.queryMessages({ userId: "user7" })],
  ["a channel's messages", ({ messages }) => messages.queryMessages({ channelId: "channel7", startTime: 9 })],
  ["a guild's messages", ({ messages }) => messages.queryMessages({ guildId: "guild1" })],
  ["messages of a time", ({ messages }) => messages.queryMessages({ startTime: 100, endTime: 200 })],
  ["people's messages", ({ messages }) => messages.queryMessages({ senderType: "human" })],
  ["messages with a word", ({ messages }) => messages.queryMessages({ searchText: "word77" })],
  [
    "a user's messages with a word",
    ({ messages }) => messages.queryMessages({ searchText: "word77", userId: "user27" }),
  ],
  ["a message", ({ messages }) => messages.getMessageById("m5")],
  ["all queries", ({ queries }) => queries.getRecentQueries()],
  ["a user's queries", ({ queries }) => queries.getRecentQueries({ userId: "user7" })],
  ["all documents", ({ documents }) => documents.listDocuments()],
  ["a user's documents", ({ documents }) => documents.listDocuments({ createdBy: "user7" })],
  ["a document's collaborators", ({ documents }) => documents.getDocumentCollaborators("d7")],
  ["access to a document", ({ documents }) => documents.hasDocumentAccess("d7", "user7")],
  ["a profile", ({ profiles }) => profiles.getUserProfile("user7")],
  ["a user's analyses", ({ profiles }) => profiles.getAnalysisHistory("user7")],
  ["profiles that need an analysis", ({ profiles }) => profiles.getUsersNeedingAnalysis(10)],
  ["the profiles seen last", ({ profiles }) => profiles.getAllUserProfiles(10)],
];

describe.each(serviceSides)("plans on $name", (side) => {
  let services: Services;
  let engine: Engine;
  beforeAll(async () => {
    services = await openServices(side);
    engine = services.engine;
    await engine.transaction({ mode: "write" }, (transaction) => transaction.script(fill()));
  });
  afterAll(() => services.close());

  it.each(calls)("%s: no full scan", async (_, call) => {
    await call(services);
    const statement = services.adapter.statements.at(-1) as Statement;
    const plan = await planOf(engine, statement);
    const scan = side.side === "sqlite" ? /SCAN (?!messages_fts)(?!.*USING (COVERING )?INDEX)/ : /Seq Scan/;
    expect(plan).not.toBe("");
    expect(plan).not.toMatch(scan);
  });
});

function fill(): string {
  const numbers = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 3000)";
  const tables = Object.keys(rows) as (keyof typeof rows)[];
  tables.sort((one, other) => Number(one === "user_analysis_history") - Number(other === "user_analysis_history"));
  const inserts = tables.map((table) => `INSERT INTO ${table} (${columns[table]}) ${numbers} ${rows[table]};`);
  return inserts.join("\n");
}

async function planOf(engine: Engine, { sql, text, values }: Statement): Promise<string> {
  if (engine.side === "postgres") await engine.write([plain("ANALYZE")]);
  const explain = { sql: `EXPLAIN QUERY PLAN ${sql}`, text: `EXPLAIN ${text}`, values };
  const lines = await engine.read(explain);
  return lines.map((line) => line.detail ?? line["QUERY PLAN"]).join("\n");
}

function plain(text: string): Statement {
  return { sql: text, text, values: [] };
}
