import { type EpochChoices, surveyTimes, type Times, timeColumns, timesOf } from "../../data/conversion/epoch.js";
import type { ExactRow, ExactValue, Transaction } from "../../engines/engine.js";
import { Intake } from "./intake.js";

/** The intake with what all of its column's values say of how times are written: the file's, or those that SQLite's table has already. */
export async function knowingTimes(
  reader: Transaction,
  intake: Intake,
  choices: EpochChoices = new Map(),
): Promise<Intake> {
  const { file, target, table, isForeign } = intake;
  if (!isForeign || timeColumns(table).length === 0) return intake;
  const times = target.side === "postgres" ? await surveyFile(intake) : await surveyTimes(reader, table);
  return new Intake(file, target, { times, choices });
}

async function surveyFile(intake: Intake): Promise<Map<string, Times>> {
  const { columns } = intake.table;
  const measured = timeColumns(intake.table).map((column) => ({
    column,
    at: columns.indexOf(column),
    of: new Measure(),
  }));
  for await (const page of intake.rows())
    for (const { source } of page) for (const { at, of } of measured) of.take(source.values[at] ?? null);
  const found = new Map<string, Times>();
  for (const { column, of } of measured) {
    const times = timesOf(of.result(), 0);
    if (times !== null) found.set(column.name, times);
  }
  return found;
}

/** One column, measured as SQLite would. */
class Measure {
  #isos = 0;
  #numbers = 0;
  #largest = 0;
  #smallest = Number.POSITIVE_INFINITY;
  readonly #forms = { separator: new Range<string>(), zone: new Range<string>(), fraction: new Range<number>() };

  take(value: ExactValue): void {
    if (typeof value === "string" && /^\d{4}-\d\d-\d\d/.test(value)) this.#takeIso(value);
    else if (typeof value === "number" || typeof value === "bigint") this.#takeNumber(Math.abs(Number(value)));
    else if (typeof value === "string" && /^[-+.\d]*\d[-+.\d]*$/.test(value))
      this.#takeNumber(Math.abs(Number.parseFloat(value) || 0));
  }

  result(): ExactRow {
    const forms = Object.entries(this.#forms).flatMap(([name, { from, to }]) => [
      [`${name}_from0`, from],
      [`${name}_to0`, to],
    ]);
    const smallest = Number.isFinite(this.#smallest) ? this.#smallest : null;
    return {
      iso0: this.#isos,
      numbers0: this.#numbers,
      largest0: this.#largest,
      smallest0: smallest,
      ...Object.fromEntries(forms),
    };
  }

  #takeNumber(size: number): void {
    this.#numbers++;
    this.#largest = Math.max(this.#largest, size);
    if (size !== 0) this.#smallest = Math.min(this.#smallest, size);
  }

  #takeIso(text: string): void {
    this.#isos++;
    if (text.length <= 10) return;
    const zone = /Z$|(?<=:.*)[-+]\d\d:\d\d$/.exec(text)?.[0] ?? "";
    const rest = text.length - zone.length;
    const separator = text[10] ?? "";
    this.#forms.separator.take(separator === "T" || separator === " " ? separator : "?");
    this.#forms.zone.take(zone);
    this.#forms.fraction.take(Math.max(rest - 20, rest >= 19 ? 0 : -1));
  }
}

/** The least and the greatest. */
class Range<T extends string | number> {
  from: T | null = null;
  to: T | null = null;

  take(value: T): void {
    if (this.from === null || value < this.from) this.from = value;
    if (this.to === null || value > this.to) this.to = value;
  }
}
