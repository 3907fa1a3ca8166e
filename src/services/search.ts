import sql, { join, raw, type Sql } from "sql-template-tag";
import { cleanText } from "../data/conversion/text.js";
import type { Side } from "../engines/engine.js";
import { stopWords } from "./stop-words.js";

/** The longest word, in bytes, that PostgreSQL's index holds. A longer one is in no row that both sides can find. */
const longestWord = 2_046;

/** Both sides get slower with the square of the words in one expression. */
const wordsPerExpression = 1_000;

/** More distinct words than a search vector, which ends at 1 MB, can hold: no message has them all. */
const mostWords = 500_000;

/** The expression of the index `idx_messages_search`, to the letter, or PostgreSQL passes the index over. */
const searchVector = raw(
  `to_tsvector('english', translate(COALESCE(message_content, '') || ' ' || COALESCE(tool_name, '') || ' ' || COALESCE(username, ''), '!"#$%&''()*+,-./:;<=>?@[\\]^_\`{|}~', '                                '))`,
);

/**
 * The words that a message must hold, all of them: runs of letters and digits, without English stop words. null where the text is
 * blank, which is no filter; empty where no message can match.
 */
export function searchWords(text: string): readonly string[] | null {
  const clean = cleanText(text);
  if (clean.trim() === "") return null;
  const words = [...new Set(clean.match(run) ?? [])].filter((word) => !stopWords.has(word.toLowerCase()));
  return words.length > mostWords || words.some(isTooLong) ? [] : words;
}

/** The condition on `messages` that all the words are there, in the language of one side's full-text index. */
export function searchCondition(words: readonly string[], side: Side): Sql {
  const matches = side === "postgres" ? postgresMatches : sqliteMatches;
  return join(chunksOf(words, wordsPerExpression).map(matches), " AND ");
}

/** Marks belong to the letter before them, as both indexes see it: `e` with a combining accent, the vowel signs of Devanagari. */
const run = /[\p{L}\p{N}][\p{L}\p{N}\p{M}]*/gu;

function isTooLong(word: string): boolean {
  return Buffer.byteLength(word) > longestWord;
}

function postgresMatches(words: readonly string[]): Sql {
  return sql`${searchVector} @@ plainto_tsquery('english', ${words.join(" ")})`;
}

function sqliteMatches(words: readonly string[]): Sql {
  const expression = words.map((word) => `"${word}"`).join(" ");
  return sql`messages.rowid IN (SELECT rowid FROM messages_fts WHERE messages_fts MATCH ${expression})`;
}

function chunksOf(words: readonly string[], size: number): string[][] {
  const starts = Array.from({ length: Math.ceil(words.length / size) }, (_, index) => index * size);
  return starts.map((start) => words.slice(start, start + size));
}
