import { cleanText } from "../conversion/text.js";
import type { Column, Table } from "../table.js";
import { escapeText } from "./copy-text.js";
import type { Cell } from "./sqlite-cells.js";

/**
 * Spells rows of `SqlitePages` as lines of PostgreSQL's COPY, as long as every value is what its column promises: most rows of most
 * tables. `undefined` for any other, which has to be converted first. What it spells is the value that conversion would have made.
 */
export function lineSpeller(table: Table): (cells: readonly Cell[]) => string | undefined {
  const spellers = table.columns.map(spellerOf);
  return (cells) => {
    let line = "";
    for (let index = 0; index < spellers.length; index++) {
      const cell = cells[index] as Cell;
      const text = cell === null ? nullOf(table.columns[index] as Column) : (spellers[index] as Spell)(cell);
      if (text === undefined) return undefined;
      line += index === 0 ? text : `\t${text}`;
    }
    return `${line}\n`;
  };
}

type Spell = (cell: NonNullable<Cell>) => string | undefined;

function nullOf({ notNull }: Column): string | undefined {
  return notNull ? undefined : "\\N";
}

function spellerOf({ kind, type }: Column): Spell {
  switch (kind) {
    case "text":
      return type === undefined || type === "text" ? spellText : notSpelled;
    case "integer":
      return type === undefined || type in largest ? within(largest[type ?? "integer"] ?? 0) : notSpelled;
    case "bigint":
      return type === undefined || type === "bigint"
        ? (cell) => (typeof cell === "number" ? `${cell}` : undefined)
        : notSpelled;
    case "real":
      return type === undefined || type === "double precision" ? spellReal : notSpelled;
    case "boolean":
      return (cell) => (cell === 1 ? "t" : cell === 0 ? "f" : undefined);
    default:
      return notSpelled;
  }
}

const notSpelled: Spell = () => undefined;

const largest: Readonly<Record<string, number>> = { smallint: 2 ** 15 - 1, integer: 2 ** 31 - 1 };

function within(most: number): Spell {
  return (cell) => (typeof cell === "number" && cell <= most && cell >= -1 - most ? `${cell}` : undefined);
}

/** Control characters, backslashes and surrogates: what COPY escapes, and what may have to be altered. */
const special = /[^\u0020-\u005b\u005d-\ud7ff\ue000-\uffff]/;

function spellText(cell: NonNullable<Cell>): string | undefined {
  if (typeof cell !== "string") return undefined;
  if (!special.test(cell)) return cell;
  return cleanText(cell) === cell ? escapeText(cell) : undefined;
}

/** The digits of a float, which name it exactly. */
function spellReal(cell: NonNullable<Cell>): string | undefined {
  return typeof cell === "string" && cell !== "Inf" && cell !== "-Inf" ? cell : undefined;
}
