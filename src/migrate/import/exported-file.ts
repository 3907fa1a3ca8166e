import { join } from "node:path";
import { fromJson } from "../../data/rows/exact-json.js";
import type { Side } from "../../engines/engine.js";
import { DualDbError } from "../../errors.js";
import { isMissing } from "../file-errors.js";
import { type ExportedTable, manifestName, readManifest } from "../manifest.js";
import type { FileCell, FileColumn, FileRow, ImportFile } from "./import-file.js";
import { factsOfLines, linesOf } from "./lines.js";
import type { CheckOptions, ImportSource } from "./source.js";

/** An export of our own: every file is what its description says, or nothing is read from it. @throws EXPORT_INVALID, FILE_UNUSABLE */
export async function openExport(directory: string, options: CheckOptions): Promise<ImportSource> {
  const manifest = await readManifest(directory);
  const wanted = manifest.tables.filter(({ name }) => options.isWanted(name));
  for (const table of wanted) await check(directory, table, options);
  return {
    exportedAt: manifest.exportedAt,
    names: manifest.tables.map(({ name }) => name),
    files: wanted.map((table) => new ExportedFile(directory, table, manifest.source.side)),
  };
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

  constructor(directory: string, { name, file, columns, rows }: ExportedTable, side: Side) {
    this.table = name;
    this.path = join(directory, file);
    this.side = side;
    this.columns = columns;
    this.rows = rows;
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

  #parse(text: string, line: number): Readonly<Record<string, unknown>> {
    try {
      const row: unknown = JSON.parse(text);
      if (typeof row === "object" && row !== null && !Array.isArray(row)) return row as Record<string, unknown>;
    } catch {
      // Said below, without the text.
    }
    throw invalid(this.path, `is no row of an export in line ${line}`, { line });
  }
}

function invalid(path: string, what: string, details: Readonly<Record<string, unknown>>): DualDbError {
  return new DualDbError("EXPORT_INVALID", `${path} ${what}. Nothing was imported; export again.`, { details });
}
