import { describe, expect, test } from "vitest";
import type { Engine } from "../../src/engines/engine.js";
import { silentLogger } from "../../src/logger.js";
import { migrate } from "../../src/schema/migrations.js";
import { openTarget, sides, type TestSide } from "./sides.js";

const newest = "ORDER BY timestamp DESC, id DESC LIMIT 100";
const lastUpdated = "ORDER BY updated_at DESC NULLS LAST, id DESC LIMIT 50";
const search = `to_tsvector('english', translate(COALESCE(message_content, '') || ' ' || COALESCE(tool_name, '') || ' ' || COALESCE(username, ''), '!"#$%&''()*+,-./:;<=>?@[\\]^_\`{|}~', '                                '))`;

const pages = [
  `SELECT * FROM messages ${newest}`,
  `SELECT * FROM messages WHERE user_id = 'u7' ${newest}`,
  `SELECT * FROM messages WHERE user_id = 'u7' AND sender_type = 'human' ${newest}`,
  `SELECT * FROM messages WHERE channel_id = 'c3' ${newest}`,
  `SELECT * FROM messages WHERE guild_id = 'g1' ${newest}`,
  `SELECT * FROM messages WHERE sender_type = 'tool' ${newest}`,
  `SELECT * FROM messages WHERE timestamp >= 4000 AND timestamp <= 4500 ${newest}`,
  `SELECT * FROM messages WHERE channel_id = 'c3' AND timestamp >= 4000 AND timestamp <= 4500 ${newest}`,
  `SELECT * FROM queries ${newest}`,
  `SELECT * FROM queries WHERE user_id = 'u7' ${newest}`,
  `SELECT * FROM documents ${lastUpdated}`,
  `SELECT * FROM documents WHERE created_by = 'u7' ${lastUpdated}`,
  "SELECT * FROM user_profiles ORDER BY last_interaction_at DESC, id DESC LIMIT 100",
  `SELECT * FROM user_profiles WHERE last_analyzed_at IS NULL OR last_interaction_at > last_analyzed_at
    ORDER BY last_analyzed_at NULLS FIRST, id LIMIT 100`,
  "SELECT * FROM user_analysis_history WHERE user_id = 'u7' ORDER BY analysis_timestamp DESC, id DESC LIMIT 10",
];

const lookups = [
  "SELECT * FROM user_profiles WHERE user_id = 'u7'",
  "SELECT * FROM document_collaborators WHERE document_id = 'd7' ORDER BY joined_at NULLS FIRST, id",
  "SELECT * FROM document_collaborators WHERE document_id = 'd7' AND user_id = 'u7'",
  "SELECT count(*) FROM messages WHERE user_id = 'u7'",
];

const fillings = [
  `INSERT INTO messages (id, timestamp, sender_type, user_id, channel_id, guild_id, message_content)
    SELECT 'm' || i, i, CASE WHEN i % 50 = 0 THEN 'tool' ELSE 'human' END, 'u' || i % 50, 'c' || i % 20, 'g' || i % 10,
      'word' || i FROM numbers`,
  "INSERT INTO queries (id, timestamp, user_id, username, query_text) SELECT 'q' || i, i, 'u' || i % 50, 'n', 't' FROM numbers",
  "INSERT INTO documents (id, title, created_by, updated_at) SELECT 'd' || i, 't', 'u' || i % 50, i FROM numbers",
  "INSERT INTO document_collaborators (id, document_id, user_id) SELECT 'l' || i, 'd' || i, 'u' || i % 50 FROM numbers",
  `INSERT INTO user_profiles (id, user_id, username, first_seen_at, last_interaction_at, last_analyzed_at)
    SELECT 'p' || i, 'u' || i, 'n', i, i, i - 1 FROM numbers`,
  `INSERT INTO user_analysis_history (id, user_id, analysis_timestamp)
    SELECT 'h' || i, 'u' || (i % 50 + 1), i FROM numbers`,
  "DROP TABLE numbers",
];

const numbers = `CREATE TABLE numbers AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) SELECT i FROM n`;

async function filled({ fresh, side }: TestSide): Promise<Engine> {
  const engine = await openTarget(await fresh());
  await migrate({ engine, timeoutMs: 30_000, logger: silentLogger });
  const texts = [numbers, ...fillings, ...(side === "postgres" ? ["ANALYZE"] : [])];
  await engine.write(texts.map((text) => ({ sql: text, text, values: [] })));
  return engine;
}

async function planOf(engine: Engine, query: string): Promise<string> {
  const statement = { sql: `EXPLAIN QUERY PLAN ${query}`, text: `EXPLAIN ${query}`, values: [] };
  const rows = await engine.read(statement);
  return rows.map((row) => row.detail ?? row["QUERY PLAN"]).join("\n");
}

describe.each(sides)("indexes on $name", (side) => {
  test("every page of a list is read from an index, in its order; every look-up, too", async () => {
    const engine = await filled(side);
    for (const query of pages) {
      const plan = await planOf(engine, query);
      expect(plan, query).toMatch(/USING (COVERING )?INDEX|Index Scan|Bitmap Index Scan/);
      expect(plan, query).not.toMatch(/SCAN \w+$|Seq Scan/m);
      if (side.side === "sqlite") expect(plan, query).not.toContain("TEMP B-TREE");
    }
    for (const query of lookups) {
      const plan = await planOf(engine, query);
      expect(plan, query).not.toMatch(/SCAN|Seq Scan/);
    }
  });

  test("full text has its index", async () => {
    const engine = await filled(side);
    const condition =
      side.side === "sqlite"
        ? `rowid IN (SELECT rowid FROM messages_fts WHERE messages_fts MATCH '"word7"')`
        : `${search} @@ plainto_tsquery('english', 'word7')`;
    const plan = await planOf(engine, `SELECT id FROM messages WHERE ${condition}`);
    expect(plan).toMatch(/VIRTUAL TABLE INDEX|idx_messages_search/);
    expect(plan).not.toMatch(/SCAN messages$|Seq Scan/m);
  });
});
