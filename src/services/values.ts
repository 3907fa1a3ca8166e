import { classifyJson, classifyStringified, type JsonText } from "../data/conversion/json.js";
import { checkNumber, type NumberKind } from "../data/conversion/number.js";
import { cleanText } from "../data/conversion/text.js";
import type { Column } from "../data/table.js";
import { type Bound, WrappedText } from "./statements.js";

/** What a JSON field takes: a value to be stored as JSON, or JSON text. Text that is no JSON comes back as that text. */
export type JsonInput = object | string | number | boolean | null | undefined;

/** What a number field takes: numeric text is a number, a fraction is rounded (halves away from zero) where whole numbers are kept. */
export type NumberInput = number | string | bigint | boolean | null | undefined;

/** An input as both sides hold it, or why they cannot. */
export type Outcome = { readonly value: Bound } | { readonly reason: string };

/** Text, with NUL and lone surrogates turned into U+FFFD. */
export function textValue(input: unknown): Outcome {
  return typeof input === "string"
    ? { value: cleanText(input) }
    : { reason: `expected text, received ${nameOf(input)}` };
}

/** One JSON document, as text. */
export function jsonValue(input: unknown): Outcome {
  if (typeof input === "string") return bound(classifyJson(input));
  const text = stringify(input);
  return text === undefined
    ? { reason: "expected an object, an array or JSON text" }
    : bound(classifyStringified(text));
}

/** Text that is JSON by custom but stands in a text column: an object is written as JSON, text stays as it is. */
export function jsonTextValue(input: unknown): Outcome {
  if (typeof input === "string") return textValue(input);
  const outcome = jsonValue(input);
  return "value" in outcome && outcome.value instanceof WrappedText ? { value: outcome.value.text } : outcome;
}

export function numberValue(kind: NumberKind, input: unknown): Outcome {
  return checkNumber(kind, input);
}

/** true or 1, false or 0. */
export function flagValue(input: unknown): Outcome {
  if (input === true || input === 1) return { value: 1 };
  if (input === false || input === 0) return { value: 0 };
  return { reason: "expected true, false, 1 or 0" };
}

/** What a column is to hold for an input, by the column's kind. */
export function valueFor({ kind, notNull }: Column, input: unknown): Outcome {
  if (input === null) return notNull ? { reason: "must not be null" } : { value: null };
  if (kind === "json") return jsonValue(input);
  if (kind === "boolean") return flagValue(input);
  if (kind === "integer" || kind === "bigint" || kind === "real") return numberValue(kind, input);
  return textValue(input);
}

function bound(json: JsonText): Outcome {
  return { value: "document" in json ? json.document : new WrappedText(json.wrapped) };
}

/** undefined for what JSON cannot say: a function, a bigint, a circle, a number that is not finite. */
function stringify(input: unknown): string | undefined {
  if (typeof input === "number" && !Number.isFinite(input)) return undefined;
  try {
    return JSON.stringify(input);
  } catch {
    return undefined;
  }
}

function nameOf(input: unknown): string {
  return input === null ? "null" : typeof input;
}
