/** Literals, quoted names and comments of SQLite's SQL as one token each: what stands inside them is no SQL. White space is no token. */
export const sqliteTokens =
  /'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|\w+|[^\s\w]/g;

export function isComment(token: string): boolean {
  return token.startsWith("--") || token.startsWith("/*");
}

/** Whether a statement gives rows and changes nothing, as far as its first word tells. */
export function isSelect(sql: string): boolean {
  return /^(?:SELECT|WITH|VALUES)$/i.test(firstWord(sql));
}

/** Whether another statement stands behind the first: SQLite's driver would leave it out without a word. */
export function holdsSeveral(sql: string): boolean {
  if (!sql.includes(";") || isTrigger(sql)) return false;
  let isOver = false;
  for (const [token] of sql.matchAll(sqliteTokens)) {
    if (isOver && token !== ";" && !isComment(token)) return true;
    isOver ||= token === ";";
  }
  return false;
}

/** The text without the semicolons at its end, and what comments stand behind them. */
export function withoutEnd(sql: string): string {
  return sql.replace(/;(?:[;\s]|--[^\n]*|\/\*[\s\S]*?\*\/)*$/, "");
}

function firstWord(sql: string): string {
  for (const [token] of sql.matchAll(sqliteTokens)) if (!isComment(token)) return token;
  return "";
}

/** A trigger's body is made of statements. */
function isTrigger(sql: string): boolean {
  return /^\s*CREATE\s+(?:TEMP\s+|TEMPORARY\s+)?TRIGGER\b/i.test(sql);
}
