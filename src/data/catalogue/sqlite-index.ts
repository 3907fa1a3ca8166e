import { isComment, sqliteTokens } from "../../engines/sql-text.js";

/** What a CREATE INDEX statement of SQLite says and no catalogue lists. */
export interface IndexText {
  /** The columns and expressions as they are written, each with the collation that stands behind it, without ASC and DESC. */
  readonly terms: readonly string[];
  /** The condition of a partial index; null where it has all rows. */
  readonly where: string | null;
}

export function indexTextOf(definition: string): IndexText {
  const sql = definition.replace(sqliteTokens, (token) => (isComment(token) ? " " : token));
  const terms: string[] = [];
  let depth = 0;
  let from = 0;
  for (const { 0: token, index } of sql.matchAll(sqliteTokens)) {
    if (token === "(" && depth++ === 0) from = index + 1;
    const isEnd = token === ")" && --depth === 0;
    if (isEnd || (token === "," && depth === 1)) {
      terms.push(
        sql
          .slice(from, index)
          .trim()
          .replace(/\s+(?:ASC|DESC)$/i, ""),
      );
      from = index + 1;
    }
    if (isEnd) break;
  }
  const [, where = null] = /^\s*WHERE\s([\s\S]*?)[\s;]*$/i.exec(sql.slice(from)) ?? [];
  return { terms, where };
}
