import type { Kind } from "../table.js";

/** What SQLite does to a value that is put into a column: https://www.sqlite.org/datatype3.html */
export type Affinity = "integer" | "text" | "none" | "real" | "numeric";

/** SQLite's own rule for the affinity of a declared type. */
export function affinityOf(declared: string): Affinity {
  const type = declared.toUpperCase();
  if (type.includes("INT")) return "integer";
  if (/CHAR|CLOB|TEXT/.test(type)) return "text";
  if (type === "" || type.includes("BLOB")) return "none";
  return /REAL|FLOA|DOUB/.test(type) ? "real" : "numeric";
}

const kinds: Readonly<Record<Affinity, Kind>> = {
  integer: "bigint",
  text: "text",
  none: "blob",
  real: "real",
  numeric: "numeric",
};

/** What a column of that declared type usually holds; SQLite itself takes anything. */
export function kindOfDeclared(declared: string): Kind {
  return kinds[affinityOf(declared)];
}

/** The numbers that a declared type has in parentheses: 9 and 2 for `DECIMAL(9, 2)`. */
export function limitsOfDeclared(declared: string): number[] {
  const limits = /\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)/.exec(declared);
  return (limits ?? []).slice(1).flatMap((limit) => (limit === undefined ? [] : [Number(limit)]));
}
