import { componentsOf } from "../../data/components.js";
import { TableGraph } from "../../data/graph.js";
import type { SideTransaction } from "../../engines/engine.js";
import { DualDbError } from "../../errors.js";
import { tidyTable } from "../copy/aftermath.js";
import type { LeftOut } from "../copy/report.js";
import { Fill, type FillOptions } from "./fill.js";
import type { Intake } from "./intake.js";
import { writeRejects } from "./rejects.js";
import { Tally } from "./tally.js";

export interface FillTablesOptions extends FillOptions {
  /** A row that is refused ends it. */
  readonly strict: boolean;
  /** The folder for rows that are refused. */
  readonly rejects: string;
  /** Throws where somebody has asked for an end. */
  goOn(): void;
}

/** What became of the files' rows. */
export interface Filled {
  readonly tallies: readonly Tally[];
  readonly leftOut: readonly LeftOut[];
}

/** How long PostgreSQL may wait for a lock of somebody else. */
const lockTimeout = "60s";

/**
 * Fills all tables, parents first, in a transaction of somebody else, and keeps what is refused in the folder of rejects.
 * @throws CONSTRAINT_VIOLATED with `strict`
 */
export async function fillTables(
  into: SideTransaction,
  intakes: readonly Intake[],
  options: FillTablesOptions,
): Promise<Filled> {
  if (into.side === "postgres")
    await into.transaction.script(`SET LOCAL lock_timeout = '${lockTimeout}'; SET CONSTRAINTS ALL IMMEDIATE`);
  const filled = await fillComponents(new Fill(into, options), intakes);
  options.goOn();
  if (options.strict) assertNoneRefused(filled.tallies);
  await writeRejects(options.rejects, into.side, filled.tallies);
  const changed = filled.tallies.filter(({ inserted, replaced }) => inserted + replaced > 0);
  if (into.side === "postgres")
    for (const { intake } of changed) await tidyTable(into.transaction, intake.table, { isChanged: true });
  return filled;
}

async function fillComponents(filling: Fill, intakes: readonly Intake[]): Promise<Filled> {
  const byTable = new Map(intakes.map((intake) => [intake.target.name, intake]));
  const tallies: Tally[] = [];
  const leftOut: LeftOut[] = [];
  for (const { tables, isCyclic } of componentsOf(new TableGraph(intakes.map((intake) => intake.target)))) {
    const members = tables.map(({ name }) => byTable.get(name)).filter((intake) => intake !== undefined);
    const open: Intake[] = [];
    for (const intake of members) {
      if (await canTake(filling, intake)) open.push(intake);
      else leftOut.push({ table: intake.target.name, reason: "it has no key, and is not empty" });
    }
    tallies.push(
      ...(await filling.component(open.filter(hasRows), isCyclic)),
      ...open.filter((intake) => !hasRows(intake)).map((intake) => new Tally(intake)),
    );
  }
  return { tallies, leftOut };
}

function hasRows({ file }: Intake): boolean {
  return file.rows > 0;
}

async function canTake(filling: Fill, intake: Intake): Promise<boolean> {
  return !hasRows(intake) || intake.table.key.length > 0 || filling.isEmpty(intake);
}

function assertNoneRefused(tallies: readonly Tally[]): void {
  const refused = tallies.find(({ aside }) => aside.size > 0);
  const [first] = refused?.aside.values() ?? [];
  if (refused === undefined || first === undefined) return;
  const table = refused.intake.target.name;
  throw new DualDbError(
    "CONSTRAINT_VIOLATED",
    `${refused.intake.file.path}: the row in line ${first.line} is refused (${[first.column, first.reason].filter(Boolean).join(": ")}). Nothing was imported, since --strict asks for all or nothing.`,
    { table, column: first.column, details: { table, line: first.line, setAside: refused.aside.size } },
  );
}
