import type { Finding } from "../../data/finding.js";
import type { Table } from "../../data/table.js";
import type { FindingGroup } from "../doctor.js";

const shownKeys = 10;

/** Findings counted by kind, with the first keys of each: a table of millions may have a finding in every row. */
export class FindingGroups {
  readonly #groups = new Map<string, { readonly finding: Finding; count: number; readonly keys: string[] }>();
  readonly #refused = new Map<Table, number>();

  /** What becomes of a value of a row that arrives. */
  note(table: Table, finding: Finding): void {
    this.#add(table, finding);
  }

  /** A row that conversion refuses, for some of its values: of the others there is nothing to say. */
  row(table: Table, findings: readonly Finding[]): void {
    for (const finding of findings) if (finding.action === "refused") this.#add(table, finding);
    this.#refuse(table);
  }

  /** A row that PostgreSQL refuses. */
  refuse(table: Table, finding: Omit<Finding, "table" | "action">): void {
    this.#add(table, { ...finding, table: table.name, action: "refused" });
    this.#refuse(table);
  }

  /** How many rows of a table would not arrive. */
  refusedRows(table: Table): number {
    return this.#refused.get(table) ?? 0;
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

  /** Nothing names a row of a table without a key. */
  #add({ key }: Table, finding: Finding): void {
    const { table, column, reason, action } = finding;
    const name = JSON.stringify([table, column, reason, action]);
    const group = this.#groups.get(name) ?? { finding, count: 0, keys: [] };
    group.count++;
    if (group.keys.length < shownKeys && key.length > 0) group.keys.push(finding.key);
    this.#groups.set(name, group);
  }

  #refuse(table: Table): void {
    this.#refused.set(table, this.refusedRows(table) + 1);
  }
}
