import type { TablePair } from "../../data/catalogue/discover.js";
import { chunks } from "../../data/chunks.js";
import type { TableGraph } from "../../data/graph.js";
import { keyExpression } from "../../data/key.js";
import { orderOf } from "../../data/rows/every-sqlite-row.js";
import { rowsOf } from "../../data/rows/rows.js";
import { columnOf, nameOn, quote, type Table } from "../../data/table.js";
import { type ExactValue, statement } from "../../engines/engine.js";
import { orphans, type Parentage } from "../orphans.js";
import { endIfAsked } from "../progress.js";
import type { Scan } from "./scan.js";

const rowsAtOnce = 500;

/** Rows that point to a parent which is not there: PostgreSQL refuses them. SQLite takes them where foreign keys were off, or are not. */
export async function findOrphans(scan: Scan, graph: TableGraph): Promise<void> {
  for (const parentage of parentagesOf(scan, graph)) await refuseOrphans(scan, parentage);
}

/** Rows that point to one which would not arrive. Tells whether there was any that nobody had found before. */
export async function findBereft(scan: Scan, graph: TableGraph): Promise<boolean> {
  let isAny = false;
  if (scan.pair.table.key.length === 0) return isAny;
  for (const parentage of parentagesOf(scan, graph)) isAny = (await refuseBereft(scan, parentage)) || isAny;
  return isAny;
}

/** Rows that share a value which is unique in PostgreSQL and not in SQLite: the first of them that can arrives. */
export async function findDuplicates({ pair, transaction, groups }: Scan): Promise<void> {
  const uniques = unenforced(pair);
  if (uniques.length === 0) return;
  const text = sharingText(pair.table, uniques, await orderOf(transaction, pair.table));
  const [row] = await transaction.query(statement(text));
  const taken = uniques.map(() => new Set<number>());
  for (const [key, ...shared] of listIn<readonly [string, ...(number | null)[]]>(row?.page)) {
    if (groups.isRefused(pair.table, key)) continue;
    const columns = uniques.find((_, at) => taken[at]?.has(shared[at] ?? 0))?.join(", ");
    if (columns === undefined) for (const [at, group] of shared.entries()) if (group !== null) taken[at]?.add(group);
    if (columns !== undefined)
      groups.refuse(pair.table, { key, column: columns, reason: `duplicate under the unique key (${columns})` });
  }
}

async function refuseOrphans({ transaction, groups, options }: Scan, parentage: Parentage): Promise<void> {
  const { child, parent, foreignKey } = parentage;
  const finding = { column: foreignKey.columns.join(", "), reason: `no such row in ${parent.name}` };
  for await (const { text: where, values } of orphans(transaction, "sqlite", parentage)) {
    endIfAsked(options.signal);
    const text = `SELECT CAST(json_group_array(${keyOf(child)}) AS BLOB) AS page FROM ${quote(child.name)} AS t WHERE ${where}`;
    const [row] = await transaction.query(statement(text, values));
    for (const key of listIn<string>(row?.page)) groups.refuse(child, { ...finding, key });
  }
}

async function refuseBereft({ transaction, groups, options }: Scan, parentage: Parentage): Promise<boolean> {
  const { child, parent, foreignKey } = parentage;
  const finding = { column: foreignKey.columns.join(", "), reason: `its row in ${parent.name} would not arrive` };
  const names = [...new Set([...foreignKey.parentColumns, ...parent.key])];
  const narrow = { ...parent, columns: names.map((name) => columnOf(parent, name)) };
  const rows = rowsOf("sqlite");
  let isAny = false;
  for (const keys of chunks(groups.refused(parent), rowsAtOnce)) {
    endIfAsked(options.signal);
    const refused = await rows.read(transaction, narrow, keys);
    const values = refused.map((row) => row.values.slice(0, foreignKey.parentColumns.length));
    for (const { key } of await rows.holders(transaction, child, foreignKey.columns, values))
      isAny = groups.refuse(child, { ...finding, key }) || isAny;
  }
  return isAny;
}

/** The foreign keys that PostgreSQL has: one that SQLite alone has keeps no row from arriving. */
function parentagesOf({ pair }: Scan, graph: TableGraph): Parentage[] {
  const { table: child, postgres } = pair;
  const kept = postgres.foreignKeys.map(({ columns }) => spelled(columns));
  const nameThere = (name: string) => nameOn("postgres", columnOf(child, name));
  return graph
    .parentsOf(child)
    .filter(({ foreignKey }) => kept.includes(spelled(foreignKey.columns.map(nameThere))))
    .map((reference) => ({ child, ...reference }));
}

/** The unique keys of PostgreSQL that SQLite does not keep. */
function unenforced({ table, sqlite }: TablePair): (readonly string[])[] {
  const kept = [...sqlite.keys, ...sqlite.uniques].map(spelled);
  return [table.key, ...table.uniques].filter((names) => names.length > 0 && !kept.includes(spelled(names)));
}

/** In the order in which a copy takes them: each row's key, and for each unique key a number that the rows share which share a value. */
function sharingText(table: Table, uniques: readonly (readonly string[])[], order: readonly string[]): string {
  const name = quote(table.name);
  const parts = uniques.map((columns) => {
    // PostgreSQL tells apart what SQLite's column may take for the same.
    const list = columns.map((column) => `${quote(column)} COLLATE BINARY`).join(", ");
    const isWhole = columns.map((column) => `${quote(column)} IS NOT NULL`).join(" AND ");
    return {
      number: `CASE WHEN ${isWhole} THEN dense_rank() OVER (ORDER BY ${list}) END`,
      isShared: `(${list}) IN (SELECT ${list} FROM ${name} WHERE ${isWhole} GROUP BY ${list} HAVING COUNT(*) > 1)`,
    };
  });
  const numbers = parts.map(({ number }, index) => `${number} AS n${index}`);
  const cells = ["key", ...numbers.map((_, index) => `n${index}`)];
  return `SELECT CAST(json_group_array(json_array(${cells.join(", ")})) AS BLOB) AS page FROM
    (SELECT ${keyOf(table)} AS key, ${numbers.join(", ")} FROM ${name} AS t WHERE ${parts.map(({ isShared }) => isShared).join(" OR ")}
     ORDER BY ${order.join(", ")})`;
}

function spelled(names: readonly string[]): string {
  return [...new Set(names)].sort().join("\0");
}

function keyOf(table: Table): string {
  return table.key.length === 0 ? "''" : keyExpression("sqlite", table, "t");
}

/** A key that is no UTF-8 is shown as well as it can be. */
function listIn<T>(page: ExactValue | undefined): T[] {
  return page instanceof Uint8Array ? JSON.parse(Buffer.from(page).toString("utf8")) : [];
}
