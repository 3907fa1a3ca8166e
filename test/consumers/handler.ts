// As application.ts, for whoever uses the handler and nothing else.
import { createMigrationHandler, type MigrationHandlerOptions, type RunReport, toNodeListener } from "dualdb/http";

export const handler = createMigrationHandler({
  env: undefined,
  token: undefined,
  tables: undefined,
  logger: undefined,
});
export const listener = toNodeListener(handler);
export const options = ({ token, ...rest }: MigrationHandlerOptions) => rest;
export const run = (report: RunReport) => ({ ...report, tables: report.verify?.tables, notes: report.copy?.notes });
