import type { FileHandle } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { TableGraph } from "../../data/graph.js";
import { rowToJson } from "../../data/rows/exact-json.js";
import { rowsOf } from "../../data/rows/rows.js";
import type { ExactValue } from "../../engines/engine.js";
import type { End, Plan } from "../../shadow/batch.js";
import { onFile } from "../file-errors.js";
import { openPrivateFile, privateFolder } from "../private-files.js";

/**
 * What the target held before it was mended: one JSON object a line with the table, the key and the row, to the bit. The file is there from
 * the first row on, and a row is on the disk before anything is done to it.
 */
export class FormerRows {
  readonly #wanted: string;
  #file: FileHandle | null = null;

  constructor(folder: string, now: number) {
    this.#wanted = join(folder, `repair-${new Date(now).toISOString().replaceAll(":", "-")}.jsonl`);
  }

  /** null as long as there was nothing to keep. */
  get path(): string | null {
    return this.#file === null ? null : this.#wanted;
  }

  /** Keeps the target's rows that the plan is going to remove or to overwrite. */
  async keep(graph: TableGraph, target: End, plan: Plan): Promise<void> {
    const lines: string[] = [];
    for (const table of graph.tables) {
      const upserts = new Map((plan.upserts.get(table.name) ?? []).map((row) => [row.key, row.values]));
      const keys = [...new Set([...plan.removals.of(table.name), ...upserts.keys()])];
      const rows = await target.read((transaction) => rowsOf(target.side).read(transaction, table, keys));
      for (const row of rows)
        if (!isSame(row.values, upserts.get(row.key)))
          lines.push(`${JSON.stringify({ table: table.name, key: row.key, row: rowToJson(table, row) })}\n`);
    }
    if (lines.length > 0) await onFile(this.#wanted, () => this.#write(lines.join("")));
  }

  async close(): Promise<void> {
    await this.#file?.close();
  }

  async #open(): Promise<FileHandle> {
    await privateFolder(dirname(this.#wanted));
    return openPrivateFile(this.#wanted, "wx");
  }

  async #write(text: string): Promise<void> {
    this.#file ??= await this.#open();
    await this.#file.writeFile(text);
    await this.#file.datasync();
  }
}

/** A parent that only joined the batch stays as it is. */
function isSame(held: readonly ExactValue[], written: readonly ExactValue[] | undefined): boolean {
  if (written === undefined) return false;
  return held.every((value, index) => {
    const other = written[index] ?? null;
    return value === other || (value !== null && other !== null && String(value) === String(other));
  });
}
