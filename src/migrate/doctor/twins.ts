import { listOf } from "../../data/catalogue/catalogue.js";
import type { TablePair } from "../../data/catalogue/discover.js";
import { ownSchema } from "../../data/catalogue/own-schema.js";
import { quote } from "../../data/table.js";
import { statement, type Transaction } from "../../engines/engine.js";
import type { Plan } from "./plan.js";

/**
 * Makes an empty twin of each of these tables: a temporary table of the same name, which stands before the real one for the rest of the
 * transaction, with everything that decides about rows, under the same names. Tables that are yet to be made are made as temporary ones; a
 * table outside that foreign keys point to comes with its rows. Triggers are nobody's but the real table's. Resolves to why a twin cannot
 * be made; null where all were.
 */
export async function makeTwins(
  transaction: Transaction,
  pairs: readonly TablePair[],
  plan: Plan,
): Promise<string | null> {
  const planned = pairs.map(({ postgres }) => postgres.name).filter((name) => plan.planned.has(name));
  const originals = await originalsOf(transaction, pairs);
  const obstacle = originals.map(obstacleOf).find((found) => found !== null);
  if (obstacle !== undefined) return obstacle;
  await transaction.query(
    statement("SELECT set_config('search_path', 'pg_temp, ' || current_setting('search_path'), true)"),
  );
  // What is yet to be made may point to what is there, and never the other way round.
  await transaction.script([...twinTexts(originals), ...plan.statementsFor(planned)].join(";\n"));
  return null;
}

/** A table as it stands in PostgreSQL. */
interface Original {
  readonly name: string;
  /** With its schema, as an SQL identifier. */
  readonly whole: string;
  /** null for a table that only foreign keys point to. */
  readonly pair: TablePair | null;
  readonly readable: boolean;
  readonly constraints: readonly Constraint[];
  readonly indexes: readonly { readonly unique: boolean; readonly text: string }[];
  /** Columns whose defaults call a function that somebody has written. */
  readonly calling: readonly string[];
  /** What holds for a row that some partition takes; null where the table is not partitioned. */
  readonly partitions: string | null;
  /** Whether a partition has constraints that the table lacks. */
  readonly stricter: boolean;
}

interface Constraint {
  readonly name: string;
  /** `p`, `u`, `x` or `f`. */
  readonly kind: string;
  readonly text: string;
  /** Of a foreign key: whether its parent is in the same schema. */
  readonly near: boolean;
}

async function originalsOf(transaction: Transaction, pairs: readonly TablePair[]): Promise<Original[]> {
  const byName = new Map(pairs.map((pair) => [pair.postgres.name, pair]));
  const parents = pairs.flatMap(({ postgres }) => postgres.foreignKeys.map(({ parent }) => parent));
  const rows = await transaction.query(statement(catalogue, [[...new Set([...byName.keys(), ...parents])]]));
  return rows.map((row) => ({
    name: String(row.name),
    whole: String(row.whole),
    pair: byName.get(String(row.name)) ?? null,
    readable: row.readable === true,
    constraints: listOf<Constraint>(row.constraints),
    indexes: listOf<Original["indexes"][number]>(row.indexes),
    calling: listOf<string>(row.calling),
    partitions: row.partitioned === true ? String(row.partitions ?? "false") : null,
    stricter: row.stricter === true,
  }));
}

function obstacleOf({ name, pair, readable, constraints, calling, stricter }: Original): string | null {
  if (!readable) return `the user may not read ${name}`;
  if (pair === null) return null;
  const far = constraints.find(({ kind, near }) => kind === "f" && !near);
  if (far !== undefined) return `its foreign key ${far.name} points to another schema`;
  const called = calling.find((column) => isLeftToItself(pair, column));
  if (called !== undefined)
    return `the default of its column ${called} calls a function of yours, which the doctor does not`;
  return stricter ? "a partition of it has constraints of its own" : null;
}

/** Whether PostgreSQL has the column alone, so that each row takes its default. */
function isLeftToItself({ table, postgres }: TablePair, column: string): boolean {
  const carried = table.columns.map(({ name, postgresName = name }) => postgresName);
  return postgres.columns.some(({ name }) => name === column) && !carried.includes(column);
}

