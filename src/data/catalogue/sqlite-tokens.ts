/** Literals, quoted names and comments as one token each: what stands inside them is no SQL. White space is no token. */
export const sqliteTokens =
  /'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|\w+|[^\s\w]/g;

export function isComment(token: string): boolean {
  return token.startsWith("--") || token.startsWith("/*");
}
