import { type ExactRow, statement, type Transaction } from "../../engines/engine.js";
import type { ForeignKey, ForeignKeyAction } from "../table.js";
import {
  type DiscoveredColumn,
  type DiscoveredTable,
  type GeneratedColumn,
  groupedBy,
  type Index,
  isOurs,
  listOf,
} from "./catalogue.js";
import { checksOf } from "./sqlite-checks.js";
import { listSqliteTables } from "./sqlite-tables.js";
import { kindOfDeclared } from "./sqlite-type.js";

/** Every table of the SQLite database that holds an application's rows: not its own, nor ours, nor what `uncarriedTables` names. */
export async function discoverSqlite(transaction: Transaction): Promise<DiscoveredTable[]> {
  const { ordinary } = await listSqliteTables(transaction);
  const rows = await transaction.query(statement(catalogue, [JSON.stringify(ordinary)]));
  const tables = rows.map(tableOf).filter((table) => !isOurs(table));
  const names = new Map(rows.map(({ name }) => [String(name).toLowerCase(), String(name)]));
  return tables.map((table) => ({ ...table, foreignKeys: table.foreignKeys.map((key) => withRealNames(key, names)) }));
}

interface CatalogueColumn {
  readonly name: string;
  readonly type: string;
  readonly notNull: number;
  readonly default: string | null;
  readonly key: number;
  readonly hidden: number;
}

interface CatalogueIndex {
  readonly index: string;
  readonly origin: "c" | "u" | "pk";
  readonly unique: number;
  readonly partial: number;
  readonly column: string | null;
  readonly descending: number;
  readonly collation: string;
  readonly sql: string | null;
}

interface CatalogueForeignKey {
  readonly id: number;
  readonly from: string;
  readonly table: string;
  readonly to: string | null;
  readonly onDelete: ForeignKeyAction;
  readonly onUpdate: ForeignKeyAction;
}

function tableOf(row: ExactRow): DiscoveredTable {
  const all = listOf<CatalogueColumn>(row.columns);
  const stored = all.filter(({ hidden }) => hidden === 0);
  const indexes = groupedBy(listOf<CatalogueIndex>(row.indexes), ({ index }) => index);
  const primaryKey = primaryKeyOf(stored);
  const columns = columnsOf(row, stored, primaryKey, indexes);
  const isNotNull = (name: string) => columns.some((column) => column.name === name && column.notNull);
  const uniques = indexes.filter(isUsableUnique).map((parts) => parts.map(({ column }) => String(column)));
  const further = uniques.filter((names) => names.every((name) => stored.some((column) => column.name === name)));
  const sql = String(row.sql ?? "");
  return {
    side: "sqlite",
    name: String(row.name),
    columns,
    key: primaryKey,
    primaryKey,
    keys: [...(primaryKey.length > 0 ? [primaryKey] : []), ...further.filter((names) => names.every(isNotNull))],
    uniques: further,
    foreignKeys: foreignKeysOf(listOf<CatalogueForeignKey>(row.foreign_keys), sql),
    generated: generatedOf(all),
    indexes: indexes.map(indexOf),
    checks: checksOf(sql),
    options: optionsOf(row, sql),
    sql,
    partitions: [],
  };
}

function primaryKeyOf(columns: readonly CatalogueColumn[]): string[] {
  const parts = columns.filter(({ key }) => key > 0);
  return parts.sort((left, right) => left.key - right.key).map(({ name }) => name);
}

/** The rowid's alias is the one primary key that has no index of its own in a table with rowids. */
function columnsOf(
  row: ExactRow,
  stored: readonly CatalogueColumn[],
  primaryKey: readonly string[],
  indexes: readonly (readonly CatalogueIndex[])[],
): DiscoveredColumn[] {
  const hasIndex = indexes.some(([first]) => first?.origin === "pk");
  const isAlias = row.without_rowid === 0n && primaryKey.length === 1 && !hasIndex;
  const collations = new Map(
    indexes
      .filter(isUsableUnique)
      .flatMap((parts) => parts.map(({ column, collation }) => [column, collation] as const)),
  );
  return stored.map(({ name, type, notNull, default: expression, key }) => {
    const identity = isAlias && key > 0;
    const collation = collations.get(name)?.toUpperCase() ?? "BINARY";
    return {
      name,
      kind: kindOfDeclared(type),
      sqliteType: type,
      notNull: notNull === 1 || identity,
      default: expression,
      identity,
      collation: collation === "BINARY" ? null : collation,
      category: "base",
    };
  });
}

