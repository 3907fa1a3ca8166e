import type { Actor } from "./actor.js";
import { teamKey } from "./application.js";
import { set } from "./caller.js";
import type { TableName } from "./log.js";
import { certain, type ModelRow } from "./model.js";

/** Tables that get a further column while bots run. */
export const growing = ["messages", "documents", "teams"] as const satisfies readonly TableName[];

/** A column that both sides have been given while the application ran. */
export interface AddedColumn {
  readonly table: (typeof growing)[number];
  readonly column: string;
}

/** The name of the column that a round adds. */
export function addedBy(round: number): string {
  return `added_${round}`;
}

/** Whether a column of a table was added by a round. */
export function isAdded(column: string): boolean {
  return /^added_\d+$/.test(column);
}

/** What a lane does with such columns. */
export class AddedColumns {
  readonly #actor: Actor;
  readonly #columns: readonly AddedColumn[];

  /** `columns` grows while the lane is at work. */
  constructor(actor: Actor, columns: readonly AddedColumn[]) {
    this.#actor = actor;
    this.#columns = columns;
  }

  async write(): Promise<void> {
    const place = this.#place();
    if (place === null) return;
    const { row, column, where, values } = place;
    const value = this.#actor.name();
    const effects = set(row.table, row.row, { [column]: value });
    const text = `UPDATE ${row.table} SET ${column} = ? WHERE ${where}`;
    await this.#actor.writeOne("writeAddedColumn", effects, text, value, ...values);
  }

  async check(): Promise<void> {
    const place = this.#place();
    const expected = place === null ? undefined : certain(place.row, place.column);
    if (place === null || expected === undefined) return;
    const { row, column, where, values } = place;
    const found = await this.#actor.select(`SELECT ${column} AS value FROM ${row.table} WHERE ${where}`, ...values);
    if (found !== null && found.value[0]?.value !== expected)
      this.#actor.stale(`${row.table} ${row.row} ${column}`, found.began, row);
  }

  #place(): Place | null {
    if (this.#columns.length === 0) return null;
    const { table, column } = this.#actor.parts.random.pick(this.#columns);
    const row = this.#actor.mine(table);
    if (row === undefined) return null;
    if (table === "teams") {
      const { region, number } = teamKey(row.row);
      return { row, column, where: `region = ? AND number = ${number}`, values: [region] };
    }
    const id = certain(row, "id");
    return typeof id === "string" ? { row, column, where: "id = ?", values: [id] } : null;
  }
}

interface Place {
  readonly row: ModelRow;
  readonly column: string;
  readonly where: string;
  readonly values: readonly string[];
}
