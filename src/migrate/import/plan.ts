import { type DiscoveredTable, discoverPostgres, discoverSqlite } from "../../data/catalogue/discover.js";
import { matchNames } from "../../data/catalogue/match.js";
import type { EpochChoices } from "../../data/conversion/epoch.js";
import type { Side, Transaction } from "../../engines/engine.js";
import type { LeftOut } from "../copy/report.js";
import { Intake } from "./intake.js";
import type { ImportSource } from "./source.js";
import { knowingTimes } from "./times.js";

/** Which file goes into which table, and what is left out. */
export interface Plan {
  readonly intakes: readonly Intake[];
  readonly leftOut: readonly LeftOut[];
}

/** Looks for the tables of the files. @throws EXPORT_INVALID where a file and its table do not fit together */
export async function planOf(
  side: Side,
  reader: Transaction,
  { files }: ImportSource,
  epochs: EpochChoices | undefined,
): Promise<Plan> {
  const found = await (side === "sqlite" ? discoverSqlite(reader) : discoverPostgres(reader));
  const targets = targetsOf(
    files.map(({ table }) => table),
    found,
  );
  const intakes: Intake[] = [];
  const leftOut: LeftOut[] = [];
  for (const file of files) {
    const target = targets.get(file.table);
    if (target !== undefined) intakes.push(await knowingTimes(reader, new Intake(file, target), epochs));
    else leftOut.push({ table: file.table, reason: `${side} has no such table` });
  }
  return { intakes, leftOut };
}

function targetsOf(given: readonly string[], found: readonly DiscoveredTable[]): Map<string, DiscoveredTable> {
  const byName = new Map(found.map((table) => [table.name, table]));
  const targets = new Map<string, DiscoveredTable>();
  for (const [mine, name] of matchNames(given, [...byName.keys()]).pairs) {
    const target = byName.get(name);
    if (target !== undefined) targets.set(mine, target);
  }
  return targets;
}
