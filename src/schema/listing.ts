import type { MigrationFile } from "./files.js";
import type { TrackedMigration } from "./tracking.js";

/** How a file and what a database remembers of it stand to each other. */
export type FileStatus = "applied" | "pending" | "failed" | "changed" | "unknown";

export interface ListedMigration {
  readonly filename: string;
  readonly status: FileStatus;
  /** Unix time in milliseconds; null where it never ran. */
  readonly appliedAt: number | null;
  readonly executionTimeMs: number | null;
  /** Why it failed. */
  readonly error: string | null;
}

/** Files and memory side by side: the files in their order, then what only the database knows. */
export function compare(files: readonly MigrationFile[], tracked: readonly TrackedMigration[]): ListedMigration[] {
  const byName = new Map(tracked.map((row) => [row.filename, row]));
  const known = new Set(names(files));
  const unknown = tracked.filter(({ filename, success }) => success && !known.has(filename));
  return [
    ...files.map((file) =>
      entryOf(file.filename, statusOf(file, byName.get(file.filename)), byName.get(file.filename)),
    ),
    ...unknown.map((row) => entryOf(row.filename, "unknown", row)),
  ];
}

/** Whether that file is yet to be applied, for the first time or again. */
export function isPending(listed: readonly ListedMigration[], filename: string): boolean {
  return listed.some(
    (entry) => entry.filename === filename && (entry.status === "pending" || entry.status === "failed"),
  );
}

/** The names of the entries with that status. */
export function named(listed: readonly ListedMigration[], status: FileStatus): string[] {
  return names(listed.filter((entry) => entry.status === status));
}

/** Their file names. */
export function names(entries: readonly { readonly filename: string }[]): string[] {
  return entries.map(({ filename }) => filename);
}

function statusOf(file: MigrationFile, row: TrackedMigration | undefined): FileStatus {
  if (row === undefined) return "pending";
  if (!row.success) return "failed";
  return row.checksum === file.checksum ? "applied" : "changed";
}

function entryOf(filename: string, status: FileStatus, row: TrackedMigration | undefined): ListedMigration {
  return {
    filename,
    status,
    appliedAt: row?.appliedAt ?? null,
    executionTimeMs: row?.executionTimeMs ?? null,
    error: row?.error ?? null,
  };
}
