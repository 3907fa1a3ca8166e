import sql, { raw } from "sql-template-tag";
import type { Engine, ExactRow, ExactValue } from "../../src/engines/engine.js";
import { compareDatabases } from "../../src/migrate/compare.js";
import { openAt } from "../support/libsql.js";
import { journalKey, teamName } from "./application.js";
import type { CellValue, LogLine, TableName } from "./log.js";
import { allows, type Cell, existence, type KnownRow, type Model, type ModelRow } from "./model.js";
import { shared } from "./names.js";
import { type DatabasePair, openTarget } from "./pair.js";

export interface Deviation {
  readonly kind: "lost" | "different" | "resurrected" | "phantom" | "stale" | "failed" | "unsettled";
  readonly what: string;
}

/** A row as SQLite has it, all its columns as one text. */
export interface StoredRow extends KnownRow {
  readonly whole: string;
}

export interface Checked {
  readonly rows: readonly StoredRow[];
  readonly compared: number;
  readonly deviations: readonly Deviation[];
  /** Rows that a forced roll-back has left as SQLite had them. */
  readonly conflicts: readonly string[];
  readonly excused: number;
}

export interface Evidence {
  readonly before: readonly StoredRow[];
  readonly model: Model;
  readonly lines: readonly LogLine[];
  /** Conflicts that were known before, as `table/key/time`. */
  readonly knownConflicts: ReadonlySet<string>;
}

interface Followed {
  readonly table: TableName;
  readonly columns: readonly string[];
  name(row: ExactRow): string;
}

const followed: readonly Followed[] = [
  {
    table: "messages",
    columns: ["id", "message_content", "user_id"],
    name: (row) => firstWord(String(row.message_content).replace(/^Tool: /, ""), row),
  },
  { table: "queries", columns: ["id", "query_text", "user_id"], name: (row) => firstWord(String(row.query_text), row) },
  {
    table: "documents",
    columns: ["id", "title", "content"],
    name: (row) => String(row.created_by_username ?? row.id),
  },
  { table: "document_collaborators", columns: ["id", "role"], name: (row) => `${row.document_id}/${row.user_id}` },
  {
    table: "user_profiles",
    columns: ["id", "username", "message_count", ...shared.columns],
    name: (row) => String(row.user_id),
  },
  { table: "user_analysis_history", columns: ["id", "user_id"], name: (row) => String(row.changes_summary ?? row.id) },
  { table: "teams", columns: ["badge", "score"], name: (row) => teamName(row.region, row.number) },
  { table: "members", columns: ["id", "region", "number"], name: (row) => String(row.name) },
];

/** Compares both databases with each other, whole, and SQLite's rows with what the logs allow. */
export async function check(pair: DatabasePair, evidence: Evidence): Promise<Checked> {
  const sqlite = await openAt(pair.sqliteFile);
  const postgres = openTarget(pair.postgresUrl);
  try {
    const comparison = await compareDatabases(sqlite, postgres);
    const rows = await dump(sqlite);
    const conflicts = await newConflicts(sqlite, evidence.knownConflicts);
    const judge = new Judge(evidence, rows, conflicts);
    const deviations = [
      ...comparison.tables.flatMap(({ table, onlySqlite, onlyPostgres, different }) => [
        ...onlySqlite.map((key) => differs(`${table} ${key} is only in SQLite`)),
        ...onlyPostgres.map((key) => differs(`${table} ${key} is only in PostgreSQL`)),
        ...different.map(({ key, columns }) => differs(`${table} ${key} differs between the sides: ${columns}`)),
      ]),
      ...(await orphans(sqlite)),
      ...judge.deviations(),
    ];
    const compared = comparison.tables.reduce((sum, table) => sum + table.sqlite, 0);
    return { rows, compared, deviations, conflicts, excused: judge.excused };
  } finally {
    await Promise.all([sqlite.close(), postgres.close()]);
  }
}

/** The rows of a file before the first round. */
export async function rowsOfFile(file: string): Promise<StoredRow[]> {
  const sqlite = await openAt(file);
  try {
    return await dump(sqlite);
  } finally {
    await sqlite.close();
  }
}

const differs = (what: string): Deviation => ({ kind: "different", what });

/** Failures that an application has to reckon with while PostgreSQL comes and goes. */
const expectedFailures = ["DATABASE_UNAVAILABLE", "DATABASE_BUSY", "NOT_PRIMARY"];

class Judge {
  readonly #evidence: Evidence;
  readonly #now: ReadonlyMap<string, StoredRow>;
  readonly #before: ReadonlyMap<string, StoredRow>;
  readonly #conflicts: ReadonlySet<string>;
  readonly #duplicates: string[] = [];
  readonly #wasForced: boolean;
  excused = 0;