/** Keys come before the foreign keys that need them. */
function twinTexts(originals: readonly Original[]): string[] {
  const constraint = (name: string, one: Constraint) =>
    `ALTER TABLE ${quote(name)} ADD CONSTRAINT ${quote(one.name)} ${one.text}`;
  const own = originals.filter(({ pair }) => pair !== null);
  return [
    ...originals.map(tableText),
    ...own.flatMap(numberTexts),
    ...own.flatMap(partitionTexts),
    ...originals.flatMap(({ name, pair, constraints }) =>
      constraints
        .filter(({ kind }) => kind === "p" || kind === "u" || (kind === "x" && pair !== null))
        .map((one) => constraint(name, one)),
    ),
    ...originals.flatMap(({ pair, indexes }) =>
      indexes.filter(({ unique }) => unique || pair !== null).map(({ text }) => text),
    ),
    ...own.flatMap(({ name, constraints }) =>
      constraints.filter(({ kind }) => kind === "f").map((one) => constraint(name, one)),
    ),
  ];
}

function tableText({ name, whole, pair }: Original): string {
  if (pair === null) return `CREATE TEMPORARY TABLE ${quote(name)} AS TABLE ${whole}`;
  const like = `LIKE ${whole} INCLUDING ALL EXCLUDING INDEXES EXCLUDING STATISTICS EXCLUDING COMMENTS`;
  return `CREATE TEMPORARY TABLE ${quote(name)} (${like})`;
}

/** What a sequence has given it does not take back, so that the rows of a twin get numbers of their own. */
function numberTexts({ name, pair }: Original): string[] {
  if (pair === null) return [];
  const counted = pair.postgres.columns.filter(
    (column) => isLeftToItself(pair, column.name) && /\bnextval\(/.test(column.default ?? ""),
  );
  return counted.flatMap((column) => {
    const sequence = quote(`dualdb ${name} ${column.name}`);
    return [
      `CREATE TEMPORARY SEQUENCE ${sequence}`,
      `ALTER TABLE ${quote(name)} ALTER COLUMN ${quote(column.name)} SET DEFAULT nextval('pg_temp.${sequence.replaceAll("'", "''")}')`,
    ];
  });
}

function partitionTexts({ name, partitions }: Original): string[] {
  return partitions === null ? [] : [`ALTER TABLE ${quote(name)} ADD CONSTRAINT "no partition" CHECK (${partitions})`];
}

/** Names that the search path finds are spelled without their schema, and so mean the twins once those are there. */
const catalogue = `
  SELECT t.relname AS name, format('%I.%I', n.nspname, t.relname) AS whole, has_table_privilege(t.oid, 'SELECT') AS readable,
    t.relkind = 'p' AS partitioned,
    (SELECT json_agg(json_build_object('name', c.conname, 'kind', c.contype, 'text', pg_get_constraintdef(c.oid),
         'near', c.contype <> 'f' OR r.relnamespace = t.relnamespace) ORDER BY c.oid)::text
       FROM pg_constraint c LEFT JOIN pg_class r ON r.oid = c.confrelid
       WHERE c.conrelid = t.oid AND c.contype IN ('p', 'u', 'x', 'f') AND c.conparentid = 0) AS constraints,
    (SELECT json_agg(json_build_object('unique', i.indisunique AND i.indpred IS NULL, 'text', pg_get_indexdef(i.indexrelid, 0, true))
         ORDER BY i.indexrelid)::text
       FROM pg_index i WHERE i.indrelid = t.oid
         AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conindid = i.indexrelid AND c.contype IN ('p', 'u', 'x'))) AS indexes,
    (SELECT json_agg(a.attname)::text
       FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum AND a.attgenerated = ''
       WHERE d.adrelid = t.oid AND EXISTS (SELECT 1 FROM pg_depend p JOIN pg_proc f ON f.oid = p.refobjid AND f.provolatile <> 'i'
         WHERE p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid AND p.refclassid = 'pg_proc'::regclass
           AND NOT EXISTS (SELECT 1 FROM pg_depend x WHERE x.classid = 'pg_proc'::regclass AND x.objid = f.oid AND x.deptype = 'e'))) AS calling,
    CASE t.relkind WHEN 'p' THEN (SELECT string_agg(format('(%s)', COALESCE(pg_get_partition_constraintdef(l.relid), 'true')), ' OR ')
       FROM pg_partition_tree(t.oid) l WHERE l.isleaf) END AS partitions,
    CASE t.relkind WHEN 'p' THEN EXISTS (SELECT 1 FROM pg_partition_tree(t.oid) l JOIN pg_constraint c ON c.conrelid = l.relid
       WHERE l.level > 0 AND c.conparentid = 0 AND c.coninhcount = 0 AND c.contype IN ('c', 'p', 'u', 'x', 'f')) END AS stricter
  FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace
  WHERE t.relnamespace = ${ownSchema} AND t.relkind IN ('r', 'p') AND t.relname = ANY ($1::text[])
  ORDER BY t.relname`;
