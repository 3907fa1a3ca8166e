import { createHash } from "node:crypto";
import { type Client, createClient } from "@libsql/client";
import type { Finding } from "../../src/data/finding.js";
import type { JsonValue } from "../../src/data/rows/exact-json.js";
import { makeOldBotFile } from "./old-bot.js";
import { runAt } from "./postgres.js";

/** Something that is wrong with one row, and what has to be said about it. Reasons stand without the names of constraints behind them. */
export interface Flaw extends Finding {
  /** What PostgreSQL itself says, where that is other words. */
  readonly refusedWith?: string;
  /** What a copy between databases that are no pair says, where that is other words still. */
  readonly copiedWith?: string;
  /** The mirror meets it in a way that does not tell the column. */
  readonly isUnplaced?: boolean;
  /** What the column holds in PostgreSQL, as JSON; absent where the row cannot go. */
  readonly arrives?: unknown;
}

const orphan = "the row that its foreign key points to is not there";
const tooLarge = "larger than an index or a search vector can hold";
const wrapped = "text that jsonb cannot hold as a document";
const unpaired = "NUL or a lone surrogate in JSON";

const altered = (table: string, key: string, column: string, reason: string, arrives: unknown): Flaw => ({
  ...{ table, key, column, reason, arrives },
  action: "altered",
});

const refused = (table: string, key: string, column: string, reason: string, refusedWith = reason): Flaw => ({
  ...{ table, key, column, reason, refusedWith },
  action: "refused",
});

const wrap = (key: string, text: string): Flaw => ({
  ...{ table: "messages", key, column: "metadata", reason: wrapped, arrives: { "$dualdb:text": text } },
  action: "wrapped",
});

/** All that is wrong with the dirty file: each row has one flaw. */
export const flaws: readonly Flaw[] = [
  wrap("no-json", "not json at all"),
  wrap("empty-json", ""),
  altered("messages", "twice", "metadata", "duplicate keys in JSON", { a: 2, b: [{ c: 4 }] }),
  altered("messages", "nul-json", "metadata", unpaired, { nul: "a\ufffdb" }),
  altered("messages", "half-json", "metadata", unpaired, { half: "\ufffd", whole: "😀" }),
  altered("messages", "nul", "message_content", "NUL or a lone surrogate in text", "before\ufffdafter"),
  altered("messages", "latin", "message_content", "text that is not UTF-8", "h\ufffdllo"),
  altered("messages", "bytes", "message_content", "bytes in a column of text", "hello"),
  altered("messages", "half-past", "timestamp", "fraction in an integer column", 1_700_000_000_001),
  refused("messages", "long-user", "user_id", tooLarge),
  refused("messages", "long-words", "message_content", tooLarge),
  refused("messages", "robot", "sender_type", "a CHECK does not hold"),
  altered("queries", "fraction", "execution_time_ms", "fraction in an integer column", 3),
  refused("queries", "word", "result_count", "not a number in an integer column"),
  refused("queries", "wide", "result_count", "integer beyond the column's range"),
  refused("queries", "wider", "result_count", "integer beyond the column's range"),
  {
    ...refused("queries", "key\ufffd", "id", "text that is not UTF-8 in the key", "the key is not UTF-8"),
    ...{ copiedWith: "text that is not UTF-8 in the key", isUnplaced: true },
  },
  refused("documents", "maybe", "is_public", "neither 0 nor 1 in a flag column"),
  refused("document_collaborators", "lost", "document_id", "no such row in documents", orphan),
  refused("user_analysis_history", "lost", "user_id", "no such row in user_profiles", orphan),
  refused("members", "3", "email", "another row has the same unique value"),
  refused("members", "4", "name", "NULL in a column that is NOT NULL"),
  { ...refused("members", "5", "mood", "no value of the column's type"), isUnplaced: true },
  refused("members", "6", "age", "a CHECK does not hold"),
  refused("members", "7", "level", "integer beyond the column's range"),
  altered("members", "8", "level", "fraction in an integer column", 2),
  refused("invoices", "2", "member", "no such row in members", orphan),
  // The mirror takes the parent along, and hears that it is refused.
  {
    ...refused("invoices", "5", "member", "its row in members would not arrive", "no value of the column's type"),
    ...{ copiedWith: orphan, isUnplaced: true },
  },
];

/** Those whose rows cannot go. */
export const refusals = flaws.filter(({ action }) => action === "refused");
/** Those whose rows go with a change. */
export const changes = flaws.filter(({ action }) => action !== "refused");

export const tables = [
  ...["messages", "queries", "documents", "document_collaborators", "user_profiles", "user_analysis_history"],
  ...["members", "invoices"],
] as const;

