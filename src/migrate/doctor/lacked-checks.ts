import type { TablePair } from "../../data/catalogue/discover.js";
import { namesIn } from "../../data/catalogue/sqlite-checks.js";
import { type Column, nameOn, quotedOn } from "../../data/table.js";
import type { Problem } from "./problem.js";

const consequence = "Once PostgreSQL is primary, rows that SQLite refuses would come up, and stay owed";

/** Columns that SQLite keeps from being NULL, and PostgreSQL does not. A key that PostgreSQL lacks is another matter. */
export function lackedNotNulls({ table, sqlite }: TablePair): Problem[] {
  const alter = `ALTER TABLE ${quotedOn("postgres", table)} ALTER COLUMN`;
  return table.columns
    .filter(({ sqliteNotNull, notNull, base }) => sqliteNotNull === true && !notNull && base === undefined)
    .filter(({ name }) => !sqlite.primaryKey.includes(name))
    .map((column) =>
      lacked(
        table.name,
        column.name,
        "the column may be NULL, in SQLite it may not",
        `${consequence}: ${alter} ${quotedOn("postgres", column)} SET NOT NULL.`,
      ),
    );
}

/**
 * CHECKs of SQLite about columns for which PostgreSQL has none. Nobody can tell whether two expressions mean the same, so that any CHECK of
 * PostgreSQL about the same columns will do, and so will a type that rules what they hold.
 */
export function lackedChecks({ table, sqlite, postgres }: TablePair): Problem[] {
  const checked = new Set((postgres.checkColumns ?? []).flatMap(({ columns }) => columns));
  const lists = sqlite.checks.flatMap((check) => {
    const names = new Set(namesIn(withoutTypes(check)));
    const columns = table.columns.filter(({ name }) => names.has(name.toLowerCase()));
    const isCovered = columns.every((column) => checked.has(nameOn("postgres", column)) || isRuled(column, names));
    return isCovered ? [] : [`(${columns.map(({ name }) => name).join(", ")})`];
  });
  if (lists.length === 0) return [];
  const all = [...new Set(lists)].join(", ");
  return [lacked(table.name, null, `lacks SQLite's CHECKs on ${all}`, `${consequence}: add them.`)];
}

/** What SQLite alone has to ask for. */
function withoutTypes(check: string): string {
  return check.replace(/\btypeof\s*\([^()]*\)/gi, "");
}

/** Whether the type says it: a boolean is 0 or 1, a document is valid, an enum is one of its values, text is not too long. */
function isRuled({ kind, base, type = "" }: Column, names: ReadonlySet<string>): boolean {
  return (
    ["boolean", "json", "other"].includes(kind) || base !== undefined || (names.has("length") && type.includes("("))
  );
}

function lacked(table: string, column: string | null, problem: string, next: string): Problem {
  return { severity: "warning", side: "postgres", table, column, problem, stops: null, next };
}
