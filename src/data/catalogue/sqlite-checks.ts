import { isComment, sqliteTokens } from "../../engines/sql-text.js";

/** The expressions of a table's CHECK constraints, as its definition spells them. No catalogue of SQLite lists them. */
export function checksOf(definition: string): string[] {
  const checks: string[] = [];
  let opened: { readonly depth: number; readonly from: number } | null = null;
  let depth = 0;
  let afterCheck = false;
  for (const { 0: token, index } of definition.matchAll(sqliteTokens)) {
    if (isComment(token)) continue;
    if (token === "(") {
      if (afterCheck && opened === null) opened = { depth, from: index + 1 };
      depth++;
    } else if (token === ")" && --depth === opened?.depth) {
      checks.push(definition.slice(opened.from, index).trim());
      opened = null;
    }
    afterCheck = /^check$/i.test(token);
  }
  return checks;
}

/** The names in an expression, unquoted and in lower case: those of columns, functions and keywords alike. */
export function namesIn(expression: string): string[] {
  return [...expression.matchAll(sqliteTokens)].flatMap(([token]) => {
    const quoted = /^["`[](.*)["`\]]$/s.exec(token)?.[1];
    if (quoted !== undefined) return [quoted.replaceAll('""', '"').toLowerCase()];
    return /^[A-Za-z_]\w*$/.test(token) ? [token.toLowerCase()] : [];
  });
}
