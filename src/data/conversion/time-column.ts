import type { ExactValue } from "../../engines/engine.js";
import type { PostgresType } from "../catalogue/postgres-type.js";
import { affinityOf } from "../catalogue/sqlite-type.js";
import type { Column } from "../table.js";
import type { Carry, Notes } from "./carry.js";
import type { Epoch, IsoForm } from "./epoch.js";
import { dateText, type Instant, microsInADay, parseIso, parseTime, roundedTo, shifted, timeText } from "./instant.js";
import { numberOf } from "./integer-column.js";

/** The types of PostgreSQL that are points in time or days. */
export type TimeType = "timestamp without time zone" | "timestamp with time zone" | "date";

export function isTimeType(name: string): name is TimeType {
  return name === "timestamp without time zone" || name === "timestamp with time zone" || name === "date";
}

/**
 * Times from ISO text, and from numbers where the whole column has been found to count seconds or milliseconds since 1970. Text without
 * an offset is UTC, as SQLite's own functions have it.
 */
export function timeCarry(column: Column, type: TimeType, { limits }: PostgresType): Carry {
  const digits = limits[0] ?? 6;
  const epoch = column.times?.epoch ?? "undecided";
  const isUtc = offsetOf(column.times?.iso?.zone ?? "Z");
  return (value, notes) => {
    if (value instanceof Uint8Array) return notes.refused("bytes in a column of times");
    if (typeof value === "string" && isSpecial(value)) return value.trim();
    const found = typeof value === "string" ? parseIso(value) : null;
    if (found === null) {
      const number = typeof value === "bigint" ? Number(value) : numberOf(value);
      if (number === null) return notes.refused("no time in a column of times");
      return fromNumber(number, epoch, type, digits, notes);
    }
    if (found.rounded) notes.altered("more digits than a time keeps");
    if (epoch === "seconds" || epoch === "milliseconds")
      notes.altered("a time spelled otherwise than the rest of its column");
    const { offset } = found;
    if (offset === null || offset === 0) return carried(found, type, digits, notes);
    if (type === "timestamp without time zone") notes.altered("an offset in a column without time zone");
    else if (offset !== isUtc) notes.altered("an offset that a time does not keep");
    return carried(shifted(found, -offset * 60_000_000), type, digits, notes);
  };
}

/** The way back: in the form of SQLite's column, as it was surveyed; else ISO text. */
export function timeToSqlite(column: Column, type: TimeType, { limits }: PostgresType): Carry {
  const epoch = column.times?.epoch ?? (isNumeric(column) ? "undecided" : "iso");
  const form = column.times?.iso ?? isoFormOf(type, limits[0]);
  return (value, notes) => {
    const text = String(value);
    if (isSpecial(text)) return text;
    const instant = parseIso(text);
    if (instant === null) return notes.refused("no time in a column of times");
    if (epoch === "seconds") return counted(instant, 1_000_000);
    if (epoch === "milliseconds") return counted(instant, 1_000);
    if (epoch === "undecided") return notes.refused(undecidedTime);
    return isoText(instant, type, form, notes);
  };
}

/** Times of day, from text such as `23:59:59.5`. */
export function timeOfDayCarry({ limits }: PostgresType): Carry {
  return (value, notes) => {
    const found = typeof value === "string" ? parseTime(value) : null;
    if (found === null) return notes.refused("no time of day in a column of those");
    const { micros } = roundedTo({ days: 0, micros: found.micros }, limits[0] ?? 6);
    if (found.rounded || micros !== found.micros) notes.altered("more digits than the column's times keep");
    return timeText(micros);
  };
}

/** How times of a column of PostgreSQL are written where SQLite's says nothing: as `CURRENT_TIMESTAMP`, or as `toISOString()` with a zone. */
export function isoFormOf(type: TimeType, digits: number | undefined): IsoForm {
  const fraction = digits ?? null;
  return type === "timestamp with time zone"
    ? { separator: "T", zone: "Z", fraction }
    : { separator: " ", zone: "", fraction };
}

/** Why a time is refused whose column nobody knows enough of. */
export const undecidedTime =
  "a number in a column of times, which may count seconds or milliseconds: say which with MIGRATION_EPOCHS=TABLE.COLUMN=s (or =ms)";

function fromNumber(number: number, epoch: Epoch, type: TimeType, digits: number, notes: Notes): ExactValue {
  if (epoch !== "seconds" && epoch !== "milliseconds") return notes.refused(undecidedTime);
  const perUnit = epoch === "seconds" ? 1_000_000 : 1_000;
  const unitsInADay = microsInADay / perUnit;
  const days = Math.floor(number / unitsInADay);
  if (!Number.isFinite(days) || Math.abs(days) > 120_000_000) return notes.refused("a time beyond PostgreSQL's");
  const instant = shifted({ days, micros: 0 }, Math.round((number - days * unitsInADay) * perUnit));
  if (Number(counted(instant, perUnit)) !== number) notes.altered("more digits than a time keeps");
  return carried(instant, type, digits, notes);
}

function carried(instant: Instant, type: TimeType, digits: number, notes: Notes): ExactValue {
  const rounded = digits < 6 ? roundedTo(instant, digits) : shifted(instant, 0);
  if (digits < 6 && rounded.micros !== instant.micros) notes.altered("more digits than the column's times keep");
  const date = dateText(rounded.days);
  if (date === null) return notes.refused("a time beyond PostgreSQL's");
  if (type !== "date") return `${date}T${timeText(rounded.micros)}${type === "timestamp with time zone" ? "Z" : ""}`;
  if (rounded.micros !== 0) notes.altered("a time of day in a column of days");
  return date;
}

/** Whole units as an integer. */
function counted({ days, micros }: Instant, perUnit: number): number {
  const units = days * (microsInADay / perUnit);
  return micros % perUnit === 0 ? units + micros / perUnit : (days * microsInADay + micros) / perUnit;
}

function isoText(instant: Instant, type: TimeType, form: IsoForm, notes: Notes): ExactValue {
  const offset = offsetOf(form.zone) ?? 0;
  const local = offset === 0 ? instant : shifted(instant, offset * 60_000_000);
  const date = dateText(local.days);
  if (date === null) return notes.refused("a time beyond SQLite's");
  if (type === "date") return date;
  const { fraction } = form;
  const fits = fraction === null || roundedTo(local, fraction).micros === local.micros;
  return `${date}${form.separator}${timeText(local.micros, fits ? fraction : null)}${form.zone}`;
}

function offsetOf(zone: string): number | null {
  return parseIso(`2000-01-01T00:00:00${zone}`)?.offset ?? null;
}

/** What PostgreSQL knows beyond dates: infinity, and years before 1. They are carried as PostgreSQL's own text. */
function isSpecial(text: string): boolean {
  return (
    (text.endsWith("y") || text.endsWith("C")) && /^\s*(?:-?infinity|\d{4,6}-\d\d-\d\d[T \d:.Z]*? BC)\s*$/.test(text)
  );
}

function isNumeric({ sqliteType = "TEXT" }: Column): boolean {
  const affinity = affinityOf(sqliteType);
  return affinity === "integer" || affinity === "real";
}
