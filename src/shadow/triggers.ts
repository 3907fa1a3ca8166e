import { createHash } from "node:crypto";
import type { TablePair } from "../data/catalogue/couple.js";
import { keyExpression } from "../data/key.js";
import { literal, nameOn, quote, quotedOn, type Table } from "../data/table.js";
import { evictions } from "./evictions.js";

/**
 * SQL that makes every change of a table leave its key in the journal, and refuses writers where this side is not primary. A table without
 * a key has no row in the journal: there it only refuses.
 */
export interface TriggerSql {
  /** What a catalogue has to hold, by name: SQLite's definitions, and on PostgreSQL the bodies of the functions. */
  readonly expected: ReadonlyMap<string, string>;
  readonly create: readonly string[];
  readonly drop: readonly string[];
}

export function sqliteTriggers(pair: TablePair): TriggerSql {
  const triggers = [
    ...["INSERT", "UPDATE", "DELETE"].map((event) => sqliteTrigger(pair.table, event)),
    ...evictionTriggers(pair),
  ];
  const { name } = pair.table;
  const names = ["insert", "update", "delete", "evict_insert", "evict_update"];
  return {
    expected: new Map(triggers.map((trigger) => [trigger.name, trigger.sql])),
    create: triggers.map(({ sql }) => sql),
    drop: names.map((what) => `DROP TRIGGER IF EXISTS ${quote(triggerName(name, what))}`),
  };
}

/** SQLite's trigger for one kind of change. */
export function triggerName(table: string, what: string): string {
  return `dualdb_${table}_${what}`;
}

/** Whether a trigger of ours journals, and does not only refuse. */
export function isJournaling(definition: string | undefined): boolean {
  return definition?.includes("INTO dualdb_journal") === true;
}

const postgresEvents = ["dualdb_insert", "dualdb_update", "dualdb_delete", "dualdb_truncate"];

export function postgresTriggers(schema: string, { table, postgres }: TablePair): TriggerSql {
  const target = `${quote(schema)}.${quotedOn("postgres", table)}`;
  const name = functionName(table);
  const journal = `${quote(schema)}.${quote(name)}`;
  const body = table.key.length === 0 ? refusingBody(schema) : journalingBody(schema, table);
  // A statement that names a partition fires the triggers of that one alone.
  const tables = [target, ...postgres.partitions];
  const drop = tables.flatMap((one) => postgresEvents.map((event) => `DROP TRIGGER IF EXISTS ${event} ON ${one}`));
  const drops = [...drop, `DROP FUNCTION IF EXISTS ${journal}()`];
  const attached = tables.flatMap((one) => postgresEvents.map((event) => [`${one}.${event}`, name] as const));
  return {
    expected: new Map([[name, body], ...attached]),
    create: [
      ...drop,
      `CREATE OR REPLACE FUNCTION ${journal}() RETURNS trigger LANGUAGE plpgsql AS $dualdb$${body}$dualdb$`,
      ...tables.flatMap((one) => attachments(one, journal)),
    ],
    drop: drops,
  };
}

function attachments(table: string, journal: string): string[] {
  const attach = (name: string, when: string, rows: string) =>
    `CREATE TRIGGER ${name} ${when} ON ${table} ${rows} FOR EACH STATEMENT EXECUTE FUNCTION ${journal}()`;
  return [
    attach("dualdb_insert", "AFTER INSERT", "REFERENCING NEW TABLE AS new_rows"),
    attach("dualdb_update", "AFTER UPDATE", "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows"),
    attach("dualdb_delete", "AFTER DELETE", "REFERENCING OLD TABLE AS old_rows"),
    attach("dualdb_truncate", "BEFORE TRUNCATE", ""),
  ];
}

interface Trigger {
  readonly name: string;
  readonly sql: string;
}

/** The mirror's own writes are those of a transaction that holds the guard row. */
const unlessMirror = "WHEN NOT EXISTS (SELECT 1 FROM dualdb_guard)";
const refuse = `SELECT RAISE(ABORT, 'NOT_PRIMARY') FROM dualdb_state WHERE id = 1 AND "primary" <> 'sqlite';`;
const milliseconds = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)";
const nextVersion = "UPDATE dualdb_state SET version = version + 1 WHERE id = 1;";

function sqliteTrigger(table: Table, event: string): Trigger {
  const name = triggerName(table.name, event.toLowerCase());
  const head = `CREATE TRIGGER ${quote(name)} AFTER ${event} ON ${quote(table.name)} ${unlessMirror} BEGIN
  ${refuse}`;
  if (table.key.length === 0) return { name, sql: `${head}\nEND` };
  const key = keyExpression("sqlite", table, event === "DELETE" ? "OLD" : "NEW");
  return {
    name,
    sql: `${head}
  ${nextVersion}
  ${enter(table, key, "")}${event === "UPDATE" ? formerKey(table) : ""}
END`,
  };
}

