import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { fromJson } from "../../data/rows/exact-json.js";
import type { Side } from "../../engines/engine.js";
import { DualDbError } from "../../errors.js";
import { isMissing, onFile } from "../file-errors.js";
import { type ExportedTable, type Manifest, manifestName, readManifest } from "../manifest.js";
import type { FileCell, FileColumn, FileRow, ImportFile } from "./import-file.js";
import { factsOfLines, linesOf } from "./lines.js";
import type { CheckOptions, ImportSource } from "./source.js";

/** An export of our own: every file is what its description says, or nothing is read from it. @throws EXPORT_INVALID, FILE_UNUSABLE */
export async function openExport(directory: string, options: CheckOptions): Promise<ImportSource> {
  const manifest = await readManifest(directory);
  await assertAllNamed(directory, manifest);
  const wanted = manifest.tables.filter(({ name }) => options.isWanted(name));
  for (const table of wanted) await check(directory, table, options);
  return {
    exportedAt: manifest.exportedAt,
    names: manifest.tables.map(({ name }) => name),
    files: wanted.map((table) => new ExportedFile(directory, table, manifest.source.side)),
  };
}

/** A file of rows that the description does not name would be left out without a word. */
async function assertAllNamed(directory: string, { tables }: Manifest): Promise<void> {
  const named = new Set(tables.map(({ file }) => file));
  const entries = await onFile(directory, () => readdir(directory));
  const file = entries.find((entry) => entry.endsWith(".jsonl") && !named.has(entry));
  if (file !== undefined)
    throw invalid(join(directory, file), `is there, though ${manifestName} does not name it`, { file });
}

async function check(directory: string, table: ExportedTable, { onRows, goOn }: CheckOptions): Promise<void> {
  const { name, file, rows, sha256 } = table;
  const path = join(directory, file);
  const facts = await factsOfLines(path, (lines) => {
    goOn();
    onRows(name, lines, rows);
  }).catch((error: unknown) => {
    if (isMissing(error)) throw invalid(path, `is missing, though ${manifestName} names it`, { file });
    throw error;
  });
  if (facts.lines !== rows)
    throw invalid(path, `has ${facts.lines} rows instead of ${rows}`, { file, rows: facts.lines, expected: rows });
  if (facts.sha256 !== sha256)
    throw invalid(path, "was changed since it was written: its checksum is another", { file });
}

class ExportedFile implements ImportFile {
  readonly table: string;
  readonly path: string;
  readonly side: Side;
  readonly columns: readonly FileColumn[];
  readonly rows: number;
  /** The columns' names, in the order in which a row of ours has them. */
  readonly #names: readonly string[];

  constructor(directory: string, { name, file, columns, rows }: ExportedTable, side: Side) {
    this.table = name;
    this.path = join(directory, file);
    this.side = side;
    this.columns = columns;
    this.rows = rows;
    this.#names = Object.keys(Object.fromEntries(columns.map((column) => [column.name, null])));
  }

  async *read(): AsyncGenerator<readonly FileRow[]> {
    let line = 0;
    for await (const lines of linesOf(this.path)) {
      yield lines.map((text) => ({ line: ++line, cells: this.#parse(text, line) }));
    }
  }

  decode(cell: FileCell): ReturnType<typeof fromJson> {
    return fromJson(cell ?? null);
  }

  #parse(text: string, line: number): Row {
    const row = rowOf(text);
    if (row === null) throw invalid(this.path, `is no row of an export in line ${line}`, { line });
    const names = Object.keys(row);
    const isAsWritten =
      names.length === this.#names.length && names.every((name, index) => name === this.#names[index]);
    if (!isAsWritten) this.#assertColumns(row, line);
    return row;
  }

  /** The description has to know every column, or its values would be left out without a word; and a row has to have them all. */
  #assertColumns(row: Row, line: number): void {
    const known = new Set(this.#names);
    const unknown = Object.keys(row).find((name) => !known.has(name));
    const missing = this.#names.find((name) => !Object.hasOwn(row, name));
    const column = unknown ?? missing;
    if (column === undefined) return;
    const what = unknown === undefined ? `lacks ${column}` : `has ${column}`;
    const but = unknown === undefined ? "names it" : "does not name it";
    throw invalid(this.path, `${what} in line ${line}, though ${manifestName} ${but}`, { line, column });
  }
}

type Row = Readonly<Record<string, unknown>>;

/** null for text that is none. */
function rowOf(text: string): Row | null {
  try {
    const row: unknown = JSON.parse(text);
    return typeof row === "object" && row !== null && !Array.isArray(row) ? (row as Row) : null;
  } catch {
    return null;
  }
}

interface Fault {
  readonly file?: string;
  readonly line?: number;
  readonly column?: string;
  readonly rows?: number;
  readonly expected?: number;
}

function invalid(path: string, what: string, details: Fault): DualDbError {
  const { column } = details;
  return new DualDbError("EXPORT_INVALID", `${path} ${what}. Nothing was imported; export again.`, {
    column,
    details: { path, ...details },
  });
}
