/** A point on PostgreSQL's calendar, as fine as its times are; without a zone the clock on the wall. */
export interface Instant {
  /** Since 1970-01-01. */
  readonly days: number;
  /** Microseconds since midnight. */
  readonly micros: number;
}

/** An ISO text taken apart. */
export interface IsoText extends Instant {
  /** Minutes east of Greenwich; null where the text says nothing. */
  readonly offset: number | null;
  /** Whether digits behind the microseconds were lost. */
  readonly rounded: boolean;
  readonly hasTime: boolean;
}

export const microsInADay = 86_400_000_000;

const iso =
  /^\s*(\d{4,6})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?)?\s*(?:([Zz])|([+-])(\d\d)(?::?(\d\d))?)?\s*$/;

/** The date and time of an ISO text, in the spellings that SQLite's functions know; null for text that is none, and for no real date. */
export function parseIso(text: string): IsoText | null {
  const parts = iso.exec(text);
  if (parts === null) return null;
  const [
    ,
    year,
    month,
    day,
    hour,
    minute = "0",
    second = "0",
    fraction = "",
    zulu,
    sign,
    offsetHours,
    offsetMinutes = "0",
  ] = parts;
  const days = daysOf(Number(year), Number(month), Number(day));
  const time = microsOf(hour ?? "0", minute, second, fraction);
  if (days === null || time === null || Number(offsetHours ?? 0) > 15 || Number(offsetMinutes) > 59) return null;
  const offset = (sign === "-" ? -1 : 1) * (Number(offsetHours ?? 0) * 60 + Number(offsetMinutes));
  const isZoned = zulu !== undefined || sign !== undefined;
  return { days, ...time, offset: isZoned ? offset : null, hasTime: hour !== undefined };
}

/** The time of day in a text such as `23:59` or `23:59:59.5`; null for text that is none. */
export function parseTime(text: string): { readonly micros: number; readonly rounded: boolean } | null {
  const parts = /^\s*(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?\s*$/.exec(text);
  if (parts === null) return null;
  const [, hour = "", minute = "", second = "0", fraction = ""] = parts;
  return microsOf(hour, minute, second, fraction);
}

function microsOf(
  hour: string,
  minute: string,
  second: string,
  fraction: string,
): { readonly micros: number; readonly rounded: boolean } | null {
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return null;
  const whole = ((Number(hour) * 60 + Number(minute)) * 60 + Number(second)) * 1_000_000;
  if (fraction === "") return { micros: whole, rounded: false };
  const up = (fraction[6] ?? "0") >= "5" ? 1 : 0;
  return { micros: whole + Number(fraction.slice(0, 6).padEnd(6, "0")) + up, rounded: /[1-9]/.test(fraction.slice(6)) };
}

/** Moved by so many microseconds. */
export function shifted({ days, micros }: Instant, by: number): Instant {
  const total = micros + by;
  const carry = Math.floor(total / microsInADay);
  return { days: days + carry, micros: total - carry * microsInADay };
}

/** Rounded to so many digits behind the seconds. */
export function roundedTo(instant: Instant, digits: number): Instant {
  const unit = 10 ** (6 - digits);
  const rounded = Math.floor((instant.micros + unit / 2) / unit) * unit;
  return rounded === instant.micros ? instant : shifted(instant, rounded - instant.micros);
}

/** `2024-02-29`; null outside of the years that PostgreSQL writes without an era. */
export function dateText(days: number): string | null {
  const { year, month, day } = civil(days);
  if (year < 1 || year > 294_276) return null;
  return `${String(year).padStart(4, "0")}-${twoDigits(month)}-${twoDigits(day)}`;
}

/** `23:59:59` with so many digits behind the seconds, or as many as are needed. */
export function timeText(micros: number, fraction: number | null = null): string {
  const seconds = Math.floor(micros / 1_000_000);
  const rest = micros - seconds * 1_000_000;
  const clock = `${twoDigits(Math.floor(seconds / 3_600))}:${twoDigits(Math.floor(seconds / 60) % 60)}:${twoDigits(seconds % 60)}`;
  if (fraction === 0 || (fraction === null && rest === 0)) return clock;
  const digits = String(rest).padStart(6, "0");
  return `${clock}.${fraction === null ? digits.replace(/0+$/, "") : digits.slice(0, fraction)}`;
}

function twoDigits(number: number): string {
  return number < 10 ? `0${number}` : String(number);
}

const daysInMonths = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

function daysOf(year: number, month: number, day: number): number | null {
  if (year < 1 || day < 1 || day > (daysInMonths[month - 1] ?? 0)) return null;
  if (month === 2 && day === 29 && !isLeap(year)) return null;
  return daysBefore(year) + (monthStarts(year)[month - 1] ?? 0) + day - 1;
}

function isLeap(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

/** Days from 1970-01-01 to the first of January. */
function daysBefore(year: number): number {
  const past = year - 1;
  return past * 365 + Math.floor(past / 4) - Math.floor(past / 100) + Math.floor(past / 400) - 719_162;
}

const starts = { common: startsOf(28), leap: startsOf(29) };

function startsOf(february: number): readonly number[] {
  let day = 0;
  return daysInMonths.map((days, index) => {
    const start = day;
    day += index === 1 ? february : days;
    return start;
  });
}

function monthStarts(year: number): readonly number[] {
  return isLeap(year) ? starts.leap : starts.common;
}

function civil(days: number): { readonly year: number; readonly month: number; readonly day: number } {
  let year = Math.floor((days + 719_162) / 365.2425) + 1;
  while (daysBefore(year) > days) year--;
  while (daysBefore(year + 1) <= days) year++;
  const inYear = days - daysBefore(year);
  const month = monthStarts(year).findLastIndex((start) => start <= inYear) + 1;
  return { year, month, day: inYear - (monthStarts(year)[month - 1] ?? 0) + 1 };
}
