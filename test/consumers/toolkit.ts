// As application.ts, for whoever uses the toolkit and nothing else: a type that has its public name elsewhere only would have none here.
import * as migrate from "dualdb/migrate";

export const everything = { ...migrate };

export async function tools() {
  const copied = await migrate.copy();
  const imported = await migrate.importData();
  const { next, ...status } = await migrate.migrationStatus();
  return {
    copied: { ...copied },
    tables: copied.tables.map((table) => ({ ...table })),
    doctor: { ...(await migrate.doctor()) },
    exported: { ...(await migrate.exportData()) },
    imported: { ...imported },
    listed: { ...(await migrate.listMigrations()) },
    migrated: { ...(await migrate.migrate()) },
    gate: { ...(await migrate.gate("read")) },
    repaired: { ...(await migrate.repair()) },
    status: { ...status, next: { ...next } },
    verified: { ...(await migrate.verify()) },
  };
}

/** `true` where whatever an input leaves open may be undefined, too. */
type TakesUndefined<Input> = {
  readonly [Name in keyof Input]: object extends Pick<Input, Name> ? Input[Name] | undefined : Input[Name];
} extends Input
  ? true
  : never;

export const taken: TakesUndefined<migrate.CopyOptions> &
  TakesUndefined<migrate.DoctorOptions> &
  TakesUndefined<migrate.ExportOptions> &
  TakesUndefined<migrate.FinalizeOptions> &
  TakesUndefined<migrate.ImportOptions> &
  TakesUndefined<migrate.ListOptions> &
  TakesUndefined<migrate.MigrateOptions> &
  TakesUndefined<migrate.RepairOptions> &
  TakesUndefined<migrate.VerifyOptions> = true;
