import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Side } from "../engines/engine.js";
import { DualDbError } from "../errors.js";

/** One SQL file of one side. Its text has no byte-order mark and ends its lines with LF, on every system. */
export interface MigrationFile {
  readonly filename: string;
  readonly text: string;
  /** SHA-256 of the text, in hexadecimal. */
  readonly checksum: string;
  readonly directives: Directives;
}

/** What the comment lines at the top of a file, `-- dualdb: …`, ask of the runner. */
export interface Directives {
  /** `no-transaction`: each statement runs by itself, for CREATE INDEX CONCURRENTLY and the like. */
  readonly noTransaction: boolean;
  /** `drop-triggers-naming TABLE`: first drop every trigger that mentions the table, whatever it is called. SQLite only. */
  readonly dropTriggersNaming: readonly string[];
}

/** A folder of migrations has one folder for each side. */
export const sideFolders: Readonly<Record<Side, string>> = { sqlite: "libsql", postgres: "postgres" };

/** The package's own migrations. */
export const ownFolder = fileURLToPath(new URL("../../sql", import.meta.url));

/**
 * The files of a side in the order in which they apply: the package's own, then each folder's, by name.
 * @throws MIGRATION_INVALID where a folder is missing, a file has no side, or a name occurs twice.
 */
export async function readMigrations(folders: readonly string[], side: Side): Promise<MigrationFile[]> {
  const files: MigrationFile[] = [...(await readOwn(side))];
  for (const folder of folders) files.push(...(await readFolder(folder, side)));
  const twice = files.find(({ filename }, index) => files.findIndex((other) => other.filename === filename) !== index);
  if (twice !== undefined) throw invalid(`two migrations are called ${twice.filename}; rename yours`);
  return files;
}

/**
 * Writes an empty pair of files, `libsql/YYYYMMDDHHMMSS_name.sql` and `postgres/…`, into a folder; resolves to their paths.
 * @throws MIGRATION_INVALID unless the name consists of a to z, 0 to 9 and underscores.
 */
export async function createMigration(folder: string, name: string, clock: () => number = Date.now): Promise<string[]> {
  if (!/^[a-z0-9_]+$/.test(name)) throw invalid("a migration's name consists of a to z, 0 to 9 and underscores");
  const stamp = new Date(clock()).toISOString().replace(/\D/g, "").slice(0, 14);
  const paths: string[] = [];
  for (const side of ["sqlite", "postgres"] as const) {
    const path = join(folder, sideFolders[side], `${stamp}_${name}.sql`);
    await mkdir(join(folder, sideFolders[side]), { recursive: true });
    await writeFile(path, `-- ${name}\n`, { flag: "wx" });
    paths.push(path);
  }
  return paths;
}

/** Read once: they do not change, and a process that has given up rights since may no longer reach them. */
const own = new Map<Side, Promise<MigrationFile[]>>();

function readOwn(side: Side): Promise<MigrationFile[]> {
  const files = own.get(side) ?? readFolder(ownFolder, side);
  own.set(side, files);
  return files;
}

async function readFolder(folder: string, side: Side): Promise<MigrationFile[]> {
  const entries = await namesIn(folder);
  if (entries === undefined) throw invalid(`the folder of migrations ${folder} cannot be read`);
  const stray = entries.find((name) => name.endsWith(".sql"));
  if (stray !== undefined)
    throw invalid(`${join(folder, stray)} belongs to no side: move it into libsql/ or postgres/`);
  const place = join(folder, sideFolders[side]);
  const names = ((await namesIn(place)) ?? []).filter((name) => name.endsWith(".sql")).sort();
  return Promise.all(names.map((name) => readMigration(place, name, side)));
}

async function namesIn(folder: string): Promise<string[] | undefined> {
  try {
    return await readdir(folder);
  } catch {
    return undefined;
  }
}

async function readMigration(folder: string, filename: string, side: Side): Promise<MigrationFile> {
  const raw = await readFile(join(folder, filename), "utf8");
  const text = raw.replace(/^\uFEFF/, "").replace(/\r\n?/g, "\n");
  const checksum = createHash("sha256").update(text).digest("hex");
  return { filename, text, checksum, directives: directivesOf(filename, text, side) };
}

function directivesOf(filename: string, text: string, side: Side): Directives {
  let noTransaction = false;
  const dropTriggersNaming: string[] = [];
  for (const directive of directiveLines(text)) {
    const table = /^drop-triggers-naming (\w+)$/.exec(directive)?.[1];
    if (directive === "no-transaction") noTransaction = true;
    else if (table !== undefined && side === "sqlite") dropTriggersNaming.push(table);
    else throw invalid(`${filename} has a "-- dualdb:" line that is not understood on ${side}`);
  }
  if (noTransaction && dropTriggersNaming.length > 0)
    throw invalid(`${filename} drops triggers, which needs a transaction`);
  return { noTransaction, dropTriggersNaming };
}

function directiveLines(text: string): string[] {
  const lines = text.split("\n").map((line) => line.trim());
  const end = lines.findIndex((line) => line !== "" && !line.startsWith("--"));
  const head = end === -1 ? lines : lines.slice(0, end);
  return head.flatMap((line) => /^--\s*dualdb:\s*(.*)$/.exec(line)?.[1]?.replace(/\s+/g, " ") ?? []);
}

function invalid(message: string): DualDbError {
  return new DualDbError("MIGRATION_INVALID", message);
}
