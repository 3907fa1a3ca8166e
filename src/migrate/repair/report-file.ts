import { open } from "node:fs/promises";
import { DualDbError } from "../../errors.js";
import { onFile } from "../file-errors.js";
import type { Difference } from "../verify/table.js";

const kinds: ReadonlySet<unknown> = new Set<Difference["kind"]>(["missing", "extra", "different", "refused", "owed"]);

/**
 * The differences in a file that `verify` has written. They may be out of date: only tables and keys are used.
 * @throws FILE_UNUSABLE. CONFIG_INVALID for a file of another kind, naming the line.
 */
export async function* differencesIn(path: string): AsyncGenerator<Difference, void> {
  const file = await onFile(path, () => open(path, "r"));
  try {
    let line = 0;
    for await (const text of file.readLines()) {
      line++;
      yield differenceOf(text) ?? fail(path, line);
    }
  } catch (error) {
    await onFile(path, () => Promise.reject(error));
  } finally {
    await file.close();
  }
}

function differenceOf(text: string): Difference | null {
  try {
    const value: unknown = JSON.parse(text);
    return isDifference(value) ? value : null;
  } catch {
    return null;
  }
}

function isDifference(value: unknown): value is Difference {
  if (typeof value !== "object" || value === null || !("table" in value && "key" in value && "kind" in value))
    return false;
  return typeof value.table === "string" && typeof value.key === "string" && kinds.has(value.kind);
}

function fail(path: string, line: number): never {
  throw new DualDbError(
    "CONFIG_INVALID",
    `${path} is no report of dualdb verify --output: line ${line} is no difference.`,
    {
      details: { path, line },
    },
  );
}
