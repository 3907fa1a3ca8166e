import { cleanText } from "./text.js";
import { wrapperKey } from "./wrapper.js";

/** Text for a JSON column: a document that PostgreSQL can hold as it is, or text that it can only hold in the wrapper. */
export type JsonText = { readonly document: string } | { readonly wrapped: string };

/** Deeper nesting overflows stacks: PostgreSQL's (some 10,000 levels at its default) and those of other JSON readers (SQLite: 1,000). */
const deepest = 1_000;

/**
 * What a JSON column is to hold for this text. The text is never written anew, so that a number keeps all its digits; only NUL and
 * lone surrogates, escaped ones included, become U+FFFD. Of duplicate keys both sides keep the last, as JSON.parse does.
 */
export function classifyJson(text: string): JsonText {
  const clean = cleanText(text);
  const value = parse(clean);
  if (value === undefined) return { wrapped: clean };
  const document = cleanEscapes(clean);
  return isWrapperLike(value) || !fitsJsonb(document) ? { wrapped: document } : { document };
}

/** The same for the JSON text of a value that JSON.stringify made, which needs no second check of its grammar. */
export function classifyStringified(text: string): JsonText {
  const document = cleanEscapes(text);
  const doubtful = document.includes(wrapperKey) || !fitsJsonb(document);
  return doubtful ? classifyJson(document) : { document };
}

/** JSON text with the escapes of NUL and of lone surrogates replaced by that of U+FFFD. */
export function cleanEscapes(text: string): string {
  return text.includes("\\u") ? text.replace(escapes, cleanEscape) : text;
}

/** A surrogate pair, any other escaped code unit, or another escape (which keeps `\\u0000`, a backslash and text, whole). */
const escapes = /\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\./g;
const unwanted = /^\\u(?:0000|[dD][89a-fA-F][0-9a-fA-F]{2})$/;

function cleanEscape(sequence: string): string {
  return unwanted.test(sequence) ? "\\ufffd" : sequence;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A genuine document of the wrapper's own shape would be unwrapped when it is read, so it has to be wrapped itself. */
function isWrapperLike(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const keys = Object.keys(value);
  return keys.length === 1 && keys[0] === wrapperKey;
}

/** Whether PostgreSQL takes the numbers and the nesting of a JSON document and gives back what parses to the same. */
export function fitsJsonb(document: string): boolean {
  if (!suspicious.test(document) && document.length <= 2 * deepest) return true;
  const outline = withoutStrings(document);
  return !suspicious.test(outline) && depthOf(outline) <= deepest;
}

/** Exponents of three digits and numbers of 400 or more (a `numeric` ends at 131,072 digits), and minus zero, which it does not know. */
const suspicious = /[0-9.][eE][+-]?[0-9]{3}|[0-9]{400}|-0(?:\.0+)?(?![.0-9])/;

function withoutStrings(document: string): string {
  const pieces: string[] = [];
  let from = 0;
  for (let open = document.indexOf('"'); open !== -1; open = document.indexOf('"', from)) {
    pieces.push(document.slice(from, open));
    from = endOfString(document, open);
  }
  pieces.push(document.slice(from));
  return pieces.join('""');
}

function endOfString(document: string, open: number): number {
  let at = open + 1;
  while (document[at] !== '"') at += document[at] === "\\" ? 2 : 1;
  return at + 1;
}

function depthOf(outline: string): number {
  let depth = 0;
  let deepestSeen = 0;
  for (let at = 0; at < outline.length; at++) {
    const character = outline[at];
    if (character === "[" || character === "{") deepestSeen = Math.max(deepestSeen, ++depth);
    else if (character === "]" || character === "}") depth--;
  }
  return deepestSeen;
}
