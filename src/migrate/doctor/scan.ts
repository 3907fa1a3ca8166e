import type { TablePair } from "../../data/catalogue/discover.js";
import { type ConvertedRow, toPostgres } from "../../data/conversion/convert.js";
import { everyRow } from "../../data/rows/every-row.js";
import type { Engine, Transaction } from "../../engines/engine.js";
import type { ToolOptions } from "../options.js";
import { endIfAsked } from "../progress.js";
import type { FindingGroups } from "./groups.js";
import { Trial } from "./trial.js";

export interface ScannedTable {
  readonly table: string;
  readonly rows: number;
}

/** What the scan of a table works with. */
export interface Scan {
  readonly pair: TablePair;
  /** SQLite, in one snapshot. */
  readonly transaction: Transaction;
  readonly postgres: Engine;
  readonly options: ToolOptions;
  readonly groups: FindingGroups;
}

/** Reads every row of SQLite's table and converts it as the mirror would; what only PostgreSQL can tell is tried there. */
export async function scanTable({ pair, transaction, postgres, options, groups }: Scan): Promise<ScannedTable> {
  const { table } = pair;
  const trial = new Trial(postgres, pair);
  let rows = 0;
  for await (const page of everyRow("sqlite", transaction, table)) {
    endIfAsked(options.signal);
    const converted = page.map((row) => toPostgres(table, row));
    for (const { findings } of converted) for (const finding of findings) groups.add(finding);
    for (const finding of await trial.findings(converted.filter(isCarried))) groups.add(finding);
    rows += page.length;
    options.onProgress?.({ step: "scan", table: table.name, rows, total: null });
  }
  return { table: table.name, rows };
}

function isCarried({ findings }: ConvertedRow): boolean {
  return findings.every(({ action }) => action !== "refused");
}
