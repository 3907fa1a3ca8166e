import { setTimeout as sleep } from "node:timers/promises";
import sql, { raw } from "sql-template-tag";
import type { Table } from "../../data/table.js";
import type { Engine, Side, Transaction } from "../../engines/engine.js";
import { searchCondition, searchWords } from "../../services/search.js";

/** Whether messages are found by the words that stand in them, on both sides. */
export interface SearchCheck {
  /** Words that were looked for, each in one message. */
  readonly words: number;
  /** Messages that a side has and does not find. */
  readonly missed: readonly { readonly side: Side; readonly key: string }[];
}

/** The table whose rows are searched. */
export const searched = "messages";

const samples = 20;
const looks = 3;
const pauseMs = 100;

/**
 * Looks for words of messages from all over the table by the full-text indexes of both sides. Only whether the message is found counts:
 * the two indexes need not agree on which words are forms of one another. null where the tables are not those that are searched.
 */
export async function checkSearch(
  tables: readonly Table[],
  sqlite: Engine,
  postgres: Engine,
): Promise<SearchCheck | null> {
  const isSearched = tables.some(({ name }) => name === searched) && (await hasIndex(sqlite));
  if (!isSearched) return null;
  let missed: SearchCheck["missed"] = [];
  let words = 0;
  // A message may change between the look at it and the search.
  for (let look = 0; look < looks; look++) {
    if (look > 0) await sleep(pauseMs);
    const sampled = await sqlite.transaction({ mode: "read" }, sampledWords);
    words = sampled.length;
    missed = [...(await missedBy(sqlite, sampled)), ...(await missedBy(postgres, sampled))];
    if (missed.length === 0) break;
  }
  return { words, missed };
}

interface Sample {
  readonly key: string;
  readonly word: string;
}

async function hasIndex(sqlite: Engine): Promise<boolean> {
  const rows = await sqlite.transaction({ mode: "read" }, (reader) =>
    reader.query(sql`SELECT name FROM sqlite_master WHERE name = 'messages_fts'`),
  );
  return rows.length > 0;
}

/** The longest plain word of messages that stand at even distances. As bytes: the driver cannot read every text. */
async function sampledWords(reader: Transaction): Promise<Sample[]> {
  const [ends] = await reader.query(sql`SELECT min(rowid) AS first, max(rowid) AS last FROM messages`);
  if (typeof ends?.first !== "bigint" || typeof ends.last !== "bigint") return [];
  const found = new Map<string, string>();
  for (let sample = 0n; sample < samples; sample++) {
    const from = ends.first + ((ends.last - ends.first) * sample) / BigInt(samples - 1);
    const [row] = await reader.query(
      sql`SELECT CAST(id AS BLOB) AS id, CAST(message_content AS BLOB) AS content FROM messages WHERE rowid >= ${from} ORDER BY rowid LIMIT 1`,
    );
    const word = longestWord(textOf(row?.content));
    if (word !== null) found.set(textOf(row?.id), word);
  }
  return [...found].map(([key, word]) => ({ key, word }));
}

function textOf(value: unknown): string {
  return value instanceof Uint8Array ? Buffer.from(value).toString("utf8") : "";
}

function longestWord(text: string): string | null {
  const beginning = text.length > 10_000 ? text.slice(0, 10_000).replace(/\S*$/, "") : text;
  const words = (searchWords(beginning) ?? []).filter((word) => /^[a-z]{3,30}$/i.test(word));
  return words.reduce<string | null>((longest, word) => (word.length > (longest?.length ?? 0) ? word : longest), null);
}

async function missedBy(engine: Engine, sampled: readonly Sample[]): Promise<{ side: Side; key: string }[]> {
  const { side } = engine;
  const missed: { side: Side; key: string }[] = [];
  for (const { key, word } of sampled) {
    const rows = await engine.read(
      sql`SELECT CASE WHEN ${searchCondition([word], side)} THEN 1 ELSE 0 END AS found FROM messages WHERE id = ${key} AND ${has(word, side)}`,
    );
    if (rows.some(({ found }) => found === 0)) missed.push({ side, key });
  }
  return missed;
}

/** A row that does not have the word is another one's concern. */
function has(word: string, side: Side) {
  const place = side === "sqlite" ? raw("instr(message_content,") : raw("strpos(message_content,");
  return sql`${place} ${word}) > 0`;
}
