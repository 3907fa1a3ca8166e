import type { ExactValue } from "../../engines/engine.js";
import { typeOfColumn } from "../catalogue/postgres-type.js";
import type { Column } from "../table.js";
import { booleanCarry } from "./boolean-column.js";
import type { Carry, Notes } from "./carry.js";
import { integerCarry } from "./integer-column.js";
import { jsonCarry } from "./json-column.js";
import { numericCarry } from "./numeric.js";
import { hasOwnInput } from "./own-input.js";
import { realCarry } from "./real-column.js";
import { textCarry, textOf } from "./text-column.js";
import { isTimeType, timeCarry, timeOfDayCarry } from "./time-column.js";
import { uuidCarry } from "./uuid.js";

/** What brings SQLite's values to a column of PostgreSQL, by the column's type. What no rule knows is left to PostgreSQL's own input, see `OwnInput`. */
export function carryToPostgres(column: Column): Carry {
  const type = typeOfColumn(column);
  switch (column.kind) {
    case "integer":
    case "bigint":
      return integerCarry(type.name);
    case "real":
      return realCarry(type.name);
    case "boolean":
      return booleanCarry;
    case "json":
      return jsonCarry(type.name);
    case "blob":
      return bytesCarry;
    case "numeric":
      return numericCarry(type.limits);
    case "text":
      return textCarry(column, type);
    case "other":
      if (hasOwnInput(column)) return textCarry(column, type);
      if (isTimeType(type.name)) return timeCarry(column, type.name, type);
      return type.name === "uuid" ? uuidCarry(column) : timeOfDayCarry(type);
  }
}

function bytesCarry(value: Exclude<ExactValue, null>, notes: Notes): ExactValue {
  if (value instanceof Uint8Array) return value;
  notes.altered("text in a column of bytes");
  return Buffer.from(textOf(value));
}
