import { isUtf8 } from "node:buffer";
import { randomBytes } from "node:crypto";
import { affinityOf } from "../catalogue/sqlite-type.js";
import { chunks } from "../chunks.js";
import { type Column, quote, type Table } from "../table.js";
import { mostArguments } from "./json-rows.js";

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

const codes = { nul: 0, mark: 3, lineFeed: 10, carriageReturn: 13, backslash: 92 } as const;
const mark = `char(${codes.mark})`;
/** Stands for NULL. Nobody can have written such a text: it is drawn anew for each process. */
const none = `\u0002${randomBytes(8).toString("hex")}`;

/** For text on one line without a backslash: PostgreSQL reads it fastest. A delimiter within text gives a row too many columns. */
const bare: PlainFormat = {
  options: `(DELIMITER E'\\x1f', NULL '${none}')`,
  page: (table) => pageOf(table, `'${none}'`, (name) => name),
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

/** The SQL of a text that is one, and has no sign of the form; of any other it makes the mark. */
type SpellText = (name: string) => string;

function quotedText(name: string): string {
  return `iif(instr(${name}, char(1)) = 0, char(1) || ${name} || char(1), ${mark})`;
}

function pageOf(table: Table, none: string, spellText: SpellText): string {
  const cells = table.columns.map((column) => cellOf(column, column.notNull ? mark : none, spellText));
  const lists = [...chunks(cells, mostArguments - 1)].map((part) => `concat_ws(char(31), ${part.join(", ")})`);
  const row = lists.length === 1 ? lists.join() : `concat_ws(char(31), ${lists.join(", ")})`;
  return `CAST(group_concat(${row}, char(10)) || char(10) AS BLOB)`;
}

function cellOf(column: Column, none: string, spellText: SpellText): string {
  const name = quote(column.name);
  switch (column.kind) {
    case "text":
      if (isOf(column, "text")) return cellIf(isText(column), spellText(name), column, none);
      break;
    case "integer":
    case "bigint":
    case "boolean":
      if (isOf(column, "smallint", "integer", "bigint", "boolean"))
        return cellIf(isInteger(column), name, column, none);
      break;
    case "real":
      if (isOf(column, "double precision")) return cellIf(isReal(column), `printf('%!.17g', ${name})`, column, none);
      break;
  }
  return cellIf("FALSE", mark, column, none);
}

function cellIf(isPlain: string, spelled: string, { name, notNull }: Column, none: string): string {
  const otherwise = notNull ? mark : `iif(${quote(name)} IS NULL, ${none}, ${mark})`;
  return `CASE WHEN ${isPlain} THEN ${spelled} ELSE ${otherwise} END`;
}

/*
 * Whether a value is of its column's type. SQLite sorts numbers before text and text before BLOBs, and a comparison costs it less than
 * asking for the type, where the column's affinity leaves no doubt what comes before.
 */

/** TEXT affinity holds no number. */
function isText({ name, sqliteType }: Column): string {
  return affinityOf(sqliteType ?? "") === "text" ? `${quote(name)} < x''` : `typeof(${quote(name)}) = 'text'`;
}

/** A float that stays one in such a column is spelled with a point or an exponent, and PostgreSQL takes neither for an integer. */
function isInteger({ name, sqliteType }: Column): string {
  return ["integer", "numeric"].includes(affinityOf(sqliteType ?? ""))
    ? `${quote(name)} < ''`
    : `typeof(${quote(name)}) = 'integer'`;
}

/** REAL affinity holds no integer. */
function isReal({ name, sqliteType }: Column): string {
  return affinityOf(sqliteType ?? "") === "real" ? `${quote(name)} < ''` : `typeof(${quote(name)}) = 'real'`;
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
