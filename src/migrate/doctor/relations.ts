import type { Pairing, TablePair } from "../../data/catalogue/discover.js";
import { keyExpression } from "../../data/key.js";
import { windows } from "../../data/rows/sqlite-rows.js";
import { type ForeignKey, quote, type Table } from "../../data/table.js";
import type { ExactValue } from "../../engines/engine.js";
import { endIfAsked } from "../progress.js";
import type { Scan } from "./scan.js";

/** Rows that point to a parent that is not there: PostgreSQL refuses them. SQLite takes them where foreign keys were off. */
export async function findOrphans(scan: Scan, { pairs }: Pairing): Promise<void> {
  const { table } = scan.pair;
  for (const foreignKey of table.foreignKeys) {
    const parent = pairs.find((pair) => pair.table.name === foreignKey.parent);
    if (parent !== undefined) await findOrphansOf(scan, foreignKey);
  }
}

/** Rows that share a value which is unique in PostgreSQL and not in SQLite: one of them can arrive. */
export async function findDuplicates({ pair, transaction, groups }: Scan): Promise<void> {
  for (const columns of unenforced(pair)) {
    const list = columns.map(quote).join(", ");
    const isWhole = columns.map((name) => `${quote(name)} IS NOT NULL`).join(" AND ");
    const name = quote(pair.table.name);
    const shared = `SELECT ${list} FROM ${name} WHERE ${isWhole} GROUP BY ${list} HAVING COUNT(*) > 1`;
    const text = `SELECT CAST(json_group_array(key) AS BLOB) AS page FROM
      (SELECT ${keyOf(pair.table)} AS key FROM ${name} AS t WHERE (${list}) IN (${shared}) ORDER BY ${list})`;
    const [row] = await transaction.query({ sql: text, text, values: [] });
    const reason = `duplicate under the unique key (${columns.join(", ")})`;
    for (const key of keysOf(row?.page))
      groups.add({ table: pair.table.name, key, column: columns.join(", "), reason, action: "refused" });
  }
}

async function findOrphansOf({ pair, transaction, groups, options }: Scan, foreignKey: ForeignKey): Promise<void> {
  const { table } = pair;
  const { columns, parent, parentColumns } = foreignKey;
  const isWhole = columns.map((name) => `t.${quote(name)} IS NOT NULL`).join(" AND ");
  const same = columns.map((name, index) => `p.${quote(parentColumns[index] ?? "")} = t.${quote(name)}`).join(" AND ");
  for await (const { text: where, values } of windows(transaction, table)) {
    endIfAsked(options.signal);
    const text = `SELECT CAST(json_group_array(${keyOf(table)}) AS BLOB) AS page FROM ${quote(table.name)} AS t
      WHERE ${where} AND ${isWhole} AND NOT EXISTS (SELECT 1 FROM ${quote(parent)} AS p WHERE ${same})`;
    const [row] = await transaction.query({ sql: text, text, values });
    const reason = `no such row in ${parent}`;
    for (const key of keysOf(row?.page))
      groups.add({ table: table.name, key, column: columns.join(", "), reason, action: "refused" });
  }
}

/** The unique keys of PostgreSQL that SQLite does not keep. */
function unenforced({ table, sqlite }: TablePair): (readonly string[])[] {
  const kept = [...sqlite.keys, ...sqlite.uniques].map(spelled);
  return [table.key, ...table.uniques].filter((names) => names.length > 0 && !kept.includes(spelled(names)));
}

function spelled(names: readonly string[]): string {
  return [...new Set(names)].sort().join("\0");
}

function keyOf(table: Table): string {
  return table.key.length === 0 ? "''" : keyExpression("sqlite", table, "t");
}

/** A key that is no UTF-8 is shown as well as it can be. */
function keysOf(page: ExactValue | undefined): string[] {
  return page instanceof Uint8Array ? JSON.parse(Buffer.from(page).toString("utf8")) : [];
}
