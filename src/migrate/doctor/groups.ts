import type { Finding } from "../../data/finding.js";
import type { Table } from "../../data/table.js";
import type { FindingGroup } from "../doctor.js";

const shownKeys = 10;

/** Findings counted by kind, with the first keys of each: a table of millions may have a finding in every row. */
export class FindingGroups {
  readonly #groups = new Map<string, { readonly finding: Finding; count: number; readonly keys: string[] }>();
  readonly #refused = new Map<string, Set<string>>();
  readonly #counts = new Map<string, number>();

  /** What is to be said of one row by itself; of one that is refused only why. */
  row({ name, key }: Table, findings: readonly Finding[]): void {
    const refusals = findings.filter(({ action }) => action === "refused");
    const [first] = refusals;
    for (const finding of refusals.length > 0 ? refusals : findings) this.#add(finding);
    if (first !== undefined) this.#refuse(name, key.length === 0 ? null : first.key);
  }

  /** A row that is refused because of others; one that is refused by itself is not named again. Tells whether it was not. */
  refuse({ name, key: { length } }: Table, finding: Omit<Finding, "table" | "action">): boolean {
    const isFresh = this.#refuse(name, length === 0 ? null : finding.key);
    if (isFresh) this.#add({ ...finding, table: name, action: "refused" });
    return isFresh;
  }

  isRefused({ name }: Table, key: string): boolean {
    return this.#refused.get(name)?.has(key) ?? false;
  }

  /** Keys of the rows that would not arrive. */
  refused({ name }: Table): string[] {
    return [...(this.#refused.get(name) ?? [])];
  }

  /** How many these are, rows without a key among them. */
  refusedRows({ name }: Table): number {
    return this.#counts.get(name) ?? 0;
  }

  all(): FindingGroup[] {
    return [...this.#groups.values()].map(({ finding: { table, column, reason, action }, count, keys }) => ({
      table,
      column,
      reason,
      action,
      count,
      keys,
    }));
  }

  #add(finding: Finding): void {
    const { table, column, reason, action } = finding;
    const name = JSON.stringify([table, column, reason, action]);
    const group = this.#groups.get(name) ?? { finding, count: 0, keys: [] };
    group.count++;
    if (group.keys.length < shownKeys) group.keys.push(finding.key);
    this.#groups.set(name, group);
  }

  #refuse(table: string, key: string | null): boolean {
    const keys = this.#refused.get(table) ?? new Set();
    if (key !== null && keys.has(key)) return false;
    if (key !== null) this.#refused.set(table, keys.add(key));
    this.#counts.set(table, (this.#counts.get(table) ?? 0) + 1);
    return true;
  }
}
