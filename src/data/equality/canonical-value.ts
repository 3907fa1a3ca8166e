import type { ExactValue } from "../../engines/engine.js";
import { typeOfColumn } from "../catalogue/postgres-type.js";
import { plainDecimal } from "../conversion/decimal.js";
import { plainUuid } from "../conversion/uuid.js";
import type { Column } from "../table.js";
import { canonicalJson } from "./same-json.js";
import { instantOf } from "./same-value.js";

/**
 * A text that values of a column share where `sameValue` holds of them, and no others. `mine` as it would be carried to PostgreSQL, or as it
 * was read there.
 */
export function canonicalValue(column: Column, value: ExactValue): string {
  if (value === null) return "\\N";
  const text = value instanceof Uint8Array ? Buffer.from(value).toString("hex") : String(value);
  const { name } = typeOfColumn(column);
  switch (column.kind) {
    case "integer":
    case "bigint":
    case "numeric":
      return plainDecimal(text);
    case "real":
      return String((name === "real" ? Math.fround(Number(value)) : Number(value)) + 0);
    case "json":
      return canonicalJson(text);
    case "text":
      return name === "character" ? text.replace(/ +$/, "") : text;
    case "other":
      if (name === "uuid") return plainUuid(text) ?? text;
      return /^(date|timestamp)\b/.test(name) ? (instantOf(text) ?? text) : text;
    default:
      return text;
  }
}
