import type { ExactValue } from "../../engines/engine.js";
import type { Carry, Notes } from "./carry.js";
import { hasDuplicateKeys } from "./duplicate-keys.js";
import { classifyJson, fitsJsonb } from "./json.js";
import { doubtful, textOf } from "./text-column.js";
import { wrapperKey, wrapText } from "./wrapper.js";

/** Documents of `jsonb`, or of `json`, which keeps their spelling. Text that is no document goes in the wrapper. */
export function jsonCarry(type: string): Carry {
  const document = type === "json" ? spelledDocument : jsonbDocument;
  return (value, notes) => {
    if (typeof value === "string" && isPlain(value)) return value;
    if (value instanceof Uint8Array) return bytesDocument(value, notes, document);
    return document(textOf(value), notes, null);
  };
}

type Document = (text: string, notes: Notes, reason: string | null) => ExactValue;

/** A document that both types take as it is, which most are; others get a second look. */
function isPlain(text: string): boolean {
  if (doubtful.test(text) || text.includes("\\u") || text.includes(wrapperKey)) return false;
  const value = parsed(text);
  return value !== undefined && fitsJsonb(text) && !hasDuplicateKeys(text, value);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function jsonbDocument(text: string, notes: Notes, reason: string | null): ExactValue {
  const classified = classifyJson(text);
  if ("wrapped" in classified) return wrapped(classified.wrapped, text, notes);
  const { document } = classified;
  if (document !== text) notes.altered("NUL or a lone surrogate in JSON");
  else if (hasDuplicateKeys(document)) notes.altered("duplicate keys in JSON");
  else if (reason !== null) notes.altered(reason);
  return document;
}

/** The grammar is all that `json` asks for: duplicate keys and escapes of any kind stay. */
function spelledDocument(text: string, notes: Notes, reason: string | null): ExactValue {
  const classified = classifyJson(text);
  if (!doubtful.test(text) && ("document" in classified || isLoose(text))) {
    if (reason !== null) notes.altered(reason);
    return text;
  }
  return jsonbDocument(text, notes, reason);
}

/** A document that only jsonb cannot hold, because of its numbers. */
function isLoose(text: string): boolean {
  return parsed(text) !== undefined && !text.includes(wrapperKey) && fitsJsonb(text.replace(/[-+eE0-9.]/g, ""));
}

function wrapped(clean: string, text: string, notes: Notes): string {
  notes.wrapped(`text that jsonb cannot hold as a document${clean === text ? "" : ", with NUL or a lone surrogate"}`);
  return wrapText(clean);
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function bytesDocument(bytes: Uint8Array, notes: Notes, document: Document): ExactValue {
  try {
    return document(strict.decode(bytes), notes, "bytes in a column of text");
  } catch {
    return notes.refused("bytes that are no text in a column of JSON");
  }
}
