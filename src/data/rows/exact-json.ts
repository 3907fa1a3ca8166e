import type { ExactValue } from "../../engines/engine.js";
import type { SourceRow } from "../conversion/convert.js";
import type { Table } from "../table.js";

/**
 * A value of a row in a JSON document, from which it can be had back to the bit: text, integers up to 2^53, fractions, true, false and
 * null as themselves; anything else as an object with one tag.
 */
export type JsonValue = string | number | boolean | null | Tagged;

/** `$integer`: digits. `$real`: a float without a fraction, or not finite. `$bytes`: a BLOB, base64. `$text`: text that is no UTF-8, base64. */
export type Tagged =
  | { readonly $integer: string }
  | { readonly $real: string }
  | { readonly $bytes: string }
  | { readonly $text: string };

/** A row as one JSON object, its columns by name. */
export function rowToJson(table: Table, row: SourceRow): Record<string, JsonValue> {
  const entries = table.columns.map(({ name }, index) => {
    const bytes = row.repaired?.get(name);
    return [name, bytes === undefined ? toJson(row.values[index] ?? null) : { $text: base64(bytes) }] as const;
  });
  return Object.fromEntries(entries);
}

export function toJson(value: ExactValue): JsonValue {
  if (value instanceof Uint8Array) return { $bytes: base64(value) };
  if (typeof value === "bigint") return isSafe(value) ? Number(value) : { $integer: String(value) };
  if (typeof value === "number")
    return isPlainFraction(value) ? value : { $real: Object.is(value, -0) ? "-0" : String(value) };
  return value;
}

/**
 * The value back; text that is no UTF-8 as its bytes, under `bytes`. undefined where the JSON value is none that `toJson` writes, as in
 * a file of another tool: an array, an object without a tag.
 */
export function fromJson(json: unknown): { readonly value: ExactValue; readonly bytes?: Uint8Array } | undefined {
  if (json === null || typeof json === "string" || typeof json === "boolean") return { value: json };
  if (typeof json === "number") return { value: Number.isSafeInteger(json) ? BigInt(json) : json };
  return typeof json === "object" ? fromTagged(json) : undefined;
}

function fromTagged(json: object): ReturnType<typeof fromJson> {
  const [[tag, text] = [], ...others] = Object.entries(json) as [string, unknown][];
  if (others.length > 0 || typeof text !== "string") return undefined;
  if (tag === "$integer") return /^-?\d+$/.test(text) ? { value: BigInt(text) } : undefined;
  if (tag === "$real") return { value: Number(text) };
  if (tag === "$bytes") return { value: bytesOf(text) };
  if (tag !== "$text") return undefined;
  const bytes = bytesOf(text);
  return { value: Buffer.from(bytes).toString("utf8"), bytes };
}

function isSafe(value: bigint): boolean {
  return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER);
}

/** A float that no reader takes for an integer. */
function isPlainFraction(value: number): boolean {
  return Number.isFinite(value) && !Number.isInteger(value);
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "base64"));
}
