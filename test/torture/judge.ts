import { Calls, type EndedCall, textOf } from "./calls.js";
import { Failures } from "./failures.js";
import type { CellValue, Logged, Via } from "./log.js";
import { type Cell, existence, type KnownRow, type Model, type ModelRow, misfits } from "./model.js";
import type { Trail } from "./observers.js";
import { type BotLog, RollBack } from "./roll-back.js";
import type { Trouble } from "./troubles.js";

export interface Deviation {
  readonly kind: "lost" | "different" | "resurrected" | "phantom" | "stale" | "failed" | "unsettled";
  readonly what: string;
}

/** A row as SQLite has it, all its columns that are not empty as one text. */
export interface StoredRow extends KnownRow {
  readonly whole: string;
}

export interface Evidence {
  readonly before: readonly StoredRow[];
  readonly model: Model;
  readonly logs: readonly BotLog[];
  readonly troubles: readonly Trouble[];
}

/** Judges what is stored by what was acknowledged, and what was answered by what had been acknowledged before. */
export class Judge {
  readonly #evidence: Evidence;
  readonly #trail: Trail;
  readonly #now: ReadonlyMap<string, StoredRow>;
  readonly #before: ReadonlyMap<string, StoredRow>;
  readonly #rollBacks: readonly RollBack[];
  readonly #failures: Failures;
  readonly #duplicates: string[] = [];
  excused = 0;

  constructor(evidence: Evidence, rows: readonly StoredRow[], trail: Trail) {
    this.#evidence = evidence;
    this.#trail = trail;
    this.#now = this.#byName(rows);
    this.#before = this.#byName(evidence.before);
    this.#rollBacks = trail.rollBacks.map((facts) => new RollBack(facts, evidence.logs));
    this.#failures = new Failures(evidence.troubles, trail);
  }

  deviations(): Deviation[] {
    const found: Deviation[] = this.#duplicates.map((what) => ({ kind: "phantom", what: `${what} is there twice` }));
    for (const row of this.#evidence.model.rows()) if (row.touched) found.push(...this.#touched(row));
    for (const log of this.#evidence.logs) found.push(...this.#logged(log));
    return [...found, ...this.#untouched(), ...this.#contradictions(), ...this.#conflicts()];
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
    const stored = this.#now.get(`${row.table}/${row.row}`)?.values;
    const columns = misfits(row, stored);
    if (columns.length === 0) return [];
    if (!this.#rollBacks.some((rollBack) => rollBack.excusesRow(row, stored)))
      return columns.map((column) => deviationOf(row, column, stored));
    this.excused += 1;
    return [];
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

  #logged({ source, lines }: BotLog): Deviation[] {
    const found: Deviation[] = [];
    const calls = new Calls(source, lines);
    for (const line of lines) {
      if (line.is === "wrong") found.push({ kind: line.kind, what: line.what });
      if (line.is === "event" && line.event === "refused" && !this.#isRefusable(line.fields))
        found.push({ kind: "failed", what: `the mirror: ${JSON.stringify(line.fields)}` });
      if (line.is === "stale" && !this.#isExcused(line))
        found.push({ kind: "stale", what: `${line.what} (${line.route})` });
      const call = calls.take(line);
      if (call !== null && !this.#isInOrder(call)) found.push({ kind: "failed", what: textOf(call) });
    }
    return found;
  }

  #isRefusable({ table, key }: Readonly<Record<string, unknown>>): boolean {
    return this.#evidence.logs.some(({ lines }) =>
      lines.some((line) => line.is === "refusable" && line.table === table && line.key === key),
    );
  }

  #isExcused({ rows, began, wrong }: Logged & { readonly is: "stale" }): boolean {
    const excused = rows.filter((row) => this.#rollBacks.some((rollBack) => rollBack.excusesAnswer(row, began)));
    return excused.length >= wrong;
  }

  #isInOrder(call: EndedCall): boolean {
    const { via, code, effects, began } = call;
    if (code === null) return !via.startsWith("console") || this.#failures.wasPrimary(sideOf(via), call);
    if (code === "CONSTRAINT_VIOLATED")
      return this.#rollBacks.some((rollBack) => rollBack.excusesViolation(effects, began));
    return this.#failures.accountFor({ ...call, code });
  }

  #contradictions(): Deviation[] {
    return this.#evidence.model.contradictions
      .filter((row) => !this.#rollBacks.some((rollBack) => rollBack.excusesContradiction(row)))
      .map(({ table, row, column }) => differs(`${table} ${row} has two ${column}s`));
  }

  #conflicts(): Deviation[] {
    const stray = [
      ...this.#trail.strayConflicts,
      ...this.#rollBacks.flatMap((rollBack) => rollBack.unfoundedConflicts()),
    ];
    return stray.map(({ table, key }) => differs(`${table} ${key} was named as a conflict, and is none`));
  }
}

function sideOf(via: Via): "sqlite" | "postgres" {
  return via === "console on postgres" ? "postgres" : "sqlite";
}

function deviationOf(row: ModelRow, column: string, stored: KnownRow["values"] | undefined): Deviation {
  const name = `${row.table} ${row.row}`;
  const cell = row.cells.get(column);
  if (cell === undefined) throw new Error(`${name} has no ${column}`);
  if (column !== "$") return cellDeviation(`${name} ${column}`, cell, stored?.[column] ?? null);
  if (stored === undefined) return { kind: "lost", what: `${name} is gone` };
  return { kind: cell.seen.has(true) ? "resurrected" : "phantom", what: `${name} is there, and must not be` };
}

function cellDeviation(name: string, cell: Cell, value: CellValue): Deviation {
  const expected = cell.how === "add" ? `${Number(cell.settled ?? 0) + cell.sure} (+${cell.unsure})` : cell.settled;
  const kind = cell.seen.has(value) || cell.how === "add" ? "lost" : "different";
  return { kind, what: `${name} is ${value}, not ${expected}` };
}

function differs(what: string): Deviation {
  return { kind: "different", what };
}