function isUsableUnique(parts: readonly CatalogueIndex[]): boolean {
  const [first] = parts;
  const whole = parts.every(({ column }) => column !== null);
  return first !== undefined && first.unique === 1 && first.partial === 0 && whole;
}

function indexOf(parts: readonly CatalogueIndex[]): Index {
  const [first] = parts;
  return {
    name: first?.index ?? "",
    unique: first?.unique === 1,
    constraint: first?.origin !== "c",
    columns: parts.map(({ column, descending, collation }) => ({ column, descending: descending === 1, collation })),
    partial: first?.partial === 1,
    method: "btree",
    sql: first?.sql ?? null,
  };
}

/** Hidden columns of kind 2 and 3 are computed, virtually or stored. */
function generatedOf(columns: readonly CatalogueColumn[]): GeneratedColumn[] {
  return columns
    .filter(({ hidden }) => hidden > 1)
    .map(({ name, type }) => ({ name, type: type.replace(/\s*GENERATED ALWAYS$/i, "") }));
}

/** The catalogue does not tell which ones are deferred, so that the definition has to: of all of them or none. */
function foreignKeysOf(rows: readonly CatalogueForeignKey[], sql: string): ForeignKey[] {
  const deferred = /\bINITIALLY\s+DEFERRED\b/i.test(sql);
  return groupedBy(rows, ({ id }) => id).flatMap((group) => {
    const parentColumns = group.map(({ to }) => to).filter((to): to is string => to !== null);
    const [first] = group;
    if (first === undefined || parentColumns.length !== group.length) return [];
    const { onDelete, onUpdate, table: parent } = first;
    return [{ columns: group.map(({ from }) => from), parent, parentColumns, onDelete, onUpdate, deferred }];
  });
}

/** A reference may spell a table in another case. */
function withRealNames(key: ForeignKey, names: ReadonlyMap<string, string>): ForeignKey {
  return { ...key, parent: names.get(key.parent.toLowerCase()) ?? key.parent };
}

function optionsOf(row: ExactRow, sql: string): string[] {
  const found = {
    STRICT: row.strict === 1n,
    "WITHOUT ROWID": row.without_rowid === 1n,
    AUTOINCREMENT: /\bAUTOINCREMENT\b/i.test(sql),
  };
  return Object.entries(found).flatMap(([option, is]) => (is ? [option] : []));
}

const catalogue = `
  SELECT t.name AS name, t.wr AS without_rowid, t.strict AS strict,
    (SELECT m.sql FROM main.sqlite_schema m WHERE m.type = 'table' AND m.name = t.name) AS sql,
    (SELECT json_group_array(json_object('name', c.name, 'type', c.type, 'notNull', c."notnull", 'default', c.dflt_value,
         'key', c.pk, 'hidden', c.hidden)) FROM (SELECT * FROM pragma_table_xinfo(t.name, 'main') ORDER BY cid) c) AS columns,
    (SELECT json_group_array(json_object('index', k.i, 'origin', k.origin, 'unique', k."unique", 'partial', k.partial,
         'column', k.name, 'descending', k.desc, 'collation', k.coll,
         'sql', (SELECT m.sql FROM main.sqlite_schema m WHERE m.type = 'index' AND m.name = k.i)))
       FROM (SELECT i.name AS i, i.origin, i."unique", i.partial, x.name, x.desc, x.coll
         FROM pragma_index_list(t.name, 'main') i JOIN pragma_index_xinfo(i.name, 'main') x WHERE x.key = 1 ORDER BY i.seq, x.seqno) k) AS indexes,
    (SELECT json_group_array(json_object('id', f.id, 'from', f."from", 'table', f."table", 'onDelete', f.on_delete, 'onUpdate', f.on_update,
         'to', COALESCE((SELECT p.name FROM pragma_table_xinfo(f."table", 'main') p WHERE lower(p.name) = lower(f."to")), f."to",
           (SELECT p.name FROM pragma_table_info(f."table", 'main') p WHERE p.pk = f.seq + 1))))
       FROM (SELECT * FROM pragma_foreign_key_list(t.name, 'main') ORDER BY id, seq) f) AS foreign_keys
  FROM pragma_table_list t
  WHERE t.schema = 'main' AND t.name IN (SELECT value FROM json_each(?))
  ORDER BY t.name`;
