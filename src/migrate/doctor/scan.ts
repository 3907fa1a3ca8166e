import type { TablePair } from "../../data/catalogue/discover.js";
import { type ConvertedRow, toPostgres } from "../../data/conversion/convert.js";
import type { Finding } from "../../data/finding.js";
import { everyRow } from "../../data/rows/every-row.js";
import type { Engine, Transaction } from "../../engines/engine.js";
import type { ToolOptions } from "../options.js";
import { endIfAsked } from "../progress.js";
import type { FindingGroups } from "./groups.js";
import { Trial } from "./trial.js";

export interface ScannedTable {
  readonly table: string;
  readonly rows: number;
  /** How many of them would not arrive. */
  readonly refused: number;
  /** Whether PostgreSQL lacks the table, so that they were scanned for the one that would be made. */
  readonly planned: boolean;
}

/** What the scan of a table works with. */
export interface Scan {
  readonly pair: TablePair;
  /** SQLite, in one snapshot. */
  readonly transaction: Transaction;
  readonly postgres: Engine;
  readonly options: ToolOptions;
  readonly groups: FindingGroups;
  /** The SQL that makes PostgreSQL's table; none where it is there. */
  readonly making: readonly string[];
}

/** Reads every row of SQLite's table and converts it as the mirror would; what only PostgreSQL can tell is tried there. Tells how many. */
export async function scanRows({ pair, transaction, postgres, options, groups, making }: Scan): Promise<number> {
  const { table } = pair;
  const trial = new Trial(postgres, pair, making);
  let rows = 0;
  for await (const page of everyRow("sqlite", transaction, table)) {
    endIfAsked(options.signal);
    const converted = page.map((row) => toPostgres(table, row));
    const tried = await trial.findings(converted.filter(isCarried));
    for (const row of converted) groups.row(table, allOf(row, tried.get(row)));
    rows += page.length;
    options.onProgress?.({ step: "scan", table: table.name, rows, total: null });
  }
  return rows;
}

function allOf({ findings }: ConvertedRow, tried: readonly Finding[] = []): readonly Finding[] {
  return tried.length === 0 ? findings : [...findings, ...tried];
}

function isCarried({ findings }: ConvertedRow): boolean {
  return findings.every(({ action }) => action !== "refused");
}
