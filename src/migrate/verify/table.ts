import type { ConvertedRow } from "../../data/conversion/convert.js";
import { KeyOrder } from "../../data/equality/key-order.js";
import { orderedPostgresLines, orderedSqliteRows } from "../../data/rows/ordered-rows.js";
import type { Table } from "../../data/table.js";
import type { Engine, PostgresEngine } from "../../engines/engine.js";
import { endIfAsked, type Progress, TableProgress } from "../progress.js";
import { rowsAbout } from "../row-estimate.js";
import type { Look } from "./look.js";
import { Merge, type MergeCounts } from "./merge.js";
import { type Patience, Settling } from "./settling.js";
import { type Amiss, refusalOf } from "./verdict.js";

/** A row that is not as it should be. Keys and names, never a value. */
export type Difference = Amiss & { readonly table: string; readonly key: string };

/** Takes every difference as it is found; the comparison waits for it. */
export type DifferenceSink = (difference: Difference) => Promise<void> | void;

/** Rows of one table. Where nobody writes, the source's rows are those that are equal, missing, different, refused or owed. */
export interface TableCounts extends MergeCounts {
  readonly missing: number;
  readonly extra: number;
  readonly different: number;
  readonly refused: number;
  readonly owed: number;
}

/** What comparing a table needs beside it. */
export interface Comparing {
  readonly sqlite: Engine;
  readonly postgres: PostgresEngine;
  readonly look: Look;
  readonly patience: Patience;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ((progress: Progress) => void) | undefined;
}

/** Compares every row of a table, in memory that does not grow with it. */
export async function compareTable(table: Table, comparing: Comparing, sink: DifferenceSink): Promise<TableCounts> {
  return new TableComparing(table, comparing, sink).run();
}

class TableComparing {
  readonly #table: Table;
  readonly #comparing: Comparing;
  readonly #sink: DifferenceSink;
  readonly #counts = { missing: 0, extra: 0, different: 0, refused: 0, owed: 0 };
  #settledEqual = 0;

  constructor(table: Table, comparing: Comparing, sink: DifferenceSink) {
    this.#table = table;
    this.#comparing = comparing;
    this.#sink = sink;
  }

  async run(): Promise<TableCounts> {
    const { look, patience, signal } = this.#comparing;
    const outcomes = {
      equal: () => {
        this.#settledEqual++;
      },
      amiss: (key: string, what: Amiss) => this.#amiss(key, what),
    };
    const settling = new Settling(this.#table, look, patience, outcomes, signal);
    const { sqlite, postgres, equal } = await this.#merge(settling);
    await settling.finish();
    return { sqlite, postgres, equal: equal + this.#settledEqual, ...this.#counts };
  }

  async #merge(settling: Settling): Promise<MergeCounts> {
    const { sqlite, postgres, timeoutMs, signal, onProgress } = this.#comparing;
    const order = new KeyOrder(this.#table);
    const total = await sqlite.transaction({ mode: "read" }, (reader) =>
      rowsAbout("sqlite", reader, this.#table, () => endIfAsked(signal)),
    );
    const progress = new TableProgress("compare", this.#table.name, total, onProgress);
    return postgres.transaction({ mode: "read", timeoutMs }, async (transaction) => {
      const rows = orderedSqliteRows(sqlite, this.#table, order);
      const lines = orderedPostgresLines(transaction, this.#table, order);
      const merge: Merge = new Merge(this.#table, order, rows, lines, {
        progress: () => {
          endIfAsked(signal);
          progress.at(merge.counts.sqlite);
        },
        suspects: (suspects) => settling.add(suspects),
        unfindable: (row) => this.#unfindable(row),
      });
      await merge.run();
      progress.end(merge.counts.sqlite);
      return merge.counts;
    });
  }

  /** Where PostgreSQL is the source it does not owe this row, and the other way round cannot take it. */
  async #unfindable(row: ConvertedRow): Promise<void> {
    const refusal = refusalOf(row);
    if (refusal === null) return;
    await this.#amiss(row.key, this.#comparing.look.from === "sqlite" ? refusal : { kind: "extra" });
  }

  async #amiss(key: string, what: Amiss): Promise<void> {
    this.#counts[what.kind]++;
    await this.#sink({ table: this.#table.name, key, ...what });
  }
}
