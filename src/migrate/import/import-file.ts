import type { Column } from "../../data/table.js";
import type { ExactValue, Side } from "../../engines/engine.js";

/** A value as a file has it, by the file's own kind; only that file can make something of it. */
export type FileCell = unknown;

/** One row of a file. */
export interface FileRow {
  /** Which row of its table it is, from 1. */
  readonly line: number;
  readonly cells: Readonly<Record<string, FileCell>>;
}

/** A column of a file; `kind` and `type` are null where the file does not say. */
export interface FileColumn {
  readonly name: string;
  readonly kind: Column["kind"] | null;
  readonly type: string | null;
}

/** The rows of one table in a file that has been checked: it is whole, and what it holds is known. */
export interface ImportFile {
  /** The table's name there. */
  readonly table: string;
  /** The file's path. */
  readonly path: string;
  /** The side whose values these are; null for plain JSON of another tool. */
  readonly side: Side | null;
  readonly columns: readonly FileColumn[];
  readonly rows: number;
  /** All rows, in the order of the file. @throws EXPORT_INVALID, FILE_UNUSABLE */
  read(): AsyncIterable<readonly FileRow[]>;
  /** The value of a cell for a column, and the bytes of text that is no UTF-8; undefined where it makes none. */
  decode(cell: FileCell, column: Column, target: Side): Decoded | undefined;
}

export interface Decoded {
  readonly value: ExactValue;
  readonly bytes?: Uint8Array;
}