/** An update that changes the key leaves a row to delete under the old one. */
function formerKey(table: Table): string {
  const changed = table.key.map((column) => `OLD.${quote(column)} IS NOT NEW.${quote(column)}`).join(" OR ");
  return `\n  ${enter(table, keyExpression("sqlite", table, "OLD"), `AND (${changed})`)}`;
}

/**
 * REPLACE deletes the row that holds the same unique value under another key without firing any trigger for it. Where the statement then
 * does nothing, as INSERT OR IGNORE may, no other trigger fires: so this one has to refuse, too.
 */
function evictionTriggers(pair: TablePair): Trigger[] {
  const { table } = pair;
  const found = evictions(pair);
  if (table.key.length === 0 || found === null) return [];
  const rows = `(SELECT ${keyExpression("sqlite", table, quote(table.name))} AS row_key FROM ${quote(table.name)} WHERE ${found.condition})`;
  const columns = found.columns.map(quote).join(", ");
  const updates = columns === "" ? "UPDATE" : `UPDATE OF ${columns}`;
  const timings = [
    ["evict_insert", "INSERT"],
    ["evict_update", updates],
  ] as const;
  return timings.map(([what, when]) => {
    const name = triggerName(table.name, what);
    return {
      name,
      sql: `CREATE TRIGGER ${quote(name)} BEFORE ${when} ON ${quote(table.name)} ${unlessMirror} BEGIN
  ${refuse}
  ${nextVersion}
  ${enter(table, "k.row_key", "", `, ${rows} AS k`)}
END`,
    };
  });
}

function enter(table: Table, key: string, condition: string, from = ""): string {
  return `INSERT INTO dualdb_journal (table_name, row_key, version, touched_at)
    SELECT ${literal(table.name)}, ${key}, s.version, ${milliseconds} FROM dualdb_state AS s${from} WHERE s.id = 1 ${condition}
    ON CONFLICT (table_name, row_key) DO UPDATE SET version = excluded.version, touched_at = excluded.touched_at, attempts = 0, last_error = NULL;`;
}

/**
 * A transaction that sees an old snapshot would read an old state too, so outside READ COMMITTED the state row is locked, which fails
 * when it has moved since.
 */
function refusal(schema: string): string {
  const state = `${quote(schema)}.dualdb_state`;
  return `
  IF current_setting('dualdb.mirror', true) = 'on' THEN RETURN NULL; END IF;
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    PERFORM 1 FROM ${state} WHERE id = 1 FOR KEY SHARE;
  END IF;
  IF (SELECT s."primary" FROM ${state} AS s WHERE s.id = 1) IS DISTINCT FROM 'postgres' THEN
    RAISE EXCEPTION 'NOT_PRIMARY' USING ERRCODE = 'DD001', HINT = 'SQLite is primary: write there.';
  END IF;`;
}

function refusingBody(schema: string): string {
  return `
BEGIN${refusal(schema)}
  RETURN NULL;
END
`;
}

/** TRUNCATE takes rows that an old snapshot does not show, and there would be no telling which. */
function journalingBody(schema: string, table: Table): string {
  const own = (name: string) => `${quote(schema)}.${name}`;
  const keysOf = (rows: string, alias: string) =>
    `SELECT ${keyExpression("postgres", table, alias)} AS row_key FROM ${rows} AS ${alias}`;
  const put = (keys: string) => `INSERT INTO ${own("dualdb_journal")} AS j (table_name, row_key, version, touched_at)
      SELECT ${literal(table.name)}, k.row_key, nextval(${literal(own("dualdb_version"))}), (extract(epoch FROM clock_timestamp()) * 1000)::bigint
      FROM (${keys} ORDER BY 1) AS k
      ON CONFLICT (table_name, row_key) DO UPDATE SET version = excluded.version, touched_at = excluded.touched_at, attempts = 0, last_error = NULL;`;
  return `
BEGIN${refusal(schema)}
  IF TG_OP = 'INSERT' THEN
    ${put(keysOf("new_rows", "n"))}
  ELSIF TG_OP = 'UPDATE' THEN
    ${put(`${keysOf("new_rows", "n")} UNION ${keysOf("old_rows", "o")}`)}
  ELSIF TG_OP = 'DELETE' THEN
    ${put(keysOf("old_rows", "o"))}
  ELSIF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'TRUNCATE of a mirrored table needs READ COMMITTED' USING ERRCODE = '0A000', HINT = 'Use DELETE, or another isolation level.';
  ELSE
    ${put(keysOf(`${quote(schema)}.${quotedOn("postgres", table)}`, "t"))}
  END IF;
  RETURN NULL;
END
`;
}

/** PostgreSQL cuts names after 63 bytes, which would make one function of two long names. */
function functionName(table: Table): string {
  const name = `dualdb_journal_${nameOn("postgres", table)}`;
  if (Buffer.byteLength(name) <= 63) return name;
  return `dualdb_journal_${createHash("sha256").update(name).digest("hex").slice(0, 40)}`;
}
