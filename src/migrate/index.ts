/** The toolkit around the adapter, `dualdb/migrate`: every command of the command line as a function. */

export type { DatabaseFacts } from "./doctor/facts.js";
export { type DoctorReport, doctor, type FindingGroup, type Problem } from "./doctor.js";
export { type ExportOptions, type ExportReport, exportData } from "./export.js";
export type { ToolOptions } from "./options.js";
export type { Progress } from "./progress.js";
export type { Orphans } from "./verify/orphans.js";
export type { SchemaDifference } from "./verify/schema.js";
export type { SearchCheck } from "./verify/search.js";
export type { BehindSequence } from "./verify/sequences.js";
export type { Difference, TableCounts } from "./verify/table.js";
export { type TableReport, type VerifyOptions, type VerifyReport, verify } from "./verify.js";
