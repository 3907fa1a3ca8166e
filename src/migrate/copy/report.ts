import type { DefinitionNote } from "../../data/definition/definition.js";
import type { Finding } from "../../data/finding.js";
import type { Side } from "../../engines/engine.js";
import { type Counter, columnCounted } from "../../shadow/counters.js";

/** What `copy` has done. */
export interface CopyReport {
  readonly from: Side;
  readonly to: Side;
  /** Whether the databases are a pair: then the rows were carried under the mirror's lock, and what only the target had is gone. */
  readonly paired: boolean;
  readonly tables: readonly CopiedTable[];
  /** Tables of the source that were not copied. */
  readonly leftOut: readonly LeftOut[];
  /** The folder with the rows that were set aside; null where there are none. */
  readonly rejects: string | null;
  /** The SQL that made tables, indexes and foreign keys, in the order in which it ran. */
  readonly created: readonly string[];
  /** What the tables that were made have otherwise than the source's, or lack; and SQLite's tables that are left out for what they are. */
  readonly notes: readonly DefinitionNote[];
  readonly milliseconds: number;
}

export interface LeftOut {
  readonly table: string;
  readonly reason: string;
}

/** One table: `read` is the sum of the three numbers behind it. */
export interface CopiedTable {
  readonly table: string;
  /** Rows of the source; in a pair, rows that the target was owed. */
  readonly read: number;
  /** Inserted or changed; in a pair also deleted. */
  readonly written: number;
  /** On the target already, and equal. */
  readonly alreadyThere: number;
  /** Refused, and kept in the folder of rejects. */
  readonly setAside: number;
  /** Rows that only the target has, which are left alone; null where nobody has counted. */
  readonly extra: number | null;
  readonly milliseconds: number;
  readonly findings: readonly FindingCount[];
  /** Sequences of PostgreSQL that were to go on behind the new rows, and that this user may not set: they stay where they are. */
  readonly sequences: readonly StuckSequence[];
}

/** A sequence that gives a column its numbers, and the privileges on it that this user lacks to set it. */
export interface StuckSequence {
  readonly column: string;
  readonly sequence: string;
  readonly lacking: readonly string[];
}

/** Findings that are alike. */
export interface FindingCount {
  readonly column: string;
  readonly reason: string;
  readonly action: Finding["action"];
  readonly count: number;
  /** The first keys. */
  readonly keys: readonly string[];
}

const mostKeys = 10;

/** Counts what becomes of one table's rows; its memory does not grow with them. */
export class Tally {
  readonly table: string;
  read = 0;
  written = 0;
  alreadyThere = 0;
  setAside = 0;
  extra: number | null = null;
  #sequences: readonly StuckSequence[] = [];
  readonly #findings = new Map<string, FindingCount & { readonly keys: string[] }>();
  readonly #began = performance.now();

  constructor(table: string) {
    this.table = table;
  }

  note({ column, reason, action, key }: Finding): void {
    const kind = JSON.stringify([column, reason, action]);
    const before = this.#findings.get(kind) ?? { column, reason, action, count: 0, keys: [] };
    if (before.keys.length < mostKeys) before.keys.push(key);
    this.#findings.set(kind, { ...before, count: before.count + 1 });
  }

  stuck(counters: readonly Counter[]): void {
    this.#sequences = counters.map((counter) => ({
      column: columnCounted(counter),
      sequence: counter.sequence,
      lacking: counter.lacking,
    }));
  }

  /** The table's line in the report. Throws where the numbers do not add up, which no data can cause. */
  result(): CopiedTable {
    const { table, read, written, alreadyThere, setAside, extra } = this;
    if (read !== written + alreadyThere + setAside)
      throw new Error(
        `${table}: ${read} rows read, but ${written} written, ${alreadyThere} there and ${setAside} set aside`,
      );
    const milliseconds = Math.round(performance.now() - this.#began);
    return {
      table,
      read,
      written,
      alreadyThere,
      setAside,
      extra,
      milliseconds,
      findings: [...this.#findings.values()],
      sequences: this.#sequences,
    };
  }
}
