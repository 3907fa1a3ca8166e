import { readFileSync } from "node:fs";
import { type Client, createClient, type InValue } from "@libsql/client";

export interface OldBotOptions {
  /** How many clean messages; a fifth as many queries and documents, and one profile for each of five users. Default 20. */
  readonly rows?: number;
  /** Whether there are rows as well that PostgreSQL would not take as they are. Default true. */
  readonly dirty?: boolean;
}

/** Dirty rows by what is wrong with them. All but `refused` can be carried. */
export const dirtyIds = {
  notJson: "dirty-not-json",
  duplicateKeys: "dirty-duplicate-keys",
  longInteger: "dirty-long-integer",
  nul: "dirty-nul",
  surrogate: "dirty-surrogate",
  notUtf8: "dirty-not-utf8",
  fraction: "dirty-fraction",
  empty: "dirty-empty",
  refused: "dirty-refused",
} as const;

/**
 * Writes the file of a bot that has never heard of this package: the six tables with their columns in another order, a messages_fts
 * with the default tokenizer under triggers of its own, and rows.
 */
export async function makeOldBotFile(path: string, { rows = 20, dirty = true }: OldBotOptions = {}): Promise<void> {
  const client = createClient({ url: `file:${path}`, concurrency: 1 });
  try {
    await client.executeMultiple(`${oldTables()}\n${oldSearch}`);
    await insertClean(client, rows);
    if (dirty) await client.executeMultiple(dirtyRows);
  } finally {
    client.close();
  }
}

/** The package's own tables with the columns from last to first: a file that was altered over time has them in any order. */
function oldTables(): string {
  const schema = readFileSync(new URL("../../sql/libsql/0001_tables.sql", import.meta.url), "utf8");
  const tables = [...schema.matchAll(/^CREATE TABLE IF NOT EXISTS (?!dualdb_)(\w+) \(\n(.*?)\n\);/gms)];
  return tables.map(([, name, body = ""]) => `CREATE TABLE ${name} (\n${reversed(body)}\n);`).join("\n");
}

function reversed(body: string): string {
  const lines = body.split(",\n");
  const isConstraint = (line: string) => /^\s*UNIQUE \(/.test(line);
  return [...lines.filter((line) => !isConstraint(line)).reverse(), ...lines.filter(isConstraint)].join(",\n");
}

const oldSearch = `
CREATE INDEX idx_messages_timestamp ON messages (timestamp DESC);
CREATE VIRTUAL TABLE messages_fts USING fts5 (message_content, tool_name, username, content = messages, content_rowid = rowid);
CREATE TRIGGER messages_ai AFTER INSERT ON messages BEGIN
  INSERT INTO messages_fts (rowid, message_content, tool_name, username)
    VALUES (new.rowid, new.message_content, new.tool_name, new.username);
END;
CREATE TRIGGER messages_ad AFTER DELETE ON messages BEGIN
  INSERT INTO messages_fts (messages_fts, rowid, message_content, tool_name, username)
    VALUES ('delete', old.rowid, old.message_content, old.tool_name, old.username);
END;
CREATE TRIGGER "keep messages found" AFTER UPDATE ON messages BEGIN
  INSERT INTO "messages_fts" (messages_fts, rowid, message_content, tool_name, username)
    VALUES ('delete', old.rowid, old.message_content, old.tool_name, old.username);
  INSERT INTO messages_fts (rowid, message_content, tool_name, username)
    VALUES (new.rowid, new.message_content, new.tool_name, new.username);
END;`;

const start = 1_700_000_000_000;
const userOf = (index: number) => `10000000000000000${index % 5}`;

async function insertClean(client: Client, rows: number): Promise<void> {
  const statements: { sql: string; args: InValue[] }[] = [];
  for (let index = 0; index < Math.min(5, rows); index++) statements.push(...profile(index));
  for (let index = 0; index < rows; index++) {
    statements.push(message(index));
    if (index % 5 === 0) statements.push(query(index), ...document(index));
  }
  await client.batch(statements, "write");
}

const int = (value: number) => BigInt(value);

function message(index: number) {
  const sender = ["human", "ai", "tool"][index % 3] ?? "human";
  return {
    sql: `INSERT INTO messages (id, timestamp, sender_type, user_id, username, channel_id, message_content, metadata)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    args: [
      `old-message-${index}`,
      int(start + index * 1000),
      sender,
      userOf(index),
      `user${index % 5}`,
      `channel-${index % 2}`,
      `running message number ${index}`,
      index % 2 === 0 ? `{"b": ${index}, "a": [1, 2.50]}` : null,
    ],
  };
}

function query(index: number) {
  return {
    sql: "INSERT INTO queries (id, timestamp, user_id, username, query_text, result_count) VALUES (?, ?, ?, ?, ?, ?)",
    args: [
      `old-query-${index}`,
      int(start + index),
      userOf(index),
      `user${index % 5}`,
      `how many ${index}`,
      int(index),
    ],
  };
}

function document(index: number) {
  const id = `old-document-${index}`;
  return [
    {
      sql: "INSERT INTO documents (id, title, content, created_by, is_public) VALUES (?, ?, ?, ?, ?)",
      args: [id, `Title ${index}`, "text", userOf(index), int(index % 2)],
    },
    {
      sql: "INSERT INTO document_collaborators (id, document_id, user_id, role) VALUES (?, ?, ?, 'owner')",
      args: [`old-collaborator-${index}`, id, userOf(index)],
    },
  ];
}

function profile(index: number) {
  return [
    {
      sql: `INSERT INTO user_profiles (id, user_id, username, first_seen_at, last_interaction_at, message_count, primary_interests)
        VALUES (?, ?, ?, 1700000000, 1700000100, ?, '["chess"]')`,
      args: [`old-profile-${index}`, userOf(index), `user${index}`, int(index)],
    },
    {
      sql: "INSERT INTO user_analysis_history (id, user_id, analysis_timestamp, feelings_snapshot) VALUES (?, ?, ?, ?)",
      args: [`old-history-${index}`, userOf(index), int(1_700_000_000 + index), '{"joy": 0.5}'],
    },
  ];
}

const dirtyMessage = (id: string, content: string, metadata: string) => `
INSERT INTO messages (id, timestamp, sender_type, message_content, metadata)
  VALUES ('${id}', 1700000000000, 'human', ${content}, ${metadata});`;

const dirtyRows = [
  dirtyMessage(dirtyIds.notJson, "'plain'", "'not json at all'"),
  dirtyMessage(dirtyIds.duplicateKeys, "'plain'", `'{"a": 1, "a": 2}'`),
  dirtyMessage(dirtyIds.longInteger, "'plain'", `'{"id": 12345678901234567890}'`),
  dirtyMessage(dirtyIds.nul, "'before' || char(0) || 'after'", "NULL"),
  dirtyMessage(dirtyIds.surrogate, "'plain'", `'{"half": "\\ud800"}'`),
  dirtyMessage(dirtyIds.notUtf8, "CAST(x'68e96c6c6f' AS TEXT)", "NULL"),
  dirtyMessage(dirtyIds.empty, "''", "''"),
  `INSERT INTO queries (id, timestamp, user_id, username, query_text, result_count, execution_time_ms)
    VALUES ('${dirtyIds.fraction}', 1700000000000, '100000000000000000', '', 'q', 2.5, '17');`,
  `INSERT INTO queries (id, timestamp, user_id, username, query_text, result_count)
    VALUES ('${dirtyIds.refused}', 1700000000000, '100000000000000000', 'user0', 'q', 'many');`,
].join("");
