/** The toolkit around the adapter, `dualdb/migrate`: every command of the command line as a function. */

export type { Environment } from "../config.js";
export type { EpochChoices } from "../data/conversion/epoch.js";
export type { DefinitionNote } from "../data/definition/definition.js";
export type { Finding } from "../data/finding.js";
export type { Side } from "../engines/engine.js";
export type { Logger } from "../logger.js";
export type { Latency } from "../metrics.js";
export type { Flags, RouteName } from "../route.js";
export {
  type AppliedMigration,
  createMigration,
  type FileStatus,
  type ListedMigration,
  type MigrationReport,
} from "../schema/migrations.js";
export type { JournalSummary } from "../shadow/journal.js";
export type { Conflict } from "../shadow/recovery.js";
export type { Conflicts, Refused, SideStatus, Told } from "../shadow/side-status.js";
export type { PostgresState, SqliteState } from "../shadow/state.js";
export {
  type CopiedTable,
  type CopyOptions,
  type CopyReport,
  copy,
  type FindingCount,
  type LeftOut,
  type StuckSequence,
} from "./copy.js";
export type { DatabaseFacts } from "./doctor/facts.js";
export {
  type DoctorOptions,
  type DoctorReport,
  doctor,
  type FindingGroup,
  type Problem,
  type ScannedTable,
} from "./doctor.js";
export { type ExportOptions, type ExportReport, exportData } from "./export.js";
export type { FileFacts } from "./export-file.js";
export { type FinalizeOptions, type FinalizeReport, finalize } from "./finalize.js";
export { type GateName, type GateReport, gate } from "./gates.js";
export type { Counts as ImportCounts } from "./import/tally.js";
export { type ImportedTable, type ImportOptions, type ImportReport, importData } from "./import.js";
export {
  type ListedSide,
  type ListOptions,
  listMigrations,
  type MigratedSide,
  type MigrateOptions,
  type MigrateReport,
  type MigrationList,
  migrate,
} from "./migrate.js";
export type { ToolOptions } from "./options.js";
export type { Progress } from "./progress.js";
export { type RearmOptions, type RearmReport, rearm } from "./rearm.js";
export type { Left } from "./repair/mender.js";
export { type RepairOptions, type RepairReport, repair, type TableRepair } from "./repair.js";
export type { Outcome, Run } from "./runs.js";
export type { Check, CheckName } from "./status/check.js";
export type { Plan } from "./status/next-step.js";
export type { RollBack } from "./status/roll-back.js";
export type { Counter, StepRecord } from "./status/steps.js";
export { type MigrationStatus, migrationStatus, type NextStep, type TableRows } from "./status.js";
export type { KeylessReport } from "./verify/keyless.js";
export type { MergeCounts } from "./verify/merge.js";
export type { Orphans } from "./verify/orphans.js";
export type { SchemaDifference } from "./verify/schema.js";
export type { SearchCheck } from "./verify/search.js";
export type { BehindSequence } from "./verify/sequences.js";
export type { Difference, TableCounts } from "./verify/table.js";
export type { Amiss } from "./verify/verdict.js";
export { type TableReport, type VerifyOptions, type VerifyReport, verify } from "./verify.js";
