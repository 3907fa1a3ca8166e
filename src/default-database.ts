import { createDatabase, type Database, type DatabaseOptions } from "./database.js";
import { DualDbError } from "./errors.js";
import { deferredServices } from "./services/deferred.js";

let options: DatabaseOptions = {};
let current: Database | null = null;

/**
 * Sets the options of the default database, to which the services exported by name belong.
 * @throws CONFIG_INVALID when that database is already in use.
 */
export function configureDatabase(wanted: DatabaseOptions): void {
  if (current !== null) {
    throw new DualDbError(
      "CONFIG_INVALID",
      "configureDatabase() comes too late: the default database is in use. Call it before the first call of a service.",
    );
  }
  options = wanted;
}

/** The default database; it is made by the first call and opens at its first use. */
export function defaultDatabase(): Database {
  current ??= createDatabase(options);
  return current;
}

/** Closes the default database; the next call makes a new one. */
export async function closeDatabase(): Promise<void> {
  const closing = current;
  current = null;
  await closing?.close();
}

/** The services of the default database. */
export const { messageService, queryService, documentService, userProfileService } = deferredServices(async () =>
  defaultDatabase(),
);
