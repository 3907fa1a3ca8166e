import type { ExactValue } from "../engines/engine.js";
import type { Plan } from "./batch.js";
import type { Entry } from "./journal.js";

/** What a part may hold of the text of its rows: two parts are in memory at a time. */
const mostCharacters = 2_000_000;
/** Of a table that has not been read yet, whose rows may be whole documents. */
const supposedCharacters = 20_000;

/** How large the latest rows of each table were, so that a part of a pass stays within bounds also where documents are large. */
export class RowSizes {
  readonly #characters = new Map<string, number>();

  /** As many of the first entries as may be read at once, and at least one. */
  firstOf(entries: readonly Entry[]): readonly Entry[] {
    let characters = 0;
    const end = entries.findIndex(({ table }, index) => {
      characters += this.#characters.get(table) ?? supposedCharacters;
      return index > 0 && characters > mostCharacters;
    });
    return end === -1 ? entries : entries.slice(0, end);
  }

  /** Grows at once and shrinks by and by. */
  learn({ upserts }: Plan): void {
    for (const [table, rows] of upserts) {
      if (rows.length === 0) continue;
      const mean = rows.reduce((sum, { values }) => sum + charactersOf(values), 0) / rows.length;
      const before = this.#characters.get(table) ?? mean;
      this.#characters.set(table, Math.max(mean, (before + mean) / 2));
    }
  }
}

function charactersOf(values: readonly ExactValue[]): number {
  let characters = 0;
  for (const value of values) characters += typeof value === "string" || value instanceof Uint8Array ? value.length : 8;
  return characters;
}
