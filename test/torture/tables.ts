import { isAdded } from "./added-columns.js";
import { teamName } from "./application.js";
import type { CellValue, TableName } from "./log.js";
import { shared } from "./names.js";

/** A row as a database has it. */
export type Row = Readonly<Record<string, unknown>>;

/** What the model follows of a table, and how it names the rows. */
export interface FollowedTable {
  readonly table: TableName;
  readonly columns: readonly string[];
  /** Columns that tell a row's name and what it hangs on. */
  readonly naming: readonly string[];
  /** Columns of the key, as the journal puts them together. */
  readonly key: readonly string[];
  name(row: Row): string;
}

export const followed: readonly FollowedTable[] = [
  {
    table: "messages",
    columns: ["id", "message_content", "user_id"],
    naming: [],
    key: ["id"],
    name: (row) => firstWord(String(row.message_content).replace(/^Tool: /, ""), row),
  },
  {
    table: "queries",
    columns: ["id", "query_text", "user_id"],
    naming: [],
    key: ["id"],
    name: (row) => firstWord(String(row.query_text), row),
  },
  {
    table: "documents",
    columns: ["id", "title", "content"],
    naming: ["created_by_username"],
    key: ["id"],
    name: (row) => String(row.created_by_username ?? row.id),
  },
  {
    table: "document_collaborators",
    columns: ["id", "role"],
    naming: ["document_id", "user_id"],
    key: ["id"],
    name: (row) => `${row.document_id}/${row.user_id}`,
  },
  {
    table: "user_profiles",
    columns: ["id", "username", "message_count", ...shared.columns],
    naming: ["user_id"],
    key: ["id"],
    name: (row) => String(row.user_id),
  },
  {
    table: "user_analysis_history",
    columns: ["id", "user_id"],
    naming: ["changes_summary"],
    key: ["id"],
    name: (row) => String(row.changes_summary ?? row.id),
  },
  {
    table: "teams",
    columns: ["badge", "score"],
    naming: ["region", "number"],
    key: ["region", "number"],
    name: (row) => teamName(row.region, row.number),
  },
  {
    table: "members",
    columns: ["id", "region", "number"],
    naming: ["name"],
    key: ["id"],
    name: (row) => String(row.name),
  },
];

export function followedTable(table: string): FollowedTable {
  const found = followed.find((candidate) => candidate.table === table);
  if (found === undefined) throw new Error(`nobody follows the table ${table}`);
  return found;
}

/** What the model follows of a row: its columns, and those that the table was given while the application ran. */
export function followedValues({ columns }: FollowedTable, row: Row): Record<string, CellValue> {
  const names = [...columns, ...Object.keys(row).filter(isAdded)];
  return Object.fromEntries(names.map((name) => [name, plain(row[name] ?? null)]));
}

function firstWord(text: string, row: Row): string {
  return /^r\d+s/.test(text) ? (text.split(" ")[0] ?? text) : String(row.id);
}

function plain(value: unknown): CellValue {
  if (typeof value === "bigint") return Number(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  if (value === null || typeof value === "string" || typeof value === "number" || typeof value === "boolean")
    return value;
  throw new Error(`the model follows no column that holds a ${typeof value}`);
}
