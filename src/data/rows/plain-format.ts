import { isUtf8 } from "node:buffer";
import { chunks } from "../chunks.js";
import { type Column, quote, type Table } from "../table.js";

/**
 * A form of COPY's data in which SQLite can write rows by itself, unseen by anybody before PostgreSQL, as long as they are plain: every
 * value is what its column promises, and needs nothing that the form does not have. What is plain means to PostgreSQL what conversion
 * would have made of it.
 */
export interface PlainFormat {
  /** How PostgreSQL has to be told. Control characters keep what ordinary text holds from being taken for anything else. */
  readonly options: string;
  /** The SQL expression for all rows of a SELECT, as bytes. */
  page(table: Table): string;
  /** Whether so many rows are all plain. */
  isPlain(data: Uint8Array, rows: number): boolean;
}

const codes = { nul: 0, none: 2, mark: 3, lineFeed: 10, carriageReturn: 13, backslash: 92 } as const;
const mark = `char(${codes.mark})`;

/** For text on one line without a backslash: PostgreSQL reads it fastest. A delimiter within text gives a row too many columns. */
const bare: PlainFormat = {
  options: `(DELIMITER E'\\x1f', NULL E'\\x02')`,
  page: (table) => pageOf(table, `char(${codes.none})`, bareText),
  isPlain: (data, rows) => {
    const bytes = bytesOf(data);
    const escaped = bytes.includes(codes.backslash) || bytes.includes(codes.carriageReturn);
    return !escaped && isHeld(bytes) && linesIn(bytes) === rows;
  },
};

/** For any text but the quote itself. */
const quoted: PlainFormat = {
  options: `(FORMAT csv, DELIMITER E'\\x1f', QUOTE E'\\x01', NULL '')`,
  page: (table) => pageOf(table, "''", quotedText),
  isPlain: (data) => isHeld(bytesOf(data)),
};

/** The fastest first. */
export const plainFormats: readonly PlainFormat[] = [bare, quoted];

type SpellText = (name: string, none: string) => string;

/** A text that is the very sign of NULL is not plain. */
function bareText(name: string, none: string): string {
  const text = `typeof(${name}) = 'text' AND ${name} <> char(${codes.none})`;
  return `CASE WHEN ${text} THEN ${name} WHEN ${name} IS NULL THEN ${none} ELSE ${mark} END`;
}

function quotedText(name: string, none: string): string {
  const text = `typeof(${name}) = 'text' AND instr(${name}, char(1)) = 0`;
  return `CASE WHEN ${text} THEN char(1) || ${name} || char(1) WHEN ${name} IS NULL THEN ${none} ELSE ${mark} END`;
}

/** SQLite takes 127 arguments for one function. */
const mostArguments = 100;

function pageOf(table: Table, none: string, spellText: SpellText): string {
  const cells = table.columns.map((column) => cellOf(column, column.notNull ? mark : none, spellText));
  const lists = [...chunks(cells, mostArguments)].map((part) => `concat_ws(char(31), ${part.join(", ")})`);
  const row = lists.length === 1 ? lists.join() : `concat_ws(char(31), ${lists.join(", ")})`;
  return `CAST(group_concat(${row}, char(10)) || char(10) AS BLOB)`;
}

function cellOf(column: Column, none: string, spellText: SpellText): string {
  const name = quote(column.name);
  switch (column.kind) {
    case "text":
      if (isOf(column, "text")) return spellText(name, none);
      break;
    case "integer":
    case "bigint":
    case "boolean":
      if (isOf(column, "smallint", "integer", "bigint", "boolean"))
        return `CASE typeof(${name}) WHEN 'integer' THEN ${name} WHEN 'null' THEN ${none} ELSE ${mark} END`;
      break;
    case "real":
      if (isOf(column, "double precision"))
        return `CASE typeof(${name}) WHEN 'real' THEN printf('%!.17g', ${name}) WHEN 'null' THEN ${none} ELSE ${mark} END`;
      break;
  }
  return `CASE WHEN ${name} IS NULL THEN ${none} ELSE ${mark} END`;
}

/** Domains and types with limits do more than their names say. */
function isOf({ type }: Column, ...types: readonly string[]): boolean {
  return type === undefined || types.includes(type);
}

/** Whether no value has left a mark, and PostgreSQL can hold all of the text. */
function isHeld(bytes: Buffer): boolean {
  return !bytes.includes(codes.mark) && !bytes.includes(codes.nul) && isUtf8(bytes);
}

function linesIn(bytes: Buffer): number {
  let lines = 0;
  for (let at = bytes.indexOf(codes.lineFeed); at !== -1; at = bytes.indexOf(codes.lineFeed, at + 1)) lines++;
  return lines;
}

function bytesOf(data: Uint8Array): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}
