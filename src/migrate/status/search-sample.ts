import sql from "sql-template-tag";
import type { Engine } from "../../engines/engine.js";
import { searchCondition, searchWords } from "../../services/search.js";

/** What searches for the words of some messages have found. */
export interface SearchSample {
  readonly searches: number;
  /** Messages that a side did not find by their own words. */
  readonly missed: readonly { readonly side: Engine["side"]; readonly key: string }[];
  /** Searches that found more on one side than on the other. */
  readonly apart: number;
}

const looked = 100;
const samples = 10;
const mostWords = 8;
const timeoutMs = 10_000;

/**
 * Searches both sides for the words of some of PostgreSQL's latest messages: each has to be found by its own words. A message that is
 * still owed, or that has changed or gone meanwhile, tells nothing and is left out.
 */
export async function sampleSearches(sqlite: Engine, postgres: Engine): Promise<SearchSample> {
  const missed: SearchSample["missed"][number][] = [];
  let searches = 0;
  let apart = 0;
  for (const message of await latestMessages(postgres)) {
    const hits = { sqlite: await hitsOf(sqlite, message), postgres: await hitsOf(postgres, message) };
    if (!(await isSettled(sqlite, message)) || !(await isSettled(postgres, message))) continue;
    searches += 1;
    for (const side of ["sqlite", "postgres"] as const) if (!hits[side].found) missed.push({ side, key: message.key });
    if (hits.sqlite.count !== hits.postgres.count) apart += 1;
  }
  return { searches, missed, apart };
}

interface Message {
  readonly key: string;
  readonly content: string;
  readonly words: readonly string[];
}

/** Those with the most words, which few others have. */
async function latestMessages(postgres: Engine): Promise<Message[]> {
  const rows = await postgres.read(
    sql`SELECT id, message_content FROM messages ORDER BY timestamp DESC, id DESC LIMIT ${looked}`,
    { timeoutMs },
  );
  const messages = rows.map((row) => {
    const content = String(row.message_content);
    const words = (searchWords(content) ?? []).filter((word) => plain.test(word)).slice(0, mostWords);
    return { key: String(row.id), content, words };
  });
  const searchable = messages.filter(({ words }) => words.length > 0);
  return searchable.sort((left, right) => right.words.length - left.words.length).slice(0, samples);
}

/** What both sides take for the same word, whatever the locale of PostgreSQL. */
const plain = /^[a-z]+$/i;

async function hitsOf(engine: Engine, { key, words }: Message) {
  const [row] = await engine.read(
    sql`SELECT COUNT(*) AS hits, COALESCE(SUM(CASE WHEN id = ${key} THEN 1 ELSE 0 END), 0) AS found
      FROM messages WHERE ${searchCondition(words, engine.side)}`,
    { timeoutMs },
  );
  return { count: Number(row?.hits), found: Number(row?.found) === 1 };
}

/** Whether that side has the message as it was read, and owes it to nobody. */
async function isSettled(engine: Engine, { key, content }: Message): Promise<boolean> {
  const [row] = await engine.read(
    sql`SELECT COUNT(*) AS rows FROM messages WHERE id = ${key} AND message_content = ${content}
      AND NOT EXISTS (SELECT 1 FROM dualdb_journal WHERE table_name = 'messages' AND row_key = ${key})`,
    { timeoutMs },
  );
  return Number(row?.rows) === 1;
}
