import type { ConvertedRow, SourceRow } from "../../data/conversion/convert.js";
import { sameValue } from "../../data/equality/same-value.js";
import { encodeKey } from "../../data/key.js";
import { rowDecoder } from "../../data/rows/copy-text.js";
import type { Column, Table } from "../../data/table.js";
import type { ExactValue } from "../../engines/engine.js";

/** A row of SQLite, carried and spelled as the other stream spells its rows. */
export interface Mine {
  readonly row: SourceRow;
  readonly converted: ConvertedRow;
  /** What PostgreSQL cannot hold is spelled as NULL. */
  readonly isRefused: boolean;
  readonly line: string;
}

/** Lines of PostgreSQL's stream, taken apart only as far as is needed. */
export class Lines {
  readonly #columns: readonly Column[];
  readonly #decoders: readonly ((cell: string) => ExactValue)[];
  readonly #keyAt: readonly number[];

  constructor({ columns, key }: Table) {
    this.#columns = columns;
    this.#decoders = columns.map((column) => {
      const decode = rowDecoder([column]);
      return (cell) => decode(cell)[0] ?? null;
    });
    this.#keyAt = key.map((name) => columns.findIndex((column) => column.name === name));
  }

  /** The row's key, as the journal spells it. */
  keyOf(line: string): string {
    const cells = line.split("\t");
    return encodeKey(this.#keyAt.map((at) => this.#decode(at, cells[at] ?? "")));
  }

  /** Whether the line certainly says the same as that row. */
  isSame(mine: Mine, line: string): boolean {
    const cells = line.split("\t");
    const spelled = mine.line.split("\t");
    return this.#columns.every((column, at) => {
      const cell = cells[at] ?? "";
      return cell === spelled[at] || sameValue(column, mine.converted.values[at] ?? null, this.#decode(at, cell));
    });
  }

  #decode(at: number, cell: string): ExactValue {
    return this.#decoders[at]?.(cell) ?? null;
  }
}