/** The tables of the application beside the bot's, as PostgreSQL has them. */
export const applicationTables = `
  CREATE TYPE mood AS ENUM ('good', 'bad');
  CREATE TABLE members (id bigint PRIMARY KEY, email text UNIQUE, name text NOT NULL, mood mood, age integer CHECK (age >= 0), level smallint);
  CREATE TABLE invoices (id bigint PRIMARY KEY, member bigint REFERENCES members, note text);`;

/** A bot's old file with clean rows in every table, and a row for each flaw. SQLite took them: nothing there asks for what PostgreSQL does. */
export async function makeDirtyFile(path: string): Promise<void> {
  await makeOldBotFile(path, { rows: 20, dirty: false });
  const client = open(path);
  try {
    await client.executeMultiple(dirtyRows());
  } finally {
    client.close();
  }
}

const message = (id: string, { timestamp = "1700000000000", content = "'plain'", metadata = "NULL" } = {}) =>
  `INSERT INTO messages (id, timestamp, sender_type, message_content, metadata) VALUES ('${id}', ${timestamp}, 'human', ${content}, ${metadata});`;

const query = (id: string, resultCount: string, milliseconds = "1") =>
  `INSERT INTO queries (id, timestamp, user_id, username, query_text, result_count, execution_time_ms)
     VALUES (${id}, 1700000000000, '100000000000000000', 'u', 'q', ${resultCount}, ${milliseconds});`;

function dirtyRows(): string {
  const rows = [
    message("no-json", { metadata: "'not json at all'" }),
    message("empty-json", { metadata: "''" }),
    message("twice", { metadata: `'{"a": 1, "b": [{"c": 3, "c": 4}], "a": 2}'` }),
    message("nul-json", { metadata: `'{"nul": "a\\u0000b"}'` }),
    message("half-json", { metadata: `'{"half": "\\ud800", "whole": "\\ud83d\\ude00"}'` }),
    message("nul", { content: "'before' || char(0) || 'after'" }),
    message("latin", { content: "CAST(x'68e96c6c6f' AS TEXT)" }),
    message("bytes", { content: "x'68656c6c6f'" }),
    message("half-past", { timestamp: "1700000000000.5" }),
    message("long-user"),
    `UPDATE messages SET user_id = '${incompressible(12_000)}' WHERE id = 'long-user';`,
    `WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 550)
     INSERT INTO messages (id, timestamp, sender_type, message_content)
       SELECT 'long-words', 1, 'human', group_concat(printf('w%d%.*c', i, 2000, 'x'), ' ') FROM n;`,
    message("robot"),
    "UPDATE messages SET sender_type = 'robot' WHERE id = 'robot';",
    // Beside them, what looks odd and goes as it is.
    message("long-number", { metadata: `'{"id": 12345678901234567890}'` }),
    message("spaces", { content: "' '", metadata: "'null'" }),
    query("'fraction'", "1", "2.5"),
    query("'word'", "'many'"),
    query("'wide'", "4294967296"),
    query("'wider'", "9007199254740993"),
    query("CAST(x'6b6579ff' AS TEXT)", "1"),
    query("'numeric'", "' 17 '"),
    "INSERT INTO documents (id, title, created_by, is_public) VALUES ('maybe', 't', 'u', 'maybe');",
    "INSERT INTO document_collaborators (id, document_id, user_id) VALUES ('lost', 'no-such-document', 'u');",
    "INSERT INTO user_analysis_history (id, user_id, analysis_timestamp) VALUES ('lost', 'nobody', 1700000000);",
    "CREATE TABLE invoices (id INTEGER PRIMARY KEY, member INTEGER, note TEXT);",
    "CREATE TABLE members (id INTEGER PRIMARY KEY, email TEXT, name TEXT, mood TEXT, age INTEGER, level INTEGER);",
    `INSERT INTO members VALUES (1, 'one', 'a', 'good', 20, 1), (2, 'same', 'b', 'good', 20, 1), (3, 'same', 'c', 'good', 20, 1),
       (4, 'four', NULL, 'good', 20, 1), (5, 'five', 'e', 'odd', 20, 1), (6, 'six', 'f', 'good', -1, 1), (7, 'seven', 'g', 'good', 20, 40000),
       (8, 'eight', 'h', 'bad', 20, 1.5), (9, NULL, 'i', NULL, NULL, NULL), (10, NULL, 'j', 'bad', 0, -32768);`,
    "INSERT INTO invoices VALUES (1, 1, 'first'), (2, 99, 'for nobody'), (3, NULL, ''), (4, 2, NULL), (5, 5, 'waits'), (6, 8, 'its member is changed');",
  ];
  return ["PRAGMA foreign_keys = OFF;", "PRAGMA ignore_check_constraints = ON;", ...rows].join("\n");
}

/** Text that PostgreSQL cannot make small enough for an index. */
function incompressible(length: number): string {
  const parts: string[] = [];
  for (let index = 0; parts.length * 64 < length; index++)
    parts.push(createHash("sha256").update(String(index)).digest("hex"));
  return parts.join("").slice(0, length);
}

