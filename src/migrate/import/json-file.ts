import { stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { typeOfColumn } from "../../data/catalogue/postgres-type.js";
import { affinityOf } from "../../data/catalogue/sqlite-type.js";
import { exactNumber } from "../../data/conversion/numeric.js";
import { isTimeType } from "../../data/conversion/time-column.js";
import type { Column } from "../../data/table.js";
import type { ExactValue, Side } from "../../engines/engine.js";
import { onFile } from "../file-errors.js";
import type { Decoded, FileCell, FileColumn, FileRow, ImportFile } from "./import-file.js";
import { type JsonCell, rowsOfJson, type TableRow } from "./json-rows.js";
import type { CheckOptions, ImportSource } from "./source.js";

/** One JSON document with a key for each table, as other tools write it. @throws EXPORT_INVALID, FILE_UNUSABLE */
export async function openDocument(path: string, options: CheckOptions): Promise<ImportSource> {
  const surveys = await survey(path, null, options);
  return sourceOf([...surveys.values()], options);
}

/** One JSON array for each table, in a file that bears its name. @throws EXPORT_INVALID, FILE_UNUSABLE */
export async function openTables(
  directory: string,
  files: readonly string[],
  options: CheckOptions,
): Promise<ImportSource> {
  const surveys: JsonFile[] = [];
  for (const file of files) {
    const path = join(directory, file);
    surveys.push(...(await survey(path, tableOf(file), options)).values());
  }
  return sourceOf(surveys, options);
}

function sourceOf(files: readonly JsonFile[], { isWanted }: CheckOptions): ImportSource {
  return {
    exportedAt: null,
    names: files.map(({ table }) => table),
    files: files.filter(({ table }) => isWanted(table)),
  };
}

/** Reads all of a file once: that it is JSON, which tables and columns it has, and how many rows. */
async function survey(path: string, table: string | null, options: CheckOptions): Promise<Map<string, JsonFile>> {
  const { size } = await onFile(path, () => stat(path));
  const found = new Map<string, { columns: Set<string>; rows: number }>();
  if (table !== null) found.set(table, { columns: new Set(), rows: 0 });
  let read = 0;
  let rows = 0;
  for await (const page of rowsOfJson(path, table, (bytes) => (read += bytes))) {
    options.goOn();
    for (const row of page) {
      const seen = found.get(row.table) ?? { columns: new Set(), rows: 0 };
      found.set(row.table, seen);
      if (row.cells === null) continue;
      seen.rows++;
      rows++;
      for (const name of Object.keys(row.cells)) seen.columns.add(name);
    }
    options.onRows(table, rows, null, { read, size });
  }
  const files = [...found].map(
    ([name, { columns, rows }]) => [name, new JsonFile(path, name, table, columns, rows)] as const,
  );
  return new Map(files);
}

class JsonFile implements ImportFile {
  readonly table: string;
  readonly path: string;
  readonly side = null;
  readonly columns: readonly FileColumn[];
  readonly rows: number;
  readonly #only: string | null;

  constructor(path: string, table: string, only: string | null, columns: ReadonlySet<string>, rows: number) {
    this.path = path;
    this.table = table;
    this.#only = only;
    this.columns = [...columns].map((name) => ({ name, kind: null, type: null }));
    this.rows = rows;
  }

  async *read(): AsyncGenerator<readonly FileRow[]> {
    let line = 0;
    for await (const page of rowsOfJson(this.path, this.#only)) {
      const mine = page.filter(({ table, cells }: TableRow) => table === this.table && cells !== null);
      yield mine.map(({ cells }) => ({ line: ++line, cells: cells ?? {} }));
    }
  }

  decode(cell: FileCell, column: Column, target: Side): Decoded {
    return plainValue((cell ?? null) as JsonCell, column, target);
  }
}

/** What plain JSON says of a column's value: text takes all but text as it is spelled there, and a number keeps its digits anywhere. */
function plainValue(cell: JsonCell, column: Column, target: Side): Decoded {
  if (cell === null || typeof cell === "string") return { value: cell };
  if (typeof cell === "boolean") return { value: booleanOf(cell, column, target) };
  if ("number" in cell) return { value: takesSpelling(column, target) ? cell.number : numberOf(cell.number) };
  if ("text" in cell) return { value: cell.text, bytes: cell.bytes };
  return { value: (column.kind === "blob" ? bytesOf(cell.json) : null) ?? cell.json };
}

function booleanOf(value: boolean, column: Column, target: Side): ExactValue {
  if (target === "sqlite") return takesSpelling(column, target) ? String(value) : BigInt(value);
  return takesSpelling(column, target) && column.kind !== "numeric" ? String(value) : value;
}

/** Whether a column takes a number as JSON spells it: text, JSON, decimals, and types whose own input is to understand it. */
function takesSpelling(column: Column, target: Side): boolean {
  const { kind, sqliteType = "" } = column;
  if (target === "sqlite") return affinityOf(sqliteType) === "text" || /JSON/i.test(sqliteType);
  if (kind === "other") return !isTimeType(typeOfColumn(column).name);
  return kind === "text" || kind === "json" || kind === "numeric" || kind === "blob";
}

/** The number that the digits say; the digits themselves where neither an integer nor a float can. */
function numberOf(digits: string): ExactValue {
  if (/^-?\d+$/.test(digits)) return digits === "-0" ? -0 : BigInt(digits);
  // A float keeps 15 digits, whichever they are.
  return digits.length <= 16 && !/[eE]/.test(digits) ? Number(digits) : (exactNumber(digits) ?? digits);
}

/** Bytes as Node writes them into JSON. */
function bytesOf(json: string): Uint8Array | null {
  const value: unknown = JSON.parse(json);
  if (typeof value !== "object" || value === null || !("type" in value) || value.type !== "Buffer") return null;
  return "data" in value && Array.isArray(value.data) ? new Uint8Array(value.data.map(Number)) : null;
}

/** A file's name may be encoded as ours are. */
function tableOf(file: string): string {
  const name = basename(file).replace(/\.json$/i, "");
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
