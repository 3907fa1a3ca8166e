import type { ExactRow, Transaction } from "../../engines/engine.js";
import type { ForeignKey, ForeignKeyAction, SizeLimit } from "../table.js";
import {
  type DiscoveredColumn,
  type DiscoveredTable,
  type Index,
  type IndexColumn,
  isOurs,
  listOf,
} from "./catalogue.js";
import { ownSchema } from "./own-schema.js";
import { kindOfPostgres } from "./postgres-type.js";

/** Every table of the PostgreSQL schema that the connection works in, but ours. A partitioned table counts as one. */
export async function discoverPostgres(transaction: Transaction): Promise<DiscoveredTable[]> {
  const rows = await transaction.query({ sql: catalogue, text: catalogue, values: [] });
  return rows.map(tableOf).filter((table) => !isOurs(table));
}

interface CatalogueColumn {
  readonly name: string;
  readonly type: string;
  readonly cast: string;
  readonly base: string;
  readonly typeKind: string;
  readonly isArray: boolean;
  readonly notNull: boolean;
  readonly default: string | null;
  readonly identity: string;
  readonly generated: string;
  readonly collation: string | null;
  readonly deterministic: boolean;
}

interface CatalogueIndex {
  readonly name: string;
  readonly unique: boolean;
  readonly primary: boolean;
  readonly constraint: boolean;
  readonly usable: boolean;
  readonly partial: boolean;
  readonly method: string;
  readonly sql: string;
  readonly columns: readonly IndexColumn[];
}

interface CatalogueForeignKey {
  readonly columns: readonly string[];
  readonly parent: string;
  readonly parentColumns: readonly string[];
  readonly onDelete: string;
  readonly onUpdate: string;
  readonly deferred: boolean;
}

function tableOf(row: ExactRow): DiscoveredTable {
  const all = listOf<CatalogueColumn>(row.columns);
  const indexes = listOf<CatalogueIndex>(row.indexes);
  const columns = all.filter(({ generated }) => generated === "").map(columnOf);
  const names = new Set(columns.map(({ name }) => name));
  const isNotNull = (name: string) => columns.some((column) => column.name === name && column.notNull);
  const whole = indexes.filter((index) => isUnique(index, names));
  const primary = indexes.find((index) => index.primary);
  const primaryKey = primary === undefined ? [] : columnNames(primary);
  const usable = whole
    .filter(({ usable }) => usable)
    .sort((left, right) => Number(right.primary) - Number(left.primary));
  return {
    side: "postgres",
    name: String(row.name),
    columns,
    key: primaryKey,
    primaryKey,
    keys: usable.map(columnNames).filter((names) => names.every(isNotNull)),
    uniques: whole.filter((index) => !index.primary).map(columnNames),
    foreignKeys: listOf<CatalogueForeignKey>(row.foreign_keys).map(foreignKeyOf),
    generated: all.filter(({ generated }) => generated !== "").map(({ name, type }) => ({ name, type })),
    indexes: indexes.map(indexOf),
    checks: listOf<string>(row.checks),
    checkColumns: listOf<NonNullable<DiscoveredTable["checkColumns"]>[number]>(row.check_columns),
    sizeLimits: listOf<SizeLimit>(row.size_limits),
    options: row.partitioned === true ? ["PARTITIONED"] : [],
    sql: null,
    partitions: listOf<string>(row.partitions),
  };
}

