import { createHash } from "node:crypto";
import { keyExpression } from "../data/key.js";
import { literal, nameOn, quote, quotedOn, type Table } from "../data/table.js";

/** SQL that makes every change of a table leave its key in the journal, and refuses writers where this side is not primary. */
export interface TriggerSql {
  /** Names of the triggers, by which a missing one is noticed. */
  readonly names: readonly string[];
  readonly create: readonly string[];
  readonly drop: readonly string[];
}

export function sqliteTriggers(table: Table): TriggerSql {
  const triggers = [
    ...["INSERT", "UPDATE", "DELETE"].map((event) => sqliteTrigger(table, event)),
    ...(table.uniques.length === 0 ? [] : ["INSERT", "UPDATE"].map((event) => evictionTrigger(table, event))),
  ];
  return {
    names: triggers.map(({ name }) => name),
    create: triggers.map(({ sql }) => sql),
    drop: triggers.map(({ name }) => `DROP TRIGGER IF EXISTS ${quote(name)}`),
  };
}

export function postgresTriggers(schema: string, table: Table): TriggerSql {
  const target = `${quote(schema)}.${quotedOn("postgres", table)}`;
  const journal = `${quote(schema)}.${quote(functionName(table))}`;
  const names = ["dualdb_insert", "dualdb_update", "dualdb_delete", "dualdb_truncate"];
  const attach = (name: string, when: string, rows: string) =>
    `CREATE TRIGGER ${name} ${when} ON ${target} ${rows} FOR EACH STATEMENT EXECUTE FUNCTION ${journal}()`;
  const drop = names.map((name) => `DROP TRIGGER IF EXISTS ${name} ON ${target}`);
  return {
    names,
    create: [
      ...drop,
      postgresFunction(schema, table, journal),
      attach("dualdb_insert", "AFTER INSERT", "REFERENCING NEW TABLE AS new_rows"),
      attach("dualdb_update", "AFTER UPDATE", "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows"),
      attach("dualdb_delete", "AFTER DELETE", "REFERENCING OLD TABLE AS old_rows"),
      attach("dualdb_truncate", "BEFORE TRUNCATE", ""),
    ],
    drop: [...drop, `DROP FUNCTION IF EXISTS ${journal}()`],
  };
}

interface Trigger {
  readonly name: string;
  readonly sql: string;
}

/** The mirror's own writes are those of a transaction that holds the guard row. */
const unlessMirror = "WHEN NOT EXISTS (SELECT 1 FROM dualdb_guard)";
const milliseconds = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)";
const nextVersion = "UPDATE dualdb_state SET version = version + 1 WHERE id = 1;";

function sqliteTrigger(table: Table, event: string): Trigger {
  const name = `dualdb_${table.name}_${event.toLowerCase()}`;
  const key = event === "DELETE" ? keyExpression("sqlite", table, "OLD") : keyExpression("sqlite", table, "NEW");
  return {
    name,
    sql: `CREATE TRIGGER ${quote(name)} AFTER ${event} ON ${quote(table.name)} ${unlessMirror} BEGIN
  SELECT RAISE(ABORT, 'NOT_PRIMARY') FROM dualdb_state WHERE id = 1 AND "primary" <> 'sqlite';
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

/** REPLACE deletes the row that holds the same unique value under another key without firing any trigger for it. */
function evictionTrigger(table: Table, event: string): Trigger {
  const name = `dualdb_${table.name}_evict_${event.toLowerCase()}`;
  const same = table.uniques.map(
    (columns) => `(${columns.map((column) => `t.${quote(column)} = NEW.${quote(column)}`).join(" AND ")})`,
  );
  const from = `, ${quote(table.name)} AS t`;
  const columns = [...new Set(table.uniques.flat())].map(quote).join(", ");
  const when = event === "UPDATE" ? `UPDATE OF ${columns}` : event;
  return {
    name,
    sql: `CREATE TRIGGER ${quote(name)} BEFORE ${when} ON ${quote(table.name)} ${unlessMirror} BEGIN
  ${nextVersion}
  ${enter(table, keyExpression("sqlite", table, "t"), `AND (${same.join(" OR ")})`, from)}
END`,
  };
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
function postgresFunction(schema: string, table: Table, journal: string): string {
  const own = (name: string) => `${quote(schema)}.${name}`;
  const keysOf = (rows: string, alias: string) =>
    `SELECT ${keyExpression("postgres", table, alias)} AS row_key FROM ${rows} AS ${alias}`;
  const put = (keys: string) => `INSERT INTO ${own("dualdb_journal")} AS j (table_name, row_key, version, touched_at)
      SELECT ${literal(table.name)}, k.row_key, nextval(${literal(own("dualdb_version"))}), (extract(epoch FROM clock_timestamp()) * 1000)::bigint
      FROM (${keys} ORDER BY 1) AS k
      ON CONFLICT (table_name, row_key) DO UPDATE SET version = excluded.version, touched_at = excluded.touched_at, attempts = 0, last_error = NULL;`;
  return `CREATE OR REPLACE FUNCTION ${journal}() RETURNS trigger LANGUAGE plpgsql AS $dualdb$
BEGIN
  IF current_setting('dualdb.mirror', true) = 'on' THEN RETURN NULL; END IF;
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    PERFORM 1 FROM ${own("dualdb_state")} WHERE id = 1 FOR KEY SHARE;
  END IF;
  IF (SELECT s."primary" FROM ${own("dualdb_state")} AS s WHERE s.id = 1) IS DISTINCT FROM 'postgres' THEN
    RAISE EXCEPTION 'NOT_PRIMARY' USING ERRCODE = 'DD001', HINT = 'SQLite is primary: write there.';
  END IF;
  IF TG_OP = 'INSERT' THEN
    ${put(keysOf("new_rows", "n"))}
  ELSIF TG_OP = 'UPDATE' THEN
    ${put(`${keysOf("new_rows", "n")} UNION ${keysOf("old_rows", "o")}`)}
  ELSIF TG_OP = 'DELETE' THEN
    ${put(keysOf("old_rows", "o"))}
  ELSE
    ${put(keysOf(`${quote(schema)}.${quotedOn("postgres", table)}`, "t"))}
  END IF;
  RETURN NULL;
END
$dualdb$`;
}

/** PostgreSQL cuts names after 63 bytes, which would make one function of two long names. */
function functionName(table: Table): string {
  const name = `dualdb_journal_${nameOn("postgres", table)}`;
  if (Buffer.byteLength(name) <= 63) return name;
  return `dualdb_journal_${createHash("sha256").update(name).digest("hex").slice(0, 40)}`;
}
