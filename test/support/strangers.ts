import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { openPostgres } from "../../src/engines/postgres.js";
import { silentLogger } from "../../src/logger.js";
import { compareDatabases } from "../../src/migrate/compare.js";
import { type CopyOptions, type CopyReport, copy } from "../../src/migrate/copy.js";
import type { Reject } from "../../src/migrate/rejects.js";
import { freshDirectory, freshPostgres, freshSqlite } from "./databases.js";
import { openAt } from "./libsql.js";
import { runAt } from "./postgres.js";
import { configOf } from "./postgres-config.js";

/** Two databases that are no pair, made by a script each. */
export async function databases(sqlite: string, postgres: string) {
  const file = freshSqlite();
  const url = await freshPostgres();
  await onSqlite(file, sqlite);
  await runAt(url, postgres);
  const rejects = join(freshDirectory(), "rejects");
  const options = { env: {}, sqlite: file, postgres: url, rejects };
  return {
    file,
    url,
    rejects,
    options,
    copy: (more: CopyOptions = {}): Promise<CopyReport> => copy({ ...options, ...more }),
    sqlite: (text: string) => onSqlite(file, text),
    /** Changes a row that was set aside, as somebody would in an editor. */
    correct(table: string, key: string, values: Reject["row"]): void {
      const path = join(rejects, `${table}.jsonl`);
      const lines = linesOf(path).map((line) =>
        line.key === key ? { ...line, row: { ...line.row, ...values } } : line,
      );
      writeFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
    },
    expectEqual: () => expectEqual(file, url),
  };
}

async function onSqlite(file: string, text: string): Promise<void> {
  const engine = await openAt(file, { createFile: true });
  await engine.transaction({ mode: "write" }, (transaction) => transaction.script(text));
  await engine.close();
}

async function expectEqual(file: string, url: string): Promise<void> {
  expect(await apart(file, url)).toEqual([]);
}

/** Tables in which the two differ. */
export async function apart(file: string, url: string) {
  const sqlite = await openAt(file, { createFile: false });
  const postgres = openPostgres({ config: configOf(url), logger: silentLogger });
  try {
    const { tables } = await compareDatabases(sqlite, postgres);
    return tables
      .map(({ table, onlySqlite, onlyPostgres, different }) => ({
        table,
        onlySqlite: onlySqlite.length,
        onlyPostgres: onlyPostgres.length,
        different,
      }))
      .filter((one) => one.onlySqlite + one.onlyPostgres + one.different.length > 0);
  } finally {
    await sqlite.close();
    await postgres.close();
  }
}

/** What a copy says of each table: rows read, written, there already, set aside, and only there. */
export function counts({ tables }: CopyReport) {
  return tables.map(({ table, read, written, alreadyThere, setAside, extra }) => [
    table,
    read,
    written,
    alreadyThere,
    setAside,
    extra,
  ]);
}

/** The first lines of a statement that makes rows from 1 to n. */
export const numbers = (n: number) => `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${n})`;

/** The rows of a file of rejects. */
export function linesOf(file: string) {
  return readFileSync(file, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Reject);
}
