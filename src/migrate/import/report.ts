import type { Side } from "../../engines/engine.js";
import type { FindingCount, LeftOut } from "../copy/report.js";
import type { Run } from "../runs.js";
import type { Counts, Tally } from "./tally.js";

/** What an import has done. */
export interface ImportReport {
  /** The side, and the database without its password. */
  readonly target: { readonly side: Side; readonly name: string };
  /** When the export was taken, ISO 8601; null where the files do not say. */
  readonly exportedAt: string | null;
  readonly tables: readonly ImportedTable[];
  /** Tables of the files that were left out, with the reason. */
  readonly leftOut: readonly LeftOut[];
  /** The folder with the rows that were set aside; null where there are none. */
  readonly rejects: string | null;
  readonly milliseconds: number;
}

export interface ImportedTable extends Counts {
  readonly table: string;
  readonly file: string;
  readonly findings: readonly FindingCount[];
}

export function importedTable({ intake, counts, findings }: Tally): ImportedTable {
  return { table: intake.target.name, file: intake.file.path, ...counts, findings };
}

/** What a pair remembers of it. */
export function runOf(report: ImportReport, { tables, beganAt, endedAt }: ImportRun): Run {
  const sum = (count: (table: ImportedTable) => number) =>
    report.tables.reduce((total, table) => total + count(table), 0);
  const written = sum(({ inserted, replaced }) => inserted + replaced);
  const setAside = sum((table) => table.setAside);
  const kept = sum((table) => table.kept);
  return {
    command: "import",
    outcome: report.leftOut.length + setAside + kept === 0 ? "done" : "differs",
    beganAt,
    endedAt,
    facts: { tables: tables ?? null, written, setAside, kept },
  };
}

/** Unix times in milliseconds, and the tables that were asked for. */
export interface ImportRun {
  readonly tables: readonly string[] | undefined;
  readonly beganAt: number;
  readonly endedAt: number;
}
