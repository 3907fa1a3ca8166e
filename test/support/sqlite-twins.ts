import { type Client, createClient, type Row } from "@libsql/client";

/** How far two SQLite files hold the same: read by SQL of its own, with nothing of the package. */
export interface Twins {
  /** Tables of the original, with their rows. */
  readonly rows: Readonly<Record<string, number>>;
  /** Rows that only one file has, as `table: file: row`; the first of each table. */
  readonly rowsApart: readonly string[];
  /** What the definitions differ in, as `table: what: original | copy`. */
  readonly schemaApart: readonly string[];
  /** Columns with numbers and text, which the copy has as text: compared by SQLite's own text of each value. */
  readonly asText: readonly string[];
}

/** Compares two files: every value by storage class and bytes, documents after parsing, and what both files demand of a row. */
export async function compareFiles(original: string, copy: string): Promise<Twins> {
  const files = [original, copy].map((file) =>
    createClient({ url: `file:${file}`, intMode: "bigint", concurrency: 1 }),
  );
  const [left, right] = files as [Client, Client];
  try {
    const tables = await tablesOf(left);
    const found = { rows: {} as Record<string, number>, rowsApart: [], schemaApart: [], asText: [] } as {
      rows: Record<string, number>;
      rowsApart: string[];
      schemaApart: string[];
      asText: string[];
    };
    for (const table of tables) await compareTable(table, left, right, found);
    return found;
  } finally {
    for (const file of files) file.close();
  }
}

type Found = { rows: Record<string, number>; rowsApart: string[]; schemaApart: string[]; asText: string[] };

async function compareTable(table: string, left: Client, right: Client, found: Found): Promise<void> {
  const [mine, other] = [await shapeOf(left, table), await shapeOf(right, table)];
  for (const part of Object.keys(mine) as (keyof Shape)[]) {
    const [here, there] = [JSON.stringify(mine[part]), JSON.stringify(other[part])];
    if (here !== there) found.schemaApart.push(`${table}: ${part}: ${here} | ${there}`);
  }
  const readings = await readingsOf(table, left, right);
  found.asText.push(...readings.filter(({ as }) => as === "text").map(({ column }) => `${table}.${column}`));
  const [rows, copies] = [await rowsOf(left, table, readings), await rowsOf(right, table, readings)];
  found.rows[table] = rows.length;
  const apart = [
    ...without(rows, copies).map((row) => `original: ${row}`),
    ...without(copies, rows).map((row) => `copy: ${row}`),
  ];
  found.rowsApart.push(...apart.slice(0, 5).map((row) => `${table}: ${row}`));
}

/** What a table demands of its rows, and how it finds them; lists whose order means nothing are sorted. */
interface Shape {
  readonly columns: readonly string[];
  readonly required: readonly string[];
  readonly defaults: readonly string[];
  readonly primaryKey: readonly string[];
  readonly uniques: readonly string[];
  readonly indexes: readonly string[];
  readonly foreignKeys: readonly string[];
}

async function shapeOf(client: Client, table: string): Promise<Shape> {
  const columns = await all(client, "SELECT * FROM pragma_table_info(?) ORDER BY cid", table);
  const primaryKey = columns.filter(({ pk }) => pk !== 0n).sort((a, b) => Number(a.pk) - Number(b.pk));
  const keyNames = primaryKey.map(({ name }) => String(name));
  const indexes = await indexesOf(client, table);
  return {
    columns: columns.map(({ name }) => String(name)),
    // SQLite lets NULL into a primary key whose table has rowids, and nobody wants one there.
    required: columns.filter(({ notnull, pk }) => notnull === 1n && pk === 0n).map(({ name }) => String(name)),
    defaults: await Promise.all(columns.map(({ dflt_value }) => defaultOf(client, dflt_value))),
    primaryKey: keyNames,
    uniques: sorted(
      indexes.filter(({ unique, columns: names }) => unique && names !== keyNames.join()).map((index) => index.columns),
    ),
    indexes: sorted(
      indexes.filter(({ made }) => made).map(({ name, columns: names, unique }) => `${name} (${names})${unique}`),
    ),
    foreignKeys: await foreignKeysOf(client, table),
  };
}

/** What a default puts there: a number in whatever spelling, a clock's digits as nines, NULL as none. */
async function defaultOf(client: Client, expression: unknown): Promise<string> {
  if (expression === null) return "";
  const [row] = await all(client, `SELECT quote(${String(expression)}) AS value`);
  const value = String(row?.value);
  if (/strftime|current_|datetime/i.test(String(expression))) return value.replaceAll(/\d/g, "9");
  if (value === "NULL") return "";
  const bare = value.replaceAll("'", "");
  return bare.trim() === "" || Number.isNaN(Number(bare)) ? value : String(Number(bare));
}

