import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { DualDbError } from "../../errors.js";
import { onFile } from "../file-errors.js";
import { manifestName } from "../manifest.js";
import type { Progress } from "../progress.js";
import { openExport } from "./exported-file.js";
import type { ImportFile } from "./import-file.js";
import { openDocument, openTables } from "./json-file.js";

/** Files that are about to be imported, all of them read once and found whole. */
export interface ImportSource {
  /** ISO 8601, when the export was taken; null where the files do not say. */
  readonly exportedAt: string | null;
  /** Every table that the files have, wanted or not. */
  readonly names: readonly string[];
  /** The wanted ones. */
  readonly files: readonly ImportFile[];
}

/** What the first reading of the files asks and tells. */
export interface CheckOptions {
  isWanted(table: string): boolean;
  /** How far it has come with the rows of a table, or of all tables of one file. */
  onRows(table: string | null, rows: number, total: number | null, bytes?: Progress["bytes"]): void;
  /** Throws where somebody has asked for an end. */
  goOn(): void;
}

/** The file that other tools put all tables into. */
export const documentName = "migration-data.json";

/**
 * Finds out who wrote the files of a folder, and reads all of them once: an export of ours, `<table>.json` with an array each, or one
 * `migration-data.json` with a key per table. `file` names that one document instead.
 * @throws EXPORT_INVALID for what is not whole, FILE_UNUSABLE for what is not there
 */
export async function openSource(
  from: { readonly directory: string; readonly file: string | null },
  options: CheckOptions,
): Promise<ImportSource> {
  const { directory, file } = from;
  if (file !== null) return openDocument(await existing(file), options);
  const entries = await onFile(directory, () => readdir(directory));
  if (entries.includes(manifestName)) return openExport(directory, options);
  const tables = entries.filter((entry) => /\.json$/i.test(entry) && entry !== documentName);
  if (entries.includes(documentName) && tables.length > 0)
    throw unclear(
      directory,
      `holds ${documentName} and ${tables.sort()[0]}: say with --file which one, or take one away`,
    );
  if (entries.includes(documentName)) return openDocument(join(directory, documentName), options);
  if (tables.length > 0) return openTables(directory, tables.sort(), options);
  throw unclear(directory, whatIsMissing(entries));
}

function whatIsMissing(entries: readonly string[]): string {
  if (entries.some((entry) => entry.includes(".jsonl") || entry.startsWith(manifestName)))
    return `is an export that has not come to its end, without ${manifestName}: export again`;
  return `holds neither an export, nor <table>.json, nor ${documentName}`;
}

async function existing(file: string): Promise<string> {
  const status = await onFile(file, () => stat(file));
  if (status.isFile()) return file;
  throw new DualDbError("FILE_UNUSABLE", `${file} is no file: name a file, or the folder with --dir.`);
}

function unclear(directory: string, what: string): DualDbError {
  return new DualDbError("EXPORT_INVALID", `${directory} ${what}.`, { details: { path: directory } });
}
