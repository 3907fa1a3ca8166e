import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { z } from "zod";
import { DualDbError } from "../errors.js";
import { onFile } from "./file-errors.js";

/** The name of the file that makes a folder an export: it is written last, so that without it nothing counts. */
export const manifestName = "_metadata.json";

const name = z.string().min(1);
const kinds = ["text", "integer", "bigint", "real", "boolean", "json", "blob", "numeric", "other"] as const;

const exportedColumn = z.object({ name, kind: z.enum(kinds), type: z.string() }).readonly();

const exportedTable = z
  .object({
    name,
    file: name.refine((file) => basename(file) === file, "is no name of a file in the folder"),
    rows: z.number().int().nonnegative(),
    columns: z.array(exportedColumn).min(1).readonly(),
    key: z.array(name).readonly(),
    sha256: z.string().regex(/^[0-9a-f]{64}$/, "is no SHA-256"),
  })
  .readonly();

const manifest = z
  .object({
    version: z.literal(1),
    exportedAt: z.iso.datetime(),
    source: z
      .object({
        side: z.enum(["sqlite", "postgres"]),
        name,
        versions: z.object({ dualdb: z.string(), database: z.string() }).readonly(),
      })
      .readonly(),
    tables: z.array(exportedTable).readonly(),
  })
  .readonly();

/** What `_metadata.json` says of an export: where it comes from, and what its files must hold. */
export type Manifest = z.infer<typeof manifest>;

/** One table of an export: its file in the folder, and the rows, columns and checksum that the file must have. */
export type ExportedTable = z.infer<typeof exportedTable>;

/** @throws FILE_UNUSABLE, EXPORT_INVALID */
export async function readManifest(directory: string): Promise<Manifest> {
  const path = join(directory, manifestName);
  const text = await onFile(path, () => readFile(path, "utf8"));
  const parsed = manifest.safeParse(parse(text));
  if (parsed.success) return parsed.data;
  const { path: place = [], message = "is not valid" } = parsed.error.issues[0] ?? {};
  const where = place.length === 0 ? "it" : place.join(".");
  throw new DualDbError(
    "EXPORT_INVALID",
    `${path} is not the description of an export (${where}: ${message}): export again.`,
    { details: { file: manifestName } },
  );
}

export function manifestText(document: Manifest): string {
  return `${JSON.stringify(document, null, 2)}\n`;
}

/** This package's version. */
export function packageVersion(): string {
  const { version }: { version: string } = JSON.parse(
    readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
  );
  return version;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