async function indexesOf(client: Client, table: string) {
  const lists = await all(client, "SELECT * FROM pragma_index_list(?)", table);
  return Promise.all(
    lists.map(async ({ name, unique, origin }) => {
      const parts = await all(client, "SELECT * FROM pragma_index_xinfo(?) WHERE key = 1 ORDER BY seqno", String(name));
      const columns = parts.map((part) => `${part.name}${part.desc === 1n ? " DESC" : ""}`).join();
      return { name: String(name), unique: unique === 1n, made: origin === "c", columns };
    }),
  );
}

async function foreignKeysOf(client: Client, table: string): Promise<string[]> {
  const rows = await all(
    client,
    `SELECT group_concat(f."from") || ' → ' || f."table" || ' (' || group_concat(COALESCE(f."to",
       (SELECT p.name FROM pragma_table_info(f."table") p WHERE p.pk = f.seq + 1))) || ') ' || f.on_delete || ' ' || f.on_update AS k
     FROM (SELECT * FROM pragma_foreign_key_list(?) ORDER BY id, seq) f GROUP BY f.id`,
    table,
  );
  return sorted(rows.map(({ k }) => String(k)));
}

interface Reading {
  readonly column: string;
  readonly as: "bytes" | "text" | "document";
}

/** PostgreSQL's text cannot tell 1 from '1', which a column of SQLite that is no text may hold side by side. */
async function readingsOf(table: string, left: Client, right: Client): Promise<Reading[]> {
  const text = "SELECT name, upper(type) AS type FROM pragma_table_info(?) ORDER BY cid";
  const [mine, other] = [await all(left, text, table), await all(right, text, table)];
  return Promise.all(
    mine.map(async ({ name }, index) => {
      const column = String(name);
      const type = String(other[index]?.type);
      if (type.startsWith("JSON")) return { column, as: "document" };
      const numbers = `SELECT 1 FROM ${quoted(table)} WHERE typeof(${quoted(column)}) IN ('integer', 'real') LIMIT 1`;
      return { column, as: type === "TEXT" && (await all(left, numbers)).length > 0 ? "text" : "bytes" };
    }),
  );
}

/** Every row as a line, sorted by the line. SQLite joins the cells, since its driver is slow over columns. */
async function rowsOf(client: Client, table: string, readings: readonly Reading[]): Promise<string[]> {
  const cells = readings.filter(({ as }) => as !== "document").map(cellOf);
  const documents = readings.filter(({ as }) => as === "document").map(({ column }) => quoted(column));
  const columns = [joined(cells), ...documents].map((text, index) => `${text} AS c${index}`);
  const rows = await all(client, `SELECT ${columns.join(", ")} FROM ${quoted(table)}`);
  return sorted(
    rows.map(({ c0, ...row }) => [c0, ...documents.map((_, at) => canonical(row[`c${at + 1}`]))].join("|")),
  );
}

/** SQLite nests a thousand operators, and a table may have more columns: they are joined in parts. */
function joined(cells: readonly string[]): string {
  const concatenated = (parts: readonly string[]) => parts.join(" || '|' || ") || "''";
  const parts = Array.from({ length: Math.ceil(cells.length / 100) }, (_, part) =>
    cells.slice(part * 100, (part + 1) * 100),
  );
  return concatenated(parts.map((part) => `(${concatenated(part)})`));
}

function cellOf({ column, as }: Reading): string {
  const name = quoted(column);
  if (as === "text") return `CASE WHEN ${name} IS NULL THEN 'NULL' ELSE hex(CAST(${name} AS TEXT)) END`;
  return `CASE WHEN typeof(${name}) IN ('text', 'blob') THEN typeof(${name}) || hex(CAST(${name} AS BLOB)) ELSE quote(${name}) END`;
}

function canonical(text: unknown): string {
  if (text === null) return "NULL";
  return JSON.stringify(JSON.parse(String(text)), (_, value: unknown) =>
    value !== null && typeof value === "object" && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
}

/** Those of the left list that the right one lacks; both are sorted, and one line may stand in them several times. */
function without(left: readonly string[], right: readonly string[]): string[] {
  let at = 0;
  return left.filter((row) => {
    while (at < right.length && (right[at] ?? "") < row) at++;
    if (right[at] !== row) return true;
    at++;
    return false;
  });
}

/** Tables that hold rows of their own: not SQLite's, and neither virtual ones nor what these keep their data in. */
async function tablesOf(client: Client): Promise<string[]> {
  const rows = await all(
    client,
    "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite%'",
  );
  const virtual = await all(client, "SELECT name FROM sqlite_schema WHERE sql LIKE 'CREATE VIRTUAL%'");
  const prefixes = virtual.map(({ name }) => `${name}_`);
  return sorted(
    rows.map(({ name }) => String(name)).filter((name) => !prefixes.some((prefix) => name.startsWith(prefix))),
  );
}

async function all(client: Client, sql: string, ...args: string[]): Promise<Row[]> {
  return (await client.execute({ sql, args })).rows;
}

function sorted(texts: readonly string[]): string[] {
  return [...texts].sort((left, right) => (left < right ? -1 : left > right ? 1 : 0));
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