/** A value as SQLite stores it: its storage class, and its bytes in hexadecimal digits. */
type Cell = readonly [type: string, hex: string];
type Stored = Readonly<Record<string, Cell>>;

const open = (path: string): Client => createClient({ url: `file:${path}`, concurrency: 1 });
const textOf = ([, hex]: Cell): string => Buffer.from(hex, "hex").toString("utf8");

/** Every row of the tables as it is stored, by key, read with nothing of the package. */
export async function storedRows(path: string): Promise<Record<string, Record<string, Stored>>> {
  const client = open(path);
  try {
    const found: Record<string, Record<string, Stored>> = {};
    for (const table of tables) found[table] = await storedRowsOf(client, table);
    return found;
  } finally {
    client.close();
  }
}

async function storedRowsOf(client: Client, table: string): Promise<Record<string, Stored>> {
  const { rows } = await client.execute({ sql: "SELECT name FROM pragma_table_info(?)", args: [table] });
  const columns = rows.map(({ name }) => String(name));
  // As digits: SQLite's driver takes no text that is not UTF-8.
  const cells = columns.map((name) => `json_array(typeof("${name}"), hex(CAST("${name}" AS BLOB)))`);
  const { rows: lists } = await client.execute(`SELECT json_array(${cells.join(", ")}) AS cells FROM ${table}`);
  const stored = lists.map(({ cells: list }) => {
    const values = JSON.parse(String(list)) as Cell[];
    return Object.fromEntries(columns.map((name, index) => [name, values[index] as Cell]));
  });
  return Object.fromEntries(stored.map((row) => [textOf(row.id as Cell), row]));
}

/** What a row of a file of rejects would store. */
export function storedFrom(row: Readonly<Record<string, JsonValue>>): Stored {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, cellOf(value)]));
}

function cellOf(value: JsonValue): Cell {
  if (value === null) return ["null", ""];
  if (typeof value === "string") return ["text", hexOf(value)];
  if (typeof value === "number") return [Number.isInteger(value) ? "integer" : "real", hexOf(String(value))];
  if (typeof value === "boolean") throw new Error("SQLite stores no such thing");
  if ("$integer" in value) return ["integer", hexOf(value.$integer)];
  if ("$real" in value) return ["real", hexOf(value.$real)];
  if ("$bytes" in value) return ["blob", Buffer.from(value.$bytes, "base64").toString("hex").toUpperCase()];
  return ["text", Buffer.from(value.$text, "base64").toString("hex").toUpperCase()];
}

function hexOf(text: string): string {
  return Buffer.from(text).toString("hex").toUpperCase();
}

type Json = Readonly<Record<string, unknown>>;

/** What PostgreSQL is to hold of the file: every row but those that are refused, each value as it was but for the changes. */
export async function expectedRows(path: string, url: string): Promise<Record<string, Record<string, Json>>> {
  const types = await typesOf(url);
  const stored = await storedRows(path);
  const expected = (table: string, key: string, row: Stored): Json => {
    const values = Object.entries(row).map(([name, cell]): [string, unknown] => {
      const change = changes.find((flaw) => flaw.table === table && flaw.key === key && flaw.column === name);
      return [name, change === undefined ? asType(types.get(`${table}.${name}`), cell) : change.arrives];
    });
    return Object.fromEntries(values);
  };
  const going = (table: string, key: string) => !refusals.some((flaw) => flaw.table === table && flaw.key === key);
  return Object.fromEntries(
    Object.entries(stored).map(([table, rows]) => {
      const carried = Object.entries(rows).filter(([key]) => going(table, key));
      return [table, Object.fromEntries(carried.map(([key, row]) => [key, expected(table, key, row)]))];
    }),
  );
}

/** Every row that PostgreSQL has, by key. */
export async function arrivedRows(url: string): Promise<Record<string, Record<string, Json>>> {
  const found: Record<string, Record<string, Json>> = {};
  for (const table of tables) {
    const rows = await runAt(url, `SELECT id::text AS key, to_jsonb(t) AS row FROM ${table} AS t`);
    found[table] = Object.fromEntries(rows.map(({ key, row }) => [String(key), row as Json]));
  }
  return found;
}

async function typesOf(url: string): Promise<Map<string, string>> {
  const text = `SELECT table_name || '.' || column_name AS name, data_type FROM information_schema.columns
    WHERE table_schema = current_schema()`;
  return new Map((await runAt(url, text)).map(({ name, data_type: type }) => [String(name), String(type)]));
}

function asType(type: string | undefined, cell: Cell): unknown {
  if (cell[0] === "null") return null;
  const text = textOf(cell);
  if (type === "jsonb") return JSON.parse(text);
  if (type === "boolean") return text !== "0";
  return type === "text" || type === "USER-DEFINED" ? text : Number(text);
}