  constructor(evidence: Evidence, rows: readonly StoredRow[], conflicts: readonly string[]) {
    this.#evidence = evidence;
    this.#now = this.#byName(rows);
    this.#before = this.#byName(evidence.before);
    this.#conflicts = new Set(conflicts.map((conflict) => conflict.slice(0, conflict.lastIndexOf("/"))));
    this.#wasForced = evidence.lines.some((line) => line.is === "event" && line.event === "forced-roll-back");
  }

  deviations(): Deviation[] {
    const found: Deviation[] = this.#duplicates.map((what) => ({ kind: "phantom", what: `${what} is there twice` }));
    for (const row of this.#evidence.model.rows()) if (row.touched) found.push(...this.#touched(row));
    found.push(...this.#untouched(), ...this.#logged());
    if (!this.#wasForced && this.#conflicts.size > 0)
      found.push(differs(`conflicts without a forced roll-back: ${[...this.#conflicts].slice(0, 5)}`));
    return found;
  }

  #byName(rows: readonly StoredRow[]): Map<string, StoredRow> {
    const named = new Map<string, StoredRow>();
    for (const row of rows) {
      const name = `${row.table}/${row.row}`;
      if (named.has(name)) this.#duplicates.push(name);
      named.set(name, row);
    }
    return named;
  }

  #touched(row: ModelRow): Deviation[] {
    const found = this.#deviationsOf(row);
    if (found.length === 0 || !this.#isExcused(row)) return found;
    this.excused += 1;
    return [];
  }

  /** What a forced roll-back may leave otherwise than the last call wanted it. */
  #isExcused(row: ModelRow): boolean {
    return this.#isConflict(row) || this.#hasComeIn(row) || this.#hasComeInWithParent(row);
  }

  #deviationsOf({ table, row, cells }: ModelRow): Deviation[] {
    const stored = this.#now.get(`${table}/${row}`);
    const exists = cells.get("$");
    const name = `${table} ${row}`;
    if (exists !== undefined && !allows(exists, stored !== undefined)) {
      if (stored === undefined) return [{ kind: "lost", what: `${name} is gone` }];
      const kind = exists.seen.has(true) ? "resurrected" : "phantom";
      return [{ kind, what: `${name} is there, and must not be` }];
    }
    if (stored === undefined) return [];
    return [...cells].flatMap(([column, cell]) => {
      if (column === "$" || allows(cell, stored.values[column] ?? null)) return [];
      return [cellDeviation(`${name} ${column}`, cell, stored.values[column] ?? null)];
    });
  }

