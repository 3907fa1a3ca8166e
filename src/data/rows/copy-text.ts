import type { ExactValue } from "../../engines/engine.js";
import { spellFloat } from "../conversion/float.js";
import type { Column, Kind } from "../table.js";

/** The rows in the data of PostgreSQL's COPY in its text format, their columns in this order, as many at a time as have come whole. */
export async function* decodeRows(
  columns: readonly Column[],
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<ExactValue[][], void> {
  const decode = rowDecoder(columns);
  let begun: Uint8Array[] = [];
  for await (const chunk of chunks) {
    const end = chunk.lastIndexOf(lineFeed) + 1;
    if (end > 0) {
      const whole = Buffer.concat([...begun, chunk.subarray(0, end - 1)]).toString("utf8");
      begun = [];
      yield whole.split("\n").map(decode);
    }
    if (end < chunk.length) begun.push(chunk.subarray(end));
  }
  if (begun.length > 0) throw new Error("the data of a COPY ends within a line");
}

/** Lines of such data in pieces of some 64 KiB. */
export async function* piecesOf(lines: Iterable<string>): AsyncGenerator<Uint8Array, void> {
  let piece = "";
  for (const line of lines) {
    piece += line;
    if (piece.length < pieceLength) continue;
    yield Buffer.from(piece);
    piece = "";
  }
  if (piece !== "") yield Buffer.from(piece);
}

/**
 * One row as a line of such data, with the line feed at its end; nothing rounded or cut. Values are already of the kinds of their columns,
 * and their text is what PostgreSQL can hold.
 */
export function encodeRow(values: readonly ExactValue[]): string {
  let line = "";
  for (let index = 0; index < values.length; index++) {
    if (index > 0) line += "\t";
    line += encodeValue(values[index] as ExactValue);
  }
  return `${line}\n`;
}

/** What reads the values of a line, without its line feed. */
export function rowDecoder(columns: readonly Column[]): (line: string) => ExactValue[] {
  const parsers = columns.map(({ kind }) => parserOf(kind));
  return (line) => {
    const cells = parsers.length === 0 ? [] : line.split("\t");
    if (cells.length !== parsers.length) throw new Error("a line of a COPY has other columns than the table");
    return cells.map((cell, index) => (cell === "\\N" ? null : (parsers[index] as Parse)(cell)));
  };
}

const pieceLength = 65_536;
const lineFeed = 10;

function encodeValue(value: ExactValue): string {
  if (typeof value === "string") return special.test(value) ? escapeText(value) : value;
  if (value === null) return "\\N";
  if (typeof value === "number") return spellFloat(value);
  if (typeof value === "boolean") return value ? "t" : "f";
  if (typeof value === "bigint") return value.toString();
  return `\\\\x${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("hex")}`;
}

const special = /[\\\n\r\t]/;
const specials = /[\\\n\r\t]/g;
const escapes: Readonly<Record<string, string>> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** Text with what COPY would take for something else behind a backslash. */
export function escapeText(text: string): string {
  return text.replace(specials, escapeOf);
}

function escapeOf(character: string): string {
  return escapes[character] ?? character;
}

type Parse = (cell: string) => ExactValue;

function parserOf(kind: Kind): Parse {
  switch (kind) {
    case "integer":
    case "bigint":
      return BigInt;
    case "real":
      return Number;
    case "boolean":
      return (cell) => cell === "t";
    case "blob":
      // `\\x` and hexadecimal digits.
      return (cell) => new Uint8Array(Buffer.from(cell.slice(3), "hex"));
    default:
      return (cell) => (cell.includes("\\") ? cell.replace(escaped, meaningOf) : cell);
  }
}

/** What COPY writes behind a backslash. */
const escaped = /\\(.)/g;
const meanings: Readonly<Record<string, string>> = { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t", v: "\v" };

function meaningOf(_: string, character: string): string {
  return meanings[character] ?? character;
}
