import { type ExactRow, statement, type Transaction } from "../../engines/engine.js";
import { listOf } from "./catalogue.js";

/** A table as SQLite lists it. */
export interface ListedTable {
  readonly name: string;
  /** In lower case, in their order; none of a virtual table. */
  readonly columns: readonly string[];
}

/** A virtual table, and the ordinary ones in which its module keeps what it holds. */
export interface VirtualTable {
  readonly name: string;
  /** In lower case, such as `fts5`. */
  readonly module: string;
  /** By what the module calls them: `content` of a table `docs` is `docs_content`. */
  readonly parts: ReadonlyMap<string, ListedTable>;
}

/** Tables that somebody else keeps for himself. */
export interface KeptTable {
  readonly name: string;
  /** `Litestream`, `the vector index by_meaning`. */
  readonly keeper: string;
}

/** All tables of a SQLite database but its own, each in one of these places. */
export interface SqliteTables {
  /** Those that hold an application's rows. */
  readonly ordinary: readonly string[];
  readonly virtual: readonly VirtualTable[];
  readonly kept: readonly KeptTable[];
}

/**
 * Which tables are an application's, and what the others are. No name alone makes a table a part of a virtual one: it has to be one that the
 * module makes, with the columns that the module gives it. SQLite itself goes by the name, and takes the table that a full-text index is
 * on for the index's own where it is called `<index>_content`; of modules that are not known here it is believed.
 */
export async function listSqliteTables(transaction: Transaction): Promise<SqliteTables> {
  const rows = await transaction.query(statement(listing));
  const of = (...types: readonly string[]) => rows.filter(({ type }) => types.includes(String(type)));
  const stored = of("table", "shadow");
  const indexes = of("index").map(({ name }) => String(name));
  const virtual = of("virtual").map((row) => virtualTable(row, stored));
  const kept = stored.flatMap((row) => keptTable(row, indexes));
  const taken = new Set([
    ...kept.map(({ name }) => name),
    ...virtual.flatMap(({ parts }) => [...parts.values()].map(({ name }) => name)),
  ]);
  return { ordinary: stored.map(({ name }) => String(name)).filter((name) => !taken.has(name)), virtual, kept };
}

/** The columns of what a module makes beside its table. */
type Parts = Readonly<Record<string, RegExp>>;

const fullText: Parts = {
  content: /^docid,c0/,
  segments: /^blockid,block$/,
  segdir: /^level,idx,start_block,leaves_end_block,end_block,root$/,
  docsize: /^docid,size$/,
  stat: /^id,value$/,
};
const boxes: Parts = { node: /^nodeno,data$/, rowid: /^rowid,nodeno(,a\d+)*$/, parent: /^nodeno,parentnode$/ };

const modules: ReadonlyMap<string, Parts> = new Map([
  ["fts3", fullText],
  ["fts4", fullText],
  [
    "fts5",
    {
      data: /^id,block$/,
      idx: /^segid,term,pgno$/,
      content: /^id(,c\d+)+(,l\d+)*$/,
      docsize: /^id,sz(,origin)?$/,
      config: /^k,v$/,
    },
  ],
  ["rtree", boxes],
  ["rtree_i32", boxes],
  ["geopoly", boxes],
]);

function virtualTable(row: ExactRow, stored: readonly ExactRow[]): VirtualTable {
  const name = String(row.name);
  const module = moduleOf(String(row.sql));
  const prefix = `${name}_`.toLowerCase();
  const parts = new Map<string, ListedTable>();
  for (const candidate of stored) {
    const table = listed(candidate);
    const part = table.name.toLowerCase().startsWith(prefix) ? table.name.slice(prefix.length).toLowerCase() : "";
    const known = modules.get(module)?.[part];
    const belongs = known === undefined ? candidate.type === "shadow" : known.test(table.columns.join());
    if (part !== "" && belongs) parts.set(part, table);
  }
  return { name, module, parts };
}

/** SQLite keeps the statement from the table's name on: `CREATE VIRTUAL TABLE name USING module(…)`. */
function moduleOf(sql: string): string {
  const rest = sql.replace(/^CREATE VIRTUAL TABLE\s+/i, "").replace(firstName, "");
  return (/\bUSING\s+["'`[]?(\w+)/i.exec(rest)?.[1] ?? "").toLowerCase();
}

const firstName = /^("(""|[^"])*"|'(''|[^'])*'|`(``|[^`])*`|\[[^\]]*\]|\S+)/;

/** What replication and libSQL put into a database, by the names that they are known to use. */
const keepers: ReadonlyMap<string, string> = new Map([
  ["_litestream_seq", "Litestream"],
  ["_litestream_lock", "Litestream"],
  ["_cf_KV", "Cloudflare"],
  ["_cf_METADATA", "Cloudflare"],
  ["libsql_wasm_func_table", "libSQL"],
  ["libsql_vector_meta_shadow", "libSQL"],
]);

function keptTable(row: ExactRow, vectorIndexes: readonly string[]): KeptTable[] {
  const { name, columns } = listed(row);
  const keeper = keepers.get(name);
  if (keeper !== undefined) return [{ name, keeper }];
  const index = vectorIndexes.find((candidate) => name === `${candidate}_shadow`);
  const isPart = index !== undefined && /^(index_key\d*,)+data$/.test(columns.join());
  return isPart ? [{ name, keeper: `the vector index ${index}` }] : [];
}

function listed({ name, columns }: ExactRow): ListedTable {
  return { name: String(name), columns: listOf<string>(columns) };
}

const listing = `
  SELECT t.name AS name, t.type AS type, m.sql AS sql,
    CASE WHEN t.type <> 'virtual' THEN (SELECT json_group_array(lower(c.name))
      FROM (SELECT name FROM pragma_table_xinfo(t.name, 'main') ORDER BY cid) c) END AS columns
  FROM pragma_table_list t LEFT JOIN main.sqlite_schema m ON m.type = 'table' AND m.name = t.name
  WHERE t.schema = 'main' AND t.type IN ('table', 'shadow', 'virtual') AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
  UNION ALL SELECT name, 'index', sql, NULL FROM main.sqlite_schema WHERE type = 'index' AND sql LIKE '%libsql\\_vector\\_idx%(%' ESCAPE '\\'
  ORDER BY 1`;
