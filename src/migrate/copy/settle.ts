import { chunks } from "../../data/chunks.js";
import type { SourceRow } from "../../data/conversion/convert.js";
import type { Table } from "../../data/table.js";
import { refusedRow } from "./batch.js";
import type { TableRun } from "./run.js";
import type { Settled } from "./stages.js";

const rowsAtOnce = 1_000;

/** The rows of these keys as the source has them. */
type Read = (table: Table, keys: readonly string[]) => Promise<readonly SourceRow[]>;

/** Counts what became of rows that were staged, all of which have counted as there already, and sets aside those that cannot go. */
export async function account(runs: readonly TableRun[], { written, refused }: Settled, read: Read): Promise<void> {
  for (const one of runs) {
    const { table, tally } = one;
    const lost = new Map(refused.filter((row) => row.table === table).map((row) => [row.key, row]));
    const rows = written.get(table) ?? 0;
    tally.written += rows;
    tally.alreadyThere -= rows + lost.size;
    for (const keys of chunks([...lost.keys()], rowsAtOnce)) {
      const found = await read(table, keys);
      await one.setAside(found.flatMap((row) => refusedRow(table, row, lost.get(row.key))));
    }
  }
}
