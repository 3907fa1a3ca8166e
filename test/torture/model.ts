import type { CellValue, Effect, LogLine, TableName } from "./log.js";

/** What a column may hold, as far as the logs tell. */
export interface Cell {
  readonly how: Effect["how"];
  /** What it held before the round, or what the last answered call gave it; undefined: nobody knows yet. */
  settled: CellValue | undefined;
  /** What calls without an answer may have given it, at any time. */
  readonly maybe: Map<CellValue, number>;
  /** Everything it has held or may have held in this round. */
  readonly seen: Set<CellValue>;
  /** Counts of a column that is counted up: answered, and without an answer. */
  sure: number;
  unsure: number;
}

export interface ModelRow {
  readonly table: TableName;
  readonly row: string;
  readonly cells: Map<string, Cell>;
  /** Whether a call of this round has touched it. */
  touched: boolean;
}

/** A row as the databases had it before the round: its columns that the model follows. */
export interface KnownRow {
  readonly table: TableName;
  readonly row: string;
  readonly values: Readonly<Record<string, CellValue>>;
}

interface Call {
  readonly name: string;
  readonly effects: readonly Effect[];
}

/** What both databases must hold after the calls of a round, built from the bots' logs; the bots keep one too, to know what to expect. */
export class Model {
  readonly #rows = new Map<string, ModelRow>();
  readonly #open = new Map<string, Call>();
  /** Columns that two answers gave different values, although nothing may ever change them. */
  readonly contradictions: { readonly table: TableName; readonly row: string; readonly column: string }[] = [];

  constructor(known: readonly KnownRow[]) {
    for (const { table, row, values } of known) {
      const model = this.#row(table, row);
      for (const [column, value] of Object.entries({ $: true, ...values })) model.cells.set(column, cell("set", value));
    }
  }

  /** Takes one line of one process; `source` tells the processes' calls apart. */
  take(source: string, line: LogLine): void {
    if (!("call" in line)) return;
    const id = `${source}#${line.call}`;
    if (line.is === "intent") {
      this.#open.set(id, line);
      for (const effect of line.effects) this.#suppose(effect);
      return;
    }
    const call = this.#open.get(id);
    if (call === undefined) return;
    for (const effect of line.is === "unknown" ? [] : call.effects) this.#forget(effect);
    if (line.is === "answer")
      for (const effect of [...(line.nothing ? [] : call.effects), ...line.effects]) this.#settle(effect);
    if (line.is !== "unknown") this.#open.delete(id);
  }

  /** Calls that have had no answer. */
  get unanswered(): number {
    return this.#open.size;
  }

  get(table: TableName, row: string): ModelRow | undefined {
    return this.#rows.get(`${table}/${row}`);
  }

  *rows(table?: TableName): Iterable<ModelRow> {
    for (const row of this.#rows.values()) if (table === undefined || row.table === table) yield row;
  }

  #suppose({ table, row, column, value, how }: Effect): void {
    const target = this.#cell(table, row, column, how);
    if (how === "add") target.unsure += Number(value);
    else target.maybe.set(value, (target.maybe.get(value) ?? 0) + 1);
    target.seen.add(value);
  }

  #forget({ table, row, column, value, how }: Effect): void {
    const target = this.#cell(table, row, column, how);
    if (how === "add") target.unsure -= Number(value);
    else if ((target.maybe.get(value) ?? 0) > 1) target.maybe.set(value, (target.maybe.get(value) ?? 0) - 1);
    else target.maybe.delete(value);
  }

  #settle({ table, row, column, value, how }: Effect): void {
    const target = this.#cell(table, row, column, how);
    if (how === "same" && (target.settled ?? value) !== value) this.contradictions.push({ table, row, column });
    target.seen.add(value);
    if (how === "add") target.sure += Number(value);
    else if (how === "any") target.maybe.set(value, (target.maybe.get(value) ?? 0) + 1);
    if (how !== "add") target.settled = value;
    if (column === "$" && value === false) this.#clear(table, row);
  }

  /** A row that is gone tells nothing of the one that may come under its key, also by a call without an answer. */
  #clear(table: TableName, row: string): void {
    for (const [column, known] of this.#row(table, row).cells)
      if (column !== "$" && known.how === "set") known.settled = undefined;
  }

  #row(table: TableName, row: string): ModelRow {
    const id = `${table}/${row}`;
    const found = this.#rows.get(id) ?? { table, row, cells: new Map<string, Cell>(), touched: false };
    this.#rows.set(id, found);
    return found;
  }

  #cell(table: TableName, name: string, column: string, how: Effect["how"]): Cell {
    const row = this.#row(table, name);
    row.touched = true;
    const found = row.cells.get(column);
    if (found !== undefined && found.how === how) return found;
    const fresh = cell(how, found?.settled ?? (column === "$" ? false : undefined));
    row.cells.set(column, fresh);
    return fresh;
  }
}

/** Whether the row exists, as far as one process knows: true, false, or nobody can tell. */
export function existence(row: ModelRow | undefined): boolean | null {
  const cell = row?.cells.get("$");
  if (cell === undefined) return false;
  const certain = [...cell.maybe.keys()].every((value) => value === cell.settled);
  return certain ? cell.settled === true : null;
}

/** The one value that a column must have; undefined where it may have several. */
export function certain(row: ModelRow | undefined, column: string): CellValue | undefined {
  const cell = row?.cells.get(column);
  if (cell === undefined || cell.how !== "set" || cell.maybe.size > 0) return undefined;
  return cell.settled;
}

/**
 * The columns in which a stored row is not as the model allows, `$` among them where it is there and must not be, or must be and is not.
 */
export function misfits({ cells }: ModelRow, stored: Readonly<Record<string, CellValue>> | undefined): string[] {
  const exists = cells.get("$");
  if (exists !== undefined && !allows(exists, stored !== undefined)) return ["$"];
  if (stored === undefined) return [];
  return [...cells].filter(([name, cell]) => name !== "$" && !allows(cell, stored[name] ?? null)).map(([name]) => name);
}

/** Whether a column may hold this. */
function allows(cell: Cell, value: CellValue): boolean {
  if (cell.how === "add") {
    const base = Number(cell.settled ?? 0);
    return Number(value) >= base + cell.sure && Number(value) <= base + cell.sure + cell.unsure;
  }
  if (cell.settled === undefined && (cell.maybe.size === 0 || value === null)) return true;
  return value === cell.settled || cell.maybe.has(value);
}

function cell(how: Effect["how"], settled: CellValue | undefined): Cell {
  return { how, settled, maybe: new Map(), seen: new Set(settled === undefined ? [] : [settled]), sure: 0, unsure: 0 };
}
