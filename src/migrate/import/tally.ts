import type { Finding } from "../../data/finding.js";
import type { FindingCount } from "../copy/report.js";
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
  /** Refused, and kept in the folder of rejects. */
  readonly setAside: number;
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
  readonly #findings = new Map<string, FindingCount & { readonly keys: string[] }>();

  constructor(intake: Intake) {
    this.intake = intake;
  }

  /** @throws where the rows do not add up, which would be a mistake of this package. */
  get counts(): Counts {
    const { inserted, replaced, equal, newer, kept } = this;
    const { rows } = this.intake.file;
    const setAside = this.aside.size;
    if (inserted + replaced + equal + newer + kept + setAside !== rows)
      throw new Error(`the rows of ${this.intake.target.name} do not add up`);
    return { rows, inserted, replaced, equal, newer, kept, setAside };
  }

  get findings(): readonly FindingCount[] {
    return [...this.#findings.values()];
  }

  /** The rows that can be carried, with what becomes of them; the others are set aside. */
  accept(rows: readonly IntakeRow[]): readonly IntakeRow[] {
    if (rows.every(({ findings }) => findings.length === 0)) return rows;
    return rows.filter(({ line, findings }) => {
      const refused = findings.find(({ action }) => action === "refused");
      if (refused !== undefined) this.setAside(line, refused.column, refused.reason);
      else for (const finding of findings) this.note(finding);
      return refused === undefined;
    });
  }

  setAside(line: number, column: string, reason: string): void {
    this.aside.set(line, { line, column, reason });
  }

  note({ column, reason, action, key }: Finding): void {
    const kind = JSON.stringify([column, reason, action]);
    const before = this.#findings.get(kind) ?? { column, reason, action, count: 0, keys: [] };
    if (before.keys.length < shownKeys) before.keys.push(key);
    this.#findings.set(kind, { ...before, count: before.count + 1 });
  }
}