  /** Rows that no call of the round was about must be as they were. */
  #untouched(): Deviation[] {
    const found: Deviation[] = [];
    const isTouched = ({ table, row }: StoredRow) => this.#evidence.model.get(table, row)?.touched === true;
    for (const [name, row] of this.#now) {
      if (isTouched(row) || this.#isExplained(row)) continue;
      const before = this.#before.get(name);
      if (before === undefined) found.push({ kind: "phantom", what: `${name} is there, and nobody has written it` });
      else if (before.whole !== row.whole) found.push(differs(`${name} has changed, and nobody has written it`));
    }
    for (const [name, row] of this.#before)
      if (!this.#now.has(name) && !isTouched(row)) found.push({ kind: "lost", what: `${name} is gone, untouched` });
    return found;
  }

  /** A document whose creation had no answer brings its owner with it. */
  #isExplained({ table, row }: StoredRow): boolean {
    if (table !== "document_collaborators") return false;
    const id = row.split("/")[0];
    const document = [...this.#now.values()].find((other) => other.table === "documents" && other.values.id === id);
    return document !== undefined && existence(this.#evidence.model.get("documents", document.row)) === null;
  }

  /**
   * A profile that only PostgreSQL had comes in after a forced roll-back. Whoever has deleted the same user's profile on SQLite
   * meanwhile has deleted another row: it had another key.
   */
  #hasComeIn({ table, row, cells }: ModelRow): boolean {
    const id = cells.get("id");
    const storedId = this.#now.get(`${table}/${row}`)?.values.id ?? null;
    if (!this.#wasForced || table !== "user_profiles" || id === undefined || storedId === null) return false;
    return storedId !== id.settled && id.seen.has(storedId);
  }

  /** With such a profile come its analyses: SQLite never had them, so that no cascade there can have meant them. */
  #hasComeInWithParent({ table, cells }: ModelRow): boolean {
    if (!this.#wasForced || table !== "user_analysis_history") return false;
    return [...(cells.get("user_id")?.seen ?? [])].some((user) => {
      const profile = this.#evidence.model.get("user_profiles", String(user));
      return profile !== undefined && this.#deviationsOf(profile).length > 0 && this.#isExcused(profile);
    });
  }

  #isConflict({ table, row, cells }: ModelRow): boolean {
    if (table === "teams") return this.#conflicts.has(`${table}/${journalKey(row)}`);
    const ids = [...(cells.get("id")?.seen ?? []), this.#before.get(`${table}/${row}`)?.values.id];
    return ids.some((id) => this.#conflicts.has(`${table}/${id}`));
  }

  #logged(): Deviation[] {
    const found: Deviation[] = [];
    const calls = new Map<number, string>();
    const refusable = new Set<string>();
    for (const line of this.#evidence.lines) if (line.is === "refusable") refusable.add(`${line.table}/${line.key}`);
    for (const line of this.#evidence.lines) {
      if (line.is === "intent") calls.set(line.call, line.name);
      if (line.is === "wrong") found.push({ kind: line.kind, what: line.what });
      if (line.is === "event" && line.event === "refused" && !refusable.has(`${line.fields.table}/${line.fields.key}`))
        found.push({ kind: "failed", what: `the mirror: ${JSON.stringify(line.fields)}` });
      if (line.is === "stale" && !this.#wasForced) found.push({ kind: "stale", what: `${line.what} (${line.route})` });
      if (line.is === "failure" && !expectedFailures.includes(line.code) && !this.#mayFail(line.code))
        found.push({ kind: "failed", what: `${calls.get(line.call)}: ${line.code} ${line.detail}` });
    }
    const { contradictions } = this.#evidence.model;
    if (!this.#wasForced)
      found.push(...contradictions.map(({ table, row, column }) => differs(`${table} ${row} has two ${column}s`)));
    return found;
  }

  /** What was written to PostgreSQL before a forced roll-back is not there yet. */
  #mayFail(code: string): boolean {
    return this.#wasForced && code === "CONSTRAINT_VIOLATED";
  }
}

function cellDeviation(name: string, cell: Cell, value: CellValue): Deviation {
  const expected = cell.how === "add" ? `${Number(cell.settled ?? 0) + cell.sure} (+${cell.unsure})` : cell.settled;
  const kind = cell.seen.has(value) || cell.how === "add" ? "lost" : "different";
  return { kind, what: `${name} is ${value}, not ${expected}` };
}

function firstWord(text: string, row: ExactRow): string {
  return /^r\d+s/.test(text) ? (text.split(" ")[0] ?? text) : String(row.id);
}

async function dump(engine: Engine): Promise<StoredRow[]> {
  return engine.transaction({ mode: "read" }, async (transaction) => {
    const stored: StoredRow[] = [];
    for (const { table, columns, name } of followed) {
      const rows = await transaction.query(sql`SELECT * FROM ${raw(table)}`);
      for (const row of rows) {
        const values = Object.fromEntries(columns.map((column) => [column, plain(row[column] ?? null)]));
        stored.push({ table, row: name(row), values, whole: wholeOf(row) });
      }
    }
    return stored;
  });
}

function wholeOf(row: ExactRow): string {
  const sorted = Object.entries(row).sort(([one], [other]) => (one < other ? -1 : 1));
  return JSON.stringify(sorted.map(([name, value]) => [name, comparable(value)]));
}

/** JSON counts as what it parses to: PostgreSQL spells it in its own way. */
function comparable(value: ExactValue): unknown {
  if (typeof value === "bigint") return String(value);
  if (typeof value !== "string" || !/^[[{]/.test(value)) return value;
  try {
    const ordered = (_: string, part: unknown) =>
      isObject(part) ? Object.fromEntries(Object.entries(part).sort()) : part;
    return JSON.stringify(JSON.parse(value), ordered);
  } catch {
    return value;
  }
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function plain(value: ExactValue): CellValue {
  if (typeof value === "bigint") return Number(value);
  return value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value;
}

async function newConflicts(engine: Engine, known: ReadonlySet<string>): Promise<string[]> {
  const text = "SELECT table_name, row_key, found_at FROM dualdb_conflicts";
  const rows = await engine.read({ sql: text, text, values: [] });
  const all = rows.map((row) => `${row.table_name}/${row.row_key}/${row.found_at}`);
  return all.filter((conflict) => !known.has(conflict));
}

async function orphans(engine: Engine): Promise<Deviation[]> {
  const rows = await engine.read({ sql: "PRAGMA foreign_key_check", text: "", values: [] });
  return rows.map((row) => differs(`a row of ${row.table} in SQLite points nowhere`));
}
