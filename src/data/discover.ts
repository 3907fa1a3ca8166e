import type { ExactRow, Side, Transaction } from "../engines/engine.js";
import type { Column, ForeignKey, Kind, Table } from "./table.js";

/** A table of one side, as its catalogue describes it. Columns that the database computes itself are left out. */
export interface DiscoveredTable extends Table {
  readonly side: Side;
}

/** The tables that both sides have, and what stands in the way of carrying the others. */
export interface Pairing {
  readonly tables: readonly Table[];
  /** Tables of SQLite that nobody mirrors, with the reason. */
  readonly unmirrored: readonly { readonly table: string; readonly reason: string }[];
  /** Columns that one side lacks: nothing of that table may be carried before it has them. */
  readonly missing: readonly { readonly side: Side; readonly table: string; readonly column: string }[];
}

/** Every table of the SQLite database but its own, the full-text tables and ours. */
export async function discoverSqlite(transaction: Transaction): Promise<DiscoveredTable[]> {
  const rows = await transaction.query(statement(sqliteCatalogue));
  return rows.map((row) => sqliteTable(row)).filter((table) => !isOurs(table.name));
}

/** Every table of the PostgreSQL schema that the connection works in, but ours. */
export async function discoverPostgres(transaction: Transaction): Promise<DiscoveredTable[]> {
  const rows = await transaction.query(statement(postgresCatalogue));
  return rows.map((row) => postgresTable(row)).filter((table) => !isOurs(table.name));
}

/** Matches the tables of both sides by name. The kinds are PostgreSQL's, since it is the stricter side. */
export function pairTables(sqlite: readonly DiscoveredTable[], postgres: readonly DiscoveredTable[]): Pairing {
  const others = new Map(postgres.map((table) => [table.name, table]));
  const pairing = {
    tables: [] as Table[],
    unmirrored: [] as { table: string; reason: string }[],
    missing: [] as Pairing["missing"][number][],
  };
  for (const mine of sqlite) {
    const other = others.get(mine.name);
    const reason = other === undefined ? "PostgreSQL has no such table" : obstacle(mine, other);
    if (reason !== null || other === undefined) pairing.unmirrored.push({ table: mine.name, reason: reason ?? "" });
    else addPair(pairing, mine, other);
  }
  return pairing;
}

function addPair(pairing: { tables: Table[]; missing: Pairing["missing"][number][] }, mine: Table, other: Table): void {
  pairing.missing.push(...lacking("postgres", mine, other), ...lacking("sqlite", other, mine));
  const shared = other.columns.filter((column) => mine.columns.some(({ name }) => name === column.name));
  pairing.tables.push({
    ...other,
    columns: shared,
    uniques: bothUniques(mine, other),
    foreignKeys: bothForeignKeys(mine, other),
  });
}

function lacking(side: Side, has: Table, lacks: Table): Pairing["missing"][number][] {
  const names = new Set(lacks.columns.map(({ name }) => name));
  return has.columns
    .filter(({ name }) => !names.has(name))
    .map(({ name }) => ({ side, table: has.name, column: name }));
}

function obstacle(mine: Table, other: Table): string | null {
  if (mine.key.length === 0) return "it has no primary key in SQLite";
  if (other.key.length === 0) return "it has no primary key in PostgreSQL";
  return sameNames(mine.key, other.key) ? null : "its primary key differs between the sides";
}

function sameNames(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((name) => right.includes(name));
}

/** A unique key of either side can refuse a row there, so both count. */
function bothUniques(mine: Table, other: Table): string[][] {
  const seen = new Map(
    [...mine.uniques, ...other.uniques].map((columns) => [[...columns].sort().join("\0"), [...columns]]),
  );
  return [...seen.values()];
}

function bothForeignKeys(mine: Table, other: Table): ForeignKey[] {
  const all = [...mine.foreignKeys, ...other.foreignKeys];
  return [...new Map(all.map((key) => [JSON.stringify([key.columns, key.parent, key.parentColumns]), key])).values()];
}

function isOurs(name: string): boolean {
  return name.startsWith("dualdb_") || name === "schema_migrations";
}

function statement(text: string) {
  return { sql: text, text, values: [] };
}

interface CatalogueColumn {
  readonly name: string;
  readonly type: string;
  readonly notNull: number | boolean;
  readonly key: number;
}

interface CatalogueForeignKey {
  readonly id: number | string;
  readonly from: string;
  readonly table: string;
  readonly to: string | null;
}

interface CatalogueIndex {
  readonly index: string;
  readonly column: string | null;
}

function sqliteTable(row: ExactRow): DiscoveredTable {
  const columns = parse<CatalogueColumn>(row.columns);
  return {
    side: "sqlite",
    name: String(row.name),
    columns: columns.map(({ name, type, notNull }) => ({ name, kind: sqliteKind(type), notNull: Boolean(notNull) })),
    key: keyOf(columns),
    uniques: grouped(parse<CatalogueIndex>(row.uniques)),
    foreignKeys: foreignKeysOf(parse<CatalogueForeignKey>(row.foreign_keys)),
  };
}

function postgresTable(row: ExactRow): DiscoveredTable {
  const columns = parse<CatalogueColumn>(row.columns);
  return {
    side: "postgres",
    name: String(row.name),
    columns: columns.map(
      ({ name, type, notNull }): Column => ({ name, type, kind: postgresKind(type), notNull: Boolean(notNull) }),
    ),
    key: keyOf(columns),
    uniques: grouped(parse<CatalogueIndex>(row.uniques)),
    foreignKeys: foreignKeysOf(parse<CatalogueForeignKey>(row.foreign_keys)),
  };
}

