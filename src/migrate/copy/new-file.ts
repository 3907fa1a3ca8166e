import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import sql from "sql-template-tag";
import { configFor, type Databases, type OpenOptions, withDatabases, withEngine } from "../databases.js";
import type { ToolOptions } from "../options.js";
import { makePrivateFile } from "../private-files.js";

/**
 * As `withDatabases`; a SQLite file that is made for the work belongs to its owner alone, and is taken away again where that fails before
 * it has put anything there.
 */
export async function withNewFile<T>(
  options: ToolOptions & OpenOptions,
  work: (databases: Databases) => Promise<T>,
): Promise<T> {
  const { file } = configFor(options).sqlite;
  const isMade = options.createFile === true && file !== null && !existsSync(file);
  if (isMade) await makePrivateFile(file);
  try {
    return await withDatabases(options, work);
  } catch (error) {
    if (isMade && existsSync(file) && (await isEmpty(options).catch(() => false))) await remove(file);
    throw error;
  }
}

function isEmpty(options: ToolOptions): Promise<boolean> {
  return withEngine("sqlite", configFor(options), { ...options, createFile: false }, async (engine) => {
    const rows = await engine.read(sql`SELECT 1 AS one FROM sqlite_master LIMIT 1`);
    return rows.length === 0;
  });
}

async function remove(file: string): Promise<void> {
  for (const path of [file, `${file}-wal`, `${file}-shm`]) await rm(path, { force: true });
}
