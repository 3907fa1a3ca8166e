import type { ExactValue, Side } from "../../engines/engine.js";
import type { Finding } from "../finding.js";
import { encodeKey } from "../key.js";
import type { Column, Table } from "../table.js";
import type { Carry, Notes } from "./carry.js";
import { carryToAffinity } from "./to-affinity.js";
import { carryToPostgres } from "./to-postgres.js";
import { carryToSqlite } from "./to-sqlite.js";

/** One row of the source, its values in the order of the table's columns. */
export interface SourceRow {
  readonly key: string;
  readonly values: readonly ExactValue[];
  /** The bytes of columns that were no UTF-8: in `values` their text has already been repaired with U+FFFD. */
  readonly repaired?: ReadonlyMap<string, Uint8Array>;
}

/** The row as the target gets it, and everything that could not be carried exactly. */
export interface ConvertedRow {
  readonly key: string;
  readonly values: readonly ExactValue[];
  readonly findings: readonly Finding[];
}

/** Brings rows of one table to the other side. What each column needs is settled once, so that an ordinary row is quick. */
export type Converter = (row: SourceRow) => ConvertedRow;

/** A row of SQLite as PostgreSQL takes it: the values of section "Values" of the documentation, whatever a column really holds. */
export function toPostgres(table: Table, row: SourceRow): ConvertedRow {
  return converterOf(table, "postgres")(row);
}

/** A row of PostgreSQL as SQLite takes it. */
export function toSqlite(table: Table, row: SourceRow): ConvertedRow {
  return converterOf(table, "sqlite")(row);
}

const known = { sqlite: new WeakMap<Table, Converter>(), postgres: new WeakMap<Table, Converter>() };

/** The converter for rows that go to the target, by the target's types. Made once for each table object. */
export function converterOf(table: Table, target: Side): Converter {
  const found = known[target].get(table);
  if (found !== undefined) return found;
  const converter = compile(table, (column) => wayTo(target, column));
  known[target].set(table, converter);
  return converter;
}

/**
 * A converter for rows that go to a table of SQLite from where nobody has described them, or from columns of other types there; `isGiven` says
 * which columns these are, all others being taken as they are.
 */
export function converterOfGiven(table: Table, isGiven: (column: Column) => boolean): Converter {
  return compile(table, (column) => {
    if (!isGiven(column)) return { carry: null, notNull: false, takesBytes: false };
    return { carry: carryToAffinity(column), notNull: column.notNull, takesBytes: false };
  });
}

/** How a column's values go. */
interface Way {
  /** null where they go as they are. */
  readonly carry: Carry | null;
  /** Whether it refuses NULL. */
  readonly notNull: boolean;
  /** Whether text that is no UTF-8 can stay the bytes that it is. */
  readonly takesBytes: boolean;
}

function wayTo(target: Side, column: Column): Way {
  if (target === "postgres")
    return { carry: carryToPostgres(column), notNull: column.notNull, takesBytes: column.kind === "blob" };
  return { carry: carryToSqlite(column), notNull: column.sqliteNotNull ?? column.notNull, takesBytes: false };
}

const none: readonly Finding[] = [];

function compile(table: Table, way: (column: Column) => Way): Converter {
  const remarks = new Remarks(table);
  const cells = table.columns.map((column) => cellOf(table, column, way(column), remarks));
  return (row) => {
    const { key, values: source, repaired } = row;
    const values = new Array<ExactValue>(cells.length);
    remarks.begin(key);
    for (let index = 0; index < cells.length; index++) {
      values[index] = (cells[index] as Cell)(source[index] ?? null, repaired);
    }
    return { key, values, findings: remarks.end() };
  };
}

type Cell = (value: ExactValue, repaired: SourceRow["repaired"]) => ExactValue;

function cellOf(table: Table, column: Column, way: Way, remarks: Remarks): Cell {
  const { carry, notNull } = way;
  const notes = remarks.of(column.name);
  const plain: Cell = (value, repaired) => {
    if (value === null) return notNull ? notes.refused("NULL in a column that is NOT NULL") : null;
    const bytes = repaired?.get(column.name);
    if (bytes !== undefined) return repairedValue(value, bytes, way, notes);
    return carry === null ? value : carry(value, notes);
  };
  const isRespelled = table.key.includes(column.name) && column.kind !== "text" && column.kind !== "blob";
  return isRespelled ? keyCell(plain, notes) : plain;
}

/** Text that is no UTF-8: a column of bytes takes it as it was. */
function repairedValue(
  value: Exclude<ExactValue, null>,
  bytes: Uint8Array,
  { carry, takesBytes }: Way,
  notes: FindingNotes,
): ExactValue {
  const before = notes.count;
  if (takesBytes) {
    notes.altered("text in a column of bytes");
    return bytes;
  }
  const carried = carry === null ? value : carry(value, notes);
  if (notes.count === before) notes.altered("text that is not UTF-8");
  return carried;
}

/** The other side's text of a key has to be the same, or it would name another row. */
function keyCell(plain: Cell, notes: FindingNotes): Cell {
  return (value, repaired) => {
    const before = notes.count;
    const carried = plain(value, repaired);
    if (carried === value || notes.count !== before || encodeKey([carried]) === encodeKey([value])) return carried;
    return notes.refused("a key that the other side spells in another way");
  };
}

interface FindingNotes extends Notes {
  /** How many there are in this row, of all columns. */
  readonly count: number;
}

/** What is to be said about the row that is being converted. */
class Remarks {
  readonly #table: Table;
  #key = "";
  #findings: Finding[] | null = null;

  constructor(table: Table) {
    this.#table = table;
  }

  begin(key: string): void {
    this.#key = key;
    this.#findings = null;
  }

  end(): readonly Finding[] {
    if (this.#findings === null) return none;
    return this.#findings.map((finding) => inKey(this.#table, finding));
  }

  of(column: string): FindingNotes {
    const add = (action: Finding["action"], reason: string) => {
      this.#findings ??= [];
      this.#findings.push({ table: this.#table.name, key: this.#key, column, reason, action });
    };
    const count = () => this.#findings?.length ?? 0;
    return {
      get count() {
        return count();
      },
      altered: (reason) => add("altered", reason),
      wrapped: (reason) => add("wrapped", reason),
      refused: (reason) => {
        add("refused", reason);
        return null;
      },
    };
  }
}

/** A key that had to be altered would name another row on the target. */
function inKey({ key }: Table, finding: Finding): Finding {
  if (finding.action === "refused" || !key.includes(finding.column)) return finding;
  return { ...finding, reason: `${finding.reason} in the key`, action: "refused" };
}