function parse<T>(value: unknown): T[] {
  return value === null || value === undefined ? [] : (JSON.parse(String(value)) as T[]);
}

function keyOf(columns: readonly CatalogueColumn[]): string[] {
  const parts = columns.filter(({ key }) => key > 0);
  return parts.sort((left, right) => left.key - right.key).map(({ name }) => name);
}

/** Column lists by index; an index over an expression has a column without a name and is left out. */
function grouped(rows: readonly CatalogueIndex[]): string[][] {
  const groups = new Map<string, (string | null)[]>();
  for (const { index, column } of rows) groups.set(index, [...(groups.get(index) ?? []), column]);
  return [...groups.values()].filter((columns): columns is string[] => columns.every((column) => column !== null));
}

function foreignKeysOf(rows: readonly CatalogueForeignKey[]): ForeignKey[] {
  const groups = new Map<string, CatalogueForeignKey[]>();
  for (const row of rows) groups.set(String(row.id), [...(groups.get(String(row.id)) ?? []), row]);
  return [...groups.values()].flatMap((group) => {
    const parentColumns = group.map(({ to }) => to).filter((to): to is string => to !== null);
    const [first] = group;
    if (first === undefined || parentColumns.length !== group.length) return [];
    return [{ columns: group.map(({ from }) => from), parent: first.table, parentColumns }];
  });
}

/** SQLite's own rule for the affinity of a declared type, https://www.sqlite.org/datatype3.html#determination_of_column_affinity */
function sqliteKind(type: string): Kind {
  const declared = type.toUpperCase();
  if (declared.includes("INT")) return "bigint";
  if (/CHAR|CLOB|TEXT/.test(declared)) return "text";
  if (declared === "" || declared.includes("BLOB")) return "blob";
  if (/REAL|FLOA|DOUB/.test(declared)) return "real";
  return "numeric";
}

const postgresKinds: Readonly<Record<string, Kind>> = {
  smallint: "integer",
  integer: "integer",
  bigint: "bigint",
  "double precision": "real",
  boolean: "boolean",
  json: "json",
  jsonb: "json",
  bytea: "blob",
  numeric: "numeric",
  text: "text",
};

function postgresKind(type: string): Kind {
  if (/^(character varying|character)\b/.test(type)) return "text";
  return postgresKinds[type.replace(/\(.*\)$/, "")] ?? "other";
}

const sqliteCatalogue = `
  SELECT t.name AS name,
    (SELECT json_group_array(json_object('name', c.name, 'type', c.type, 'notNull', c."notnull", 'key', c.pk))
       FROM pragma_table_xinfo(t.name) c WHERE c.hidden = 0) AS columns,
    (SELECT json_group_array(json_object('index', i.name, 'column', k.name))
       FROM pragma_index_list(t.name) i JOIN pragma_index_info(i.name) k
       WHERE i."unique" = 1 AND i.partial = 0 AND i.origin <> 'pk') AS uniques,
    (SELECT json_group_array(json_object('id', f.id, 'from', f."from", 'table', f."table",
         'to', COALESCE(f."to", (SELECT p.name FROM pragma_table_info(f."table") p WHERE p.pk = f.seq + 1))))
       FROM pragma_foreign_key_list(t.name) f) AS foreign_keys
  FROM pragma_table_list t
  WHERE t.schema = 'main' AND t.type = 'table' AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
    AND t.name NOT LIKE '\\_litestream\\_%' ESCAPE '\\' AND t.name NOT LIKE 'libsql\\_%' ESCAPE '\\'
  ORDER BY t.name`;

const postgresCatalogue = `
  SELECT t.relname AS name,
    (SELECT json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'notNull', a.attnotnull,
         'key', COALESCE(array_position(p.indkey::int2[], a.attnum) + 1, 0)) ORDER BY a.attnum)::text
       FROM pg_attribute a LEFT JOIN pg_index p ON p.indrelid = t.oid AND p.indisprimary
       WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '') AS columns,
    (SELECT json_agg(json_build_object('index', i.indexrelid, 'column', a.attname) ORDER BY i.indexrelid, k.position)::text
       FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, position)
       LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.attnum
       WHERE i.indrelid = t.oid AND i.indisunique AND NOT i.indisprimary AND i.indpred IS NULL
         AND k.position <= i.indnkeyatts) AS uniques,
    (SELECT json_agg(json_build_object('id', c.oid, 'from', a.attname, 'table', r.relname, 'to', b.attname) ORDER BY c.oid, k.position)::text
       FROM pg_constraint c JOIN pg_class r ON r.oid = c.confrelid
       CROSS JOIN LATERAL unnest(c.conkey, c.confkey) WITH ORDINALITY AS k (child, parent, position)
       JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.child
       JOIN pg_attribute b ON b.attrelid = c.confrelid AND b.attnum = k.parent
       WHERE c.conrelid = t.oid AND c.contype = 'f') AS foreign_keys
  FROM pg_class t
  WHERE t.relnamespace = current_schema()::regnamespace AND t.relkind IN ('r', 'p') AND NOT t.relispartition
  ORDER BY t.relname`;
