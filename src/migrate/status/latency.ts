import sql, { raw } from "sql-template-tag";
import type { Pairing } from "../../data/catalogue/discover.js";
import { decodeKey, type KeyPart } from "../../data/key.js";
import { rowsOf } from "../../data/rows/rows.js";
import { columnOf, quote, quotedOn, type Table } from "../../data/table.js";
import { type Engine, type Side, type Statement, statement } from "../../engines/engine.js";
import { type Latency, Timer } from "../../metrics.js";

const pointReads = 50;
const pages = 10;
const rowsInAPage = 50;
const timeoutMs = 10_000;

/** How long some rows and pages of one table take to read: one caller, one read after the other, the connection open. */
export async function sampleReads(engine: Engine, table: Table): Promise<Latency> {
  const keys = await someKeys(engine, table);
  const timer = new Timer();
  const page = pageOf(engine.side, table);
  await engine.read(page, { timeoutMs });
  for (const key of keys) await timed(engine, timer, rowOf(engine.side, table, decodeKey(table, key)));
  for (let index = 0; index < pages; index++) await timed(engine, timer, page);
  return timer.latency;
}

/** The table whose reads are sampled: the messages where there are any, else the first one with a key. */
export function sampledTable({ tables }: Pairing): Table | null {
  return tables.find(({ name }) => name === "messages") ?? tables[0] ?? null;
}

async function timed(engine: Engine, timer: Timer, statement: Statement): Promise<void> {
  const began = performance.now();
  await engine.read(statement, { timeoutMs });
  timer.since(began);
}

/** Of the first thousands of rows, evenly. */
async function someKeys(engine: Engine, table: Table): Promise<readonly string[]> {
  const keys = await engine.transaction({ mode: "read", timeoutMs }, async (transaction) => {
    for await (const page of rowsOf(engine.side).keys(transaction, table)) return page;
    return [];
  });
  const texts = keys.filter((key) => typeof key === "string");
  const stride = Math.max(1, Math.floor(texts.length / pointReads));
  return texts.filter((_, index) => index % stride === 0).slice(0, pointReads);
}

function pageOf(side: Side, table: Table): Statement {
  const order = table.key.map((name) => `t.${quotedOn(side, columnOf(table, name))} DESC`).join(", ");
  return sql`SELECT ${raw(valuesOf(side, table))} FROM ${raw(quotedOn(side, table))} AS t ORDER BY ${raw(order)} LIMIT ${rowsInAPage}`;
}

function rowOf(side: Side, table: Table, key: readonly KeyPart[]): Statement {
  const conditions = table.key.map((name, index) => {
    const column = columnOf(table, name);
    const type = side === "sqlite" ? "" : `::${column.cast ?? column.type ?? "text"}`;
    const value = side === "sqlite" ? "?" : `$${index + 1}${type}`;
    return `t.${quotedOn(side, column)} = ${value}`;
  });
  const text = `SELECT ${valuesOf(side, table)} FROM ${quotedOn(side, table)} AS t WHERE ${conditions.join(" AND ")}`;
  return statement(text, key);
}

/** Whole rows, in a form that any row can be read in: a driver may stop at text that is no UTF-8, or at a large integer. */
function valuesOf(side: Side, table: Table): string {
  if (side === "postgres") return "t::text AS row";
  return table.columns.map(({ name }, index) => `CAST(t.${quote(name)} AS BLOB) AS c${index}`).join(", ");
}