function columnOf(column: CatalogueColumn): DiscoveredColumn {
  const { name, type, cast, base, notNull, typeKind, isArray } = column;
  return {
    name,
    type,
    cast,
    ...(typeKind === "d" ? { base } : {}),
    ...(column.identity === "a" ? { isFixed: true } : {}),
    kind: isArray ? "other" : kindOfPostgres(base),
    notNull,
    default: column.default,
    identity: column.identity !== "" || /^nextval\(/.test(column.default ?? ""),
    collation: collationOf(column),
    category: isArray ? "array" : (categories[typeKind] ?? "base"),
  };
}

const categories: Readonly<Record<string, DiscoveredColumn["category"]>> = {
  b: "base",
  c: "composite",
  d: "domain",
  e: "enum",
  r: "range",
  m: "range",
};

function collationOf({ base, collation, deterministic }: CatalogueColumn): string | null {
  if (/(^|\.)"?citext"?$/.test(base)) return "citext";
  return deterministic ? null : collation;
}

function isUnique({ unique, partial, columns }: CatalogueIndex, names: ReadonlySet<string>): boolean {
  return unique && !partial && columns.every(({ column }) => column !== null && names.has(column));
}

function columnNames({ columns }: CatalogueIndex): string[] {
  return columns.map(({ column }) => String(column));
}

function indexOf({ primary, usable, ...index }: CatalogueIndex): Index {
  return index;
}

const actions: Readonly<Record<string, ForeignKeyAction>> = {
  a: "NO ACTION",
  r: "RESTRICT",
  c: "CASCADE",
  n: "SET NULL",
  d: "SET DEFAULT",
};

function foreignKeyOf({ onDelete, onUpdate, ...key }: CatalogueForeignKey): ForeignKey {
  return { ...key, onDelete: actions[onDelete] ?? "NO ACTION", onUpdate: actions[onUpdate] ?? "NO ACTION" };
}

/** Of an index on an expression, and of a computed column, the columns are those that it depends on. */
const sizeLimits = `
  SELECT r.relname AS name, CASE WHEN m.amname IN ('gin', 'gist') THEN 'search' ELSE 'index' END AS kind,
    (SELECT json_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = t.oid AND a.attnum > 0
       AND (a.attnum = ANY (i.indkey::int2[]) OR EXISTS (SELECT 1 FROM pg_depend x WHERE x.classid = 'pg_class'::regclass
         AND x.objid = i.indexrelid AND x.refclassid = 'pg_class'::regclass AND x.refobjid = t.oid AND x.refobjsubid = a.attnum))) AS columns
  FROM pg_index i JOIN pg_class r ON r.oid = i.indexrelid JOIN pg_am m ON m.oid = r.relam WHERE i.indrelid = t.oid
  UNION ALL
  SELECT '', 'search', (SELECT json_agg(a.attname ORDER BY a.attnum) FROM pg_depend x
      JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = x.refobjsubid AND a.attnum <> g.attnum AND a.attnum > 0
      WHERE x.classid = 'pg_attrdef'::regclass AND x.objid = d.oid AND x.refclassid = 'pg_class'::regclass AND x.refobjid = t.oid)
  FROM pg_attribute g JOIN pg_attrdef d ON d.adrelid = g.attrelid AND d.adnum = g.attnum WHERE g.attrelid = t.oid AND g.attgenerated <> ''`;

/** An index that is deferrable or not valid is no arbiter for ON CONFLICT; columns that it merely INCLUDEs are no part of its key. */
const catalogue = `
  SELECT t.relname AS name, t.relkind = 'p' AS partitioned,
    (SELECT json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'cast', format_type(a.atttypid, -1),
         'base', format_type(b.type, b.typmod), 'typeKind', y.typtype, 'isArray', z.category = 'A',
         'notNull', a.attnotnull, 'default', pg_get_expr(d.adbin, d.adrelid), 'identity', a.attidentity, 'generated', a.attgenerated,
         'collation', c.collname, 'deterministic', COALESCE(c.collisdeterministic, true)) ORDER BY a.attnum)::text
       FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid
       CROSS JOIN LATERAL (
         WITH RECURSIVE under (type, typmod, depth) AS (
           SELECT a.atttypid, a.atttypmod, 0
           UNION ALL SELECT s.typbasetype, s.typtypmod, depth + 1 FROM under JOIN pg_type s ON s.oid = under.type AND s.typtype = 'd')
         SELECT type, typmod FROM under ORDER BY depth DESC LIMIT 1) b
       CROSS JOIN LATERAL (SELECT e.typcategory AS category FROM pg_type e WHERE e.oid = b.type) z
       LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
       LEFT JOIN pg_collation c ON c.oid = a.attcollation
       WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
    (SELECT json_agg(json_build_object('name', r.relname, 'unique', i.indisunique, 'primary', i.indisprimary, 'partial', i.indpred IS NOT NULL,
         'constraint', EXISTS (SELECT 1 FROM pg_constraint n WHERE n.conindid = i.indexrelid AND n.contype IN ('p', 'u', 'x')),
         'usable', i.indimmediate AND i.indisvalid, 'method', m.amname, 'sql', pg_get_indexdef(i.indexrelid),
         'columns', (SELECT json_agg(json_build_object('column', a.attname, 'descending', (o.option & 1) = 1) ORDER BY k.position)
           FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, position)
           JOIN unnest(i.indoption::int2[]) WITH ORDINALITY AS o (option, position) ON o.position = k.position
           LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.attnum
           WHERE k.position <= i.indnkeyatts)) ORDER BY i.indexrelid)::text
       FROM pg_index i JOIN pg_class r ON r.oid = i.indexrelid JOIN pg_am m ON m.oid = r.relam
       WHERE i.indrelid = t.oid) AS indexes,
    (SELECT json_agg(json_build_object('columns', (SELECT json_agg(a.attname ORDER BY k.position) FROM unnest(c.conkey) WITH ORDINALITY AS k (attnum, position)
             JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.attnum),
         'parent', r.relname, 'parentColumns', (SELECT json_agg(a.attname ORDER BY k.position) FROM unnest(c.confkey) WITH ORDINALITY AS k (attnum, position)
             JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.attnum),
         'onDelete', c.confdeltype, 'onUpdate', c.confupdtype, 'deferred', c.condeferred) ORDER BY c.oid)::text
       FROM pg_constraint c JOIN pg_class r ON r.oid = c.confrelid
       WHERE c.conrelid = t.oid AND c.contype = 'f' AND NOT r.relispartition) AS foreign_keys,
    (SELECT json_agg(pg_get_expr(c.conbin, c.conrelid) ORDER BY c.oid)::text
       FROM pg_constraint c WHERE c.conrelid = t.oid AND c.contype = 'c') AS checks,
    (SELECT json_agg(json_build_object('name', k.name, 'columns', k.columns))::text
       FROM (SELECT c.conname AS name, json_agg(a.attname ORDER BY a.attnum) AS columns
         FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
           AND ((c.conrelid = t.oid AND a.attnum = ANY (c.conkey)) OR c.contypid = a.atttypid)
         WHERE c.contype = 'c' GROUP BY c.oid, c.conname) AS k) AS check_columns,
    (SELECT json_agg(json_build_object('name', l.name, 'kind', l.kind, 'columns', l.columns))::text
       FROM (${sizeLimits}) AS l WHERE l.columns IS NOT NULL) AS size_limits,
    (SELECT json_agg(format('"%s"."%s"', replace(n.nspname, '"', '""'), replace(c.relname, '"', '""')) ORDER BY c.oid)::text
       FROM pg_partition_tree(t.oid) AS p JOIN pg_class c ON c.oid = p.relid JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE p.relid <> t.oid AND c.relkind IN ('r', 'p')) AS partitions
  FROM pg_class t
  WHERE t.relnamespace = ${ownSchema} AND t.relkind IN ('r', 'p') AND NOT t.relispartition
    AND NOT EXISTS (SELECT 1 FROM pg_depend x WHERE x.classid = 'pg_class'::regclass AND x.objid = t.oid AND x.deptype = 'e')
  ORDER BY t.relname`;
