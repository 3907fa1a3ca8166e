import { rawSqlite } from "./raw.js";

/** A table of 20 columns of text and numbers, as an application has many: no index but its key, nothing that has to be converted. */
const columns: readonly (readonly [name: string, sqlite: string, postgres: string, value: string])[] = [
  [
    "id",
    "TEXT PRIMARY KEY",
    'TEXT COLLATE "C" PRIMARY KEY',
    "printf('%08x-0000-7000-8000-%012x', i, i * 7919 % 1000003)",
  ],
  ...numbered(11, (at) => [`text_${at}`, "TEXT", "TEXT", `'text of column ${at} in row ' || i`] as const),
  ...numbered(6, (at) => [`number_${at}`, "INTEGER", "BIGINT", `i * ${at + 3}`] as const),
  ...numbered(2, (at) => [`real_${at}`, "REAL", "DOUBLE PRECISION", `i / ${at + 7}.0`] as const),
];

/** The same table, empty, for PostgreSQL. */
export const plainTableInPostgres = `CREATE TABLE plain (${columns.map(([name, , type]) => `${name} ${type}`).join(", ")})`;

/** Makes the table in a SQLite file, with so many rows. */
export async function makePlainTable(file: string, rows: number): Promise<void> {
  const client = await rawSqlite(file);
  await client.execute(`CREATE TABLE plain (${columns.map(([name, type]) => `${name} ${type}`).join(", ")})`);
  await client.execute(`WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows - 1})
    INSERT INTO plain SELECT ${columns.map(([, , , value]) => value).join(", ")} FROM n`);
  client.close();
}

function numbered<T>(count: number, make: (at: number) => T): T[] {
  return Array.from({ length: count }, (_, at) => make(at));
}
