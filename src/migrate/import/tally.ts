import type { Finding } from "../../data/finding.js";
import type { Intake, IntakeRow } from "./intake.js";

/** A row that is set aside: where it stands in its file, and why. */
export interface SetAside {
  readonly line: number;
  readonly column: string;
  readonly reason: string;
}

/** What became of a file's rows; all of these together are as many as the file has. */
export interface Counts {
  readonly rows: number;
  /** New in the table. */
  readonly inserted: number;
  /** Replaced a row that was older, by the table's own time of change, or with `overwrite` a different one. */
  readonly replaced: number;
  /** There already, the same. */
  readonly equal: number;
  /** There already, and newer by the table's own time of change: the row that is there stays. */
  readonly newer: number;
  /** There already, different, and nothing tells which is newer: the row that is there stays. */
  readonly kept: number;
  /** Refused, and set aside. */
  readonly rejected: number;
}

/** Findings of one kind in one column: how many, and the keys of the first. */
export interface FindingCount extends Omit<Finding, "key"> {
  readonly count: number;
  readonly keys: readonly string[];
}

const shownKeys = 10;

/** Counts while one table is filled. */
export class Tally {
  readonly intake: Intake;
  readonly aside = new Map<number, SetAside>();
  inserted = 0;
  replaced = 0;
  equal = 0;
  newer = 0;
  kept = 0;
  readonly #findings = new Map<string, { readonly finding: Finding; count: number; readonly keys: string[] }>();

  constructor(intake: Intake) {
    this.intake = intake;
  }

  /** @throws where the rows do not add up, which would be a mistake of this package. */
  get counts(): Counts {
    const { inserted, replaced, equal, newer, kept } = this;
    const { rows } = this.intake.file;
    const rejected = this.aside.size;
    if (inserted + replaced + equal + newer + kept + rejected !== rows)
      throw new Error(`the rows of ${this.intake.target.name} do not add up`);
    return { rows, inserted, replaced, equal, newer, kept, rejected };
  }

  get findings(): FindingCount[] {
    return [...this.#findings.values()].map(({ finding: { key: _, ...kind }, count, keys }) => ({
      ...kind,
      count,
      keys,
    }));
  }

  /** The rows that can be carried; the others are set aside. */
  accept(rows: readonly IntakeRow[]): readonly IntakeRow[] {
    if (rows.every(({ findings }) => findings.length === 0)) return rows;
    return rows.filter(({ line, findings }) => {
      const refused = findings.find(({ action }) => action === "refused");
      for (const finding of refused === undefined ? findings : [refused]) this.#note(finding);
      if (refused !== undefined) this.setAside(line, refused.column, refused.reason);
      return refused === undefined;
    });
  }

  setAside(line: number, column: string, reason: string): void {
    this.aside.set(line, { line, column, reason });
  }

  #note(finding: Finding): void {
    const name = JSON.stringify([finding.column, finding.reason, finding.action]);
    const found = this.#findings.get(name) ?? { finding, count: 0, keys: [] };
    found.count++;
    if (found.keys.length < shownKeys) found.keys.push(finding.key);
    this.#findings.set(name, found);
  }
}
