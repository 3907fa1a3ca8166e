import type { ExactValue } from "../../engines/engine.js";

/**
 * What a value looks like in the JSON document: text, integers and NULL as themselves, all else as an array with a tag. Comparisons
 * cost less than typeof(): numbers sort before text, and text before bytes.
 */
export function readable(column: string): string {
  return `CASE WHEN ${column} IS NULL THEN NULL WHEN ${column} >= '' AND ${column} < x'' THEN ${column} ELSE ${tagged(column)} END`;
}

function tagged(column: string): string {
  // SQLite prints minus zero as zero; only the angle tells them apart.
  const realText = `CASE WHEN ${column} = 0 AND atan2(${column}, -1) < 0 THEN '-0' ELSE printf('%!.17g', ${column}) END`;
  const safe = `${column} BETWEEN -9007199254740991 AND 9007199254740991`;
  return `CASE typeof(${column}) WHEN 'real' THEN json_array('r', ${realText}) WHEN 'blob' THEN json_array('b', hex(${column}))
    WHEN 'integer' THEN CASE WHEN ${safe} THEN ${column} ELSE json_array('i', CAST(${column} AS TEXT)) END ELSE ${column} END`;
}

/** The same with text as hexadecimal bytes, for rows in which some text is no UTF-8. */
export function readableBytes(column: string): string {
  const bytes = `json_array('t', hex(CAST(${column} AS BLOB)))`;
  return `CASE typeof(${column}) WHEN 'text' THEN ${bytes} ELSE ${tagged(column)} END`;
}

/** A value of the document. */
export type Cell = string | number | null | readonly ["r" | "b" | "i" | "t", string];

const lenient = new TextDecoder("utf-8", { ignoreBOM: true });

/** Whether text is that of these bytes, given in hexadecimal. */
export function sameBytes(text: string, hex: string): boolean {
  return Buffer.from(text).toString("hex").toUpperCase() === hex;
}

/** The value of a cell; text that is no UTF-8 is repaired with U+FFFD. */
export function exactValue(cell: Cell): ExactValue {
  if (!Array.isArray(cell)) return cell as string | number | null;
  const [tag, text] = cell as readonly ["r" | "b" | "i" | "t", string];
  if (tag === "i") return BigInt(text);
  if (tag === "r") return realOf(text);
  const bytes = Buffer.from(text, "hex");
  return tag === "t" ? lenient.decode(bytes) : new Uint8Array(bytes);
}

function realOf(text: string): number {
  if (text === "Inf") return Number.POSITIVE_INFINITY;
  return text === "-Inf" ? Number.NEGATIVE_INFINITY : Number(text);
}
