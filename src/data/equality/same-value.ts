import type { ExactValue } from "../../engines/engine.js";
import { typeOfColumn } from "../catalogue/postgres-type.js";
import { plainDecimal } from "../conversion/decimal.js";
import { parseIso, shifted } from "../conversion/instant.js";
import { plainUuid } from "../conversion/uuid.js";
import type { Column } from "../table.js";
import { sameJson } from "./same-json.js";

/**
 * Whether two values of a column of PostgreSQL are equal in its terms: `mine` as it would be carried there, `other` as it was read there.
 * Never true of values that differ. Of types that only PostgreSQL understands, two spellings of one value count as different here.
 */
export function sameValue(column: Column, mine: ExactValue, other: ExactValue): boolean {
  if (mine === other) return true;
  if (mine === null || other === null) return false;
  const { name } = typeOfColumn(column);
  switch (column.kind) {
    case "integer":
    case "bigint":
    case "numeric":
      return plainDecimal(String(mine)) === plainDecimal(String(other));
    case "real":
      return sameFloat(Number(mine), Number(other), name === "real");
    case "boolean":
      return flagOf(mine) === flagOf(other);
    case "json":
      return sameJson(String(mine), String(other));
    case "blob":
      return mine instanceof Uint8Array && other instanceof Uint8Array && Buffer.compare(mine, other) === 0;
    case "text":
      return name === "character" && String(mine).replace(/ +$/, "") === String(other).replace(/ +$/, "");
    default:
      return sameOther(name, String(mine), String(other));
  }
}

/** PostgreSQL's REAL keeps 4 of the 8 bytes. Minus zero is zero there. */
function sameFloat(mine: number, other: number, isSingle: boolean): boolean {
  if (Number.isNaN(mine) || Number.isNaN(other)) return Number.isNaN(mine) && Number.isNaN(other);
  return isSingle ? Math.fround(mine) === Math.fround(other) : mine === other;
}

const flags: Readonly<Record<string, boolean>> = { t: true, true: true, "1": true, f: false, false: false, "0": false };

function flagOf(value: ExactValue): boolean | string {
  return flags[String(value)] ?? String(value);
}

function sameOther(type: string, mine: string, other: string): boolean {
  if (type === "uuid") return plainUuid(mine) === plainUuid(other);
  if (!/^(date|timestamp)\b/.test(type)) return false;
  const instant = instantOf(mine);
  return instant !== null && instant === instantOf(other);
}

/** Days and microseconds, of the time at Greenwich where the text names a zone; null for text that is no ISO time. */
export function instantOf(text: string): string | null {
  const parsed = parseIso(text);
  if (parsed === null) return null;
  const { days, micros } = shifted(parsed, -(parsed.offset ?? 0) * microsInAMinute);
  return `${days} ${micros}`;
}

const microsInAMinute = 60_000_000;
