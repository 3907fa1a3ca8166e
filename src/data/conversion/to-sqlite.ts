import type { ExactValue } from "../../engines/engine.js";
import { typeOfColumn } from "../catalogue/postgres-type.js";
import { affinityOf } from "../catalogue/sqlite-type.js";
import type { Column } from "../table.js";
import type { Carry, Notes } from "./carry.js";
import { numericToSqlite } from "./numeric.js";
import { realToSqlite } from "./real-column.js";
import { isRespelledNumber } from "./respelled-number.js";
import { isTimeType, timeToSqlite } from "./time-column.js";
import { uuidToSqlite } from "./uuid.js";
import { unwrapText } from "./wrapper.js";

/**
 * What brings PostgreSQL's values to a column of SQLite, so that they come back as the same; null where they go as they are. Arrays,
 * ranges and other types of PostgreSQL alone are its text, `NaN` of a `numeric` and `infinity` of a time too. A float that is `NaN` is
 * refused.
 */
export function carryToSqlite(column: Column): Carry | null {
  const type = typeOfColumn(column);
  switch (column.kind) {
    case "boolean":
      return (value) => (typeof value === "boolean" ? (value ? 1n : 0n) : value);
    case "integer":
    case "bigint":
      return affinityOf(column.sqliteType ?? "INTEGER") === "real" ? floatingInteger : null;
    case "real":
      return realToSqlite(column);
    case "json":
      return (value) => (typeof value === "string" ? unwrapText(value) : value);
    case "numeric":
      return numericToSqlite(column);
    case "text":
      return textToSqlite(column, type.name === "character" || type.name === "bpchar");
    case "blob":
      return null;
    case "other":
      if (isTimeType(type.name)) return timeToSqlite(column, type.name, type);
      return type.name === "uuid" ? uuidToSqlite(column) : null;
  }
}

function floatingInteger(value: Exclude<ExactValue, null>, notes: Notes): ExactValue {
  if (typeof value === "bigint" && BigInt(Number(value)) !== value)
    notes.altered("integer beyond the precision of a real column");
  return value;
}

function textToSqlite({ sqliteType = "TEXT" }: Column, isPadded: boolean): Carry | null {
  const holdsText = ["text", "none"].includes(affinityOf(sqliteType));
  if (holdsText) return isPadded ? withoutPadding : null;
  return (value, notes) => {
    const text = isPadded ? withoutPadding(value) : value;
    if (typeof text === "string" && isRespelledNumber(text))
      notes.altered("text that SQLite's column takes for a number and spells in another way");
    return text;
  };
}

/** How far PostgreSQL pads depends on how the column is selected. */
function withoutPadding(value: Exclude<ExactValue, null>): ExactValue {
  return typeof value === "string" ? value.replace(/ +$/, "") : value;
}
