import { statement, type Transaction } from "../../engines/engine.js";
import { quote } from "../table.js";
import { type ListedTable, listSqliteTables, type VirtualTable } from "./sqlite-tables.js";

/** A table of SQLite that is left out for what it is: its rows are no application's, or cannot be had by themselves. */
export interface Uncarried {
  readonly table: string;
  /** What it is, and what becomes of it. */
  readonly reason: string;
  /** Whether rows stay behind that no other table has. */
  readonly holdsRows: boolean;
}

/** Every such table but the package's own. A virtual table stands for those in which its module keeps it. */
export async function uncarriedTables(transaction: Transaction): Promise<Uncarried[]> {
  const { virtual, kept } = await listSqliteTables(transaction);
  const found: Uncarried[] = [];
  for (const table of virtual.filter((table) => !isOwnSearch(table))) {
    const holdsRows = await hasOwnRows(transaction, table);
    found.push({ table: table.name, reason: reasonOf(table, holdsRows), holdsRows });
  }
  for (const { name, keeper } of kept)
    found.push({ table: name, reason: `kept by ${keeper} for itself: left out`, holdsRows: false });
  return found;
}

/** The search of the package's messages, which PostgreSQL has its own index for. */
function isOwnSearch(table: VirtualTable): boolean {
  return table.name === "messages_fts" && contentOf(table) === null;
}

const kinds: ReadonlyMap<string, string> = new Map([
  ["fts3", "a full-text table"],
  ["fts4", "a full-text table"],
  ["fts5", "a full-text table"],
  ["rtree", "an R-tree"],
  ["rtree_i32", "an R-tree"],
  ["geopoly", "an R-tree"],
]);

/** Modules that show what others hold. */
const windows: ReadonlySet<string> = new Set(["fts5vocab", "fts4aux", "fts3tokenize", "dbstat", "sqlite_stmt"]);

function reasonOf({ module, parts }: VirtualTable, holdsRows: boolean): string {
  const kind = kinds.get(module);
  if (kind === undefined)
    return windows.has(module)
      ? `a virtual table (${module}) without rows of its own: left out`
      : `a virtual table of the module ${module}, which is not known here: what it holds stays behind`;
  const places = [...parts.values()].map(({ name }) => name).sort();
  const what = `${kind} (${module})${places.length === 0 ? "" : `, kept in ${places.join(", ")}`}`;
  return holdsRows ? `${what}: its rows stay behind` : `${what}, without rows of its own: left out`;
}

async function hasOwnRows(transaction: Transaction, table: VirtualTable): Promise<boolean> {
  if (!kinds.has(table.module)) return !windows.has(table.module);
  const content = contentOf(table);
  if (content === null) return false;
  const [row] = await transaction.query(statement(`SELECT EXISTS (SELECT 1 FROM ${quote(content.name)}) AS any_row`));
  return row?.any_row === 1n;
}

/** The table in which it keeps more than an index: whole texts, or columns beside the boxes of an R-tree. */
function contentOf({ parts }: VirtualTable): ListedTable | null {
  const boxes = parts.get("rowid");
  const columnsOfAnIndex = 2;
  if (boxes !== undefined && boxes.columns.length > columnsOfAnIndex) return boxes;
  return parts.get("content") ?? null;
}
