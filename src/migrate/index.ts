/** The toolkit around the adapter, `dualdb/migrate`: every command of the command line as a function. */
export { type ExportOptions, type ExportReport, exportData } from "./export.js";
export type { ToolOptions } from "./options.js";
export type { Progress } from "./progress.js";
