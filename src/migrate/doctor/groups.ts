import type { Finding } from "../../data/finding.js";
import type { FindingGroup } from "../doctor.js";

const shownKeys = 10;

/** Findings counted by kind, with the first keys of each: a table of millions may have a finding in every row. */
export class FindingGroups {
  readonly #groups = new Map<string, { readonly finding: Finding; count: number; readonly keys: string[] }>();

  add(finding: Finding): void {
    const { table, column, reason, action } = finding;
    const name = JSON.stringify([table, column, reason, action]);
    const group = this.#groups.get(name) ?? { finding, count: 0, keys: [] };
    group.count++;
    if (group.keys.length < shownKeys) group.keys.push(finding.key);
    this.#groups.set(name, group);
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
}
