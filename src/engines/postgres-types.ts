import { unwrapText } from "../data/conversion/wrapper.js";
import type { Kind } from "../data/table.js";
import { DualDbError } from "../errors.js";
import type { Row } from "./engine.js";

/** Makes a value of the text that PostgreSQL prints for it. */
export type Parse = (text: string) => unknown;

/** What `pg` takes as `types` of one query. */
export interface TypeParsers {
  getTypeParser(oid: number, format?: string): Parse;
}

const oids = {
  boolean: 16,
  bytea: 17,
  bigint: 20,
  smallint: 21,
  integer: 23,
  oid: 26,
  json: 114,
  real: 700,
  double: 701,
  numeric: 1700,
  jsonb: 3802,
} as const;

const asText: Parse = (text) => text;

const exactByOid: Partial<Record<number, Parse>> = {
  [oids.boolean]: (text) => text === "t",
  [oids.bytea]: parseBytes,
  [oids.bigint]: BigInt,
  [oids.smallint]: BigInt,
  [oids.integer]: BigInt,
  [oids.oid]: BigInt,
  [oids.real]: Number,
  [oids.double]: Number,
};

/** Nothing rounded: integers as bigint, booleans as booleans, JSON and everything else as PostgreSQL prints it. */
export const exactTypes: TypeParsers = { getTypeParser: (oid) => exactByOid[oid] ?? asText };

/** Stands in a row where an integer was beyond ±(2^53 - 1), until `checkRows` says so: a parser does not know its column. */
const unsafeInteger = Symbol("integer beyond 2^53");

/** SQLite's shape: integers as numbers, booleans as 0 and 1, JSON as text without the wrapper, everything else as text. */
export class RecordTypes implements TypeParsers {
  #unsafeIntegers = 0;
  readonly #byOid: Partial<Record<number, Parse>> = {
    [oids.boolean]: parseFlag,
    [oids.bytea]: parseBytes,
    [oids.bigint]: (text) => this.#parseInteger(text),
    [oids.smallint]: Number,
    [oids.integer]: Number,
    [oids.oid]: Number,
    [oids.json]: unwrapText,
    [oids.jsonb]: unwrapText,
    [oids.real]: Number,
    [oids.double]: Number,
    [oids.numeric]: parseNumeric,
  };

  /** The same for the kinds that have one type only. */
  readonly #byKind: Partial<Record<Kind, Parse>> = {
    text: asText,
    json: unwrapText,
    integer: Number,
    bigint: (text) => this.#parseInteger(text),
    real: Number,
    boolean: parseFlag,
  };

  getTypeParser(oid: number): Parse {
    return this.#byOid[oid] ?? asText;
  }

  parserOf(kind: Kind): Parse | undefined {
    return this.#byKind[kind];
  }

  /** A number that changes whenever an integer was too large. */
  get mark(): number {
    return this.#unsafeIntegers;
  }

  /** Throws VALUE_REFUSED, naming the column, where a row holds an integer that was too large since `mark` was taken. */
  checkRows(rows: readonly Row[], mark: number): void {
    if (mark === this.#unsafeIntegers) return;
    for (const row of rows) {
      for (const [column, value] of Object.entries(row as Record<string, unknown>)) {
        if (value === unsafeInteger) throw tooLarge(column);
      }
    }
  }

  #parseInteger(text: string): unknown {
    const value = Number(text);
    if (Number.isSafeInteger(value)) return value;
    this.#unsafeIntegers++;
    return unsafeInteger;
  }
}

/** A column of an answer, as the driver describes it. */
export interface AnswerField {
  readonly name: string;
  readonly dataTypeID: number;
  /** 0 for what the statement has computed. */
  readonly tableID: number;
}

/**
 * What a statement computes, AVG above all, PostgreSQL prints with more digits than a number has: there it is a number, as on SQLite. A
 * `numeric` of a table keeps its digits, as text where they are too many.
 */
export function roundComputed(rows: readonly Row[], fields: readonly AnswerField[]): void {
  for (const { name, dataTypeID, tableID } of fields) {
    if (dataTypeID !== oids.numeric || tableID !== 0) continue;
    for (const row of rows) {
      const value = row[name];
      if (typeof value === "string" && value.includes(".")) row[name] = Number(value);
    }
  }
}

/**
 * Parameters as `pg` must see them.
 * @throws VALUE_REFUSED for an object, which the driver would turn into JSON in its own way, and for functions and symbols.
 */
export function bindValues(values: readonly unknown[]): unknown[] {
  return values.map((value, index) => bindValue(value, index + 1));
}

function bindValue(value: unknown, position: number): unknown {
  switch (typeof value) {
    case "string":
    case "number":
    case "boolean":
      return value;
    case "undefined":
      return null;
    case "bigint":
      return value.toString();
    case "object":
      return bindObject(value, position);
    default:
      throw unbindable(position, typeof value);
  }
}

function bindObject(value: object | null, position: number): unknown {
  if (value === null) return null;
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (Array.isArray(value)) return value.map((item) => bindValue(item, position));
  throw unbindable(position, "object");
}

function unbindable(position: number, kind: string): DualDbError {
  const message = `value ${position} of the statement is a ${kind}, which PostgreSQL cannot take: give text, such as JSON text`;
  return new DualDbError("VALUE_REFUSED", message, { side: "postgres" });
}

function tooLarge(column: string): DualDbError {
  const message = `column ${column} holds an integer beyond 2^53 - 1, which a number cannot hold: select it as text`;
  return new DualDbError("VALUE_REFUSED", message, { side: "postgres", column });
}

function parseFlag(text: string): number {
  return text === "t" ? 1 : 0;
}

/** A number where it says the same as the text: 15 digits survive the way into a double and back. */
function parseNumeric(text: string): number | string {
  const plain = text.includes(".") ? text.replace(/\.?0+$/, "") : text;
  const value = Number(plain);
  const digits = plain.replace(/^-?0*\.?0*/, "").replace(".", "").length;
  return digits <= 15 || (Number.isSafeInteger(value) && !plain.includes(".")) ? value : text;
}

/** PostgreSQL prints `\x` and hexadecimal digits; a database may be set to the older form with escapes. */
function parseBytes(text: string): Uint8Array {
  if (text.startsWith("\\x")) return new Uint8Array(Buffer.from(text.slice(2), "hex"));
  const bytes = text.replace(/\\(\\|[0-7]{3})/g, (_, code: string) =>
    code === "\\" ? "\\" : String.fromCharCode(Number.parseInt(code, 8)),
  );
  return new Uint8Array(Buffer.from(bytes, "latin1"));
}
