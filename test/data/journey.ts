import { pairDatabases } from "../../src/data/catalogue/discover.js";
import { converterOf } from "../../src/data/conversion/convert.js";
import type { EpochChoices } from "../../src/data/conversion/epoch.js";
import type { Finding } from "../../src/data/finding.js";
import { readable } from "../../src/data/rows/postgres-expression.js";
import { rowsOf } from "../../src/data/rows/rows.js";
import { quote, type Table } from "../../src/data/table.js";
import type { Engine, ExactRow } from "../../src/engines/engine.js";
import { type Sides, sides } from "./tables.js";

/** What became of one value on its way to PostgreSQL and back into the same column of SQLite. */
export interface Journey {
  /** SQL literals of SQLite, with the type in front where it is not told by the literal. */
  readonly before: string;
  /** null where it was refused, or is NULL. */
  readonly postgres: string | null;
  readonly after: string | null;
  readonly findings: readonly string[];
  readonly back: readonly string[];
}

/** A column of each side, and SQL literals of what it holds in SQLite. */
export interface Columns {
  readonly postgres: string;
  readonly sqlite: string;
  readonly values: readonly string[];
}

/** Sends every value of every column there and back, through real tables: one table for each column, one row for each value. */
export async function travel(columns: readonly Columns[], choices?: EpochChoices, before = ""): Promise<Journey[][]> {
  const table = (index: number) => `t${String(index).padStart(3, "0")}`;
  const made = await sides(
    columns
      .map(({ sqlite, values }, index) => {
        const rows = values.map((value, row) => `(${row}, ${value})`).join(", ");
        return `CREATE TABLE ${table(index)} (id INTEGER PRIMARY KEY, x ${sqlite}); ${rows === "" ? "" : `INSERT INTO ${table(index)} VALUES ${rows};`}`;
      })
      .join("\n"),
    `${before} ${columns.map(({ postgres }, index) => `CREATE TABLE ${table(index)} (id bigint PRIMARY KEY, x ${postgres});`).join("\n")}`,
  );
  const { tables } = await pairing(made, choices);
  const journeys: Journey[][] = [];
  for (const [index, { values }] of columns.entries()) {
    const found = tables.find(({ name }) => name === table(index));
    if (found === undefined) throw new Error(`no pair ${table(index)}`);
    journeys.push(await journey(made, found, values.length));
  }
  return journeys;
}

export function pairing({ sqlite, postgres }: Sides, choices?: EpochChoices) {
  return sqlite.transaction({ mode: "read" }, (left) =>
    postgres.transaction({ mode: "read" }, (right) => pairDatabases(left, right, choices)),
  );
}

async function journey(made: Sides, table: Table, count: number): Promise<Journey[]> {
  const keys = Array.from({ length: count }, (_, index) => String(index));
  const before = await literals(made.sqlite, table);
  const source = await made.sqlite.transaction({ mode: "read" }, (transaction) =>
    rowsOf("sqlite").read(transaction, table, keys),
  );
  const there = source.map(converterOf(table, "postgres"));
  const carried = there.filter(({ findings }) => !findings.some(({ action }) => action === "refused"));
  await made.postgres.transaction({ mode: "write" }, (transaction) =>
    rowsOf("postgres").upsert(
      transaction,
      table,
      carried.map(({ values }) => values),
    ),
  );
  const held = await made.postgres.transaction({ mode: "read" }, (transaction) =>
    rowsOf("postgres").read(transaction, table, keys),
  );
  const back = held.map(converterOf(table, "sqlite"));
  const accepted = back.filter(({ findings }) => !findings.some(({ action }) => action === "refused"));
  await made.sqlite.transaction({ mode: "write" }, async (transaction) => {
    await transaction.script(`DELETE FROM ${quote(table.name)}`);
    await rowsOf("sqlite").upsert(
      transaction,
      table,
      accepted.map(({ values }) => values),
    );
  });
  const after = await literals(made.sqlite, table);
  const texts = await postgresTexts(made.postgres, table);
  return keys.map((key) => ({
    before: before.get(key) ?? "",
    postgres: texts.get(key) ?? null,
    after: after.get(key) ?? null,
    findings: said(there.find((row) => row.key === key)?.findings),
    back: said(back.find((row) => row.key === key)?.findings),
  }));
}

function said(findings: readonly Finding[] = []): string[] {
  return findings.map(({ action, reason }) => `${action}: ${reason}`);
}

async function literals(engine: Engine, table: Table): Promise<Map<string, string>> {
  // Text as bytes: the driver aborts the process on text that is no UTF-8.
  const text = `SELECT CAST(id AS TEXT) AS key, CAST(CASE typeof(x) WHEN 'text' THEN 'text ' || hex(x) WHEN 'real' THEN printf('%!.17g', x) ELSE quote(x) END AS TEXT) AS value
    FROM ${quote(table.name)}`;
  return mapOf(await engine.transaction({ mode: "read" }, (transaction) => transaction.query(statement(text))));
}

async function postgresTexts(engine: Engine, table: Table): Promise<Map<string, string>> {
  const column = table.columns.find(({ name }) => name === "x");
  if (column === undefined) throw new Error("no column x");
  const text = `SELECT id::text AS key, (${readable(column, "t")})::text AS value FROM ${quote(table.name)} AS t`;
  return mapOf(await engine.transaction({ mode: "read" }, (transaction) => transaction.query(statement(text))));
}

function mapOf(rows: readonly ExactRow[]): Map<string, string> {
  return new Map(rows.flatMap(({ key, value }) => (value === null ? [] : [[String(key), String(value)] as const])));
}

function statement(text: string) {
  return { sql: text, text, values: [] };
}
