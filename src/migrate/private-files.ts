import { chmod, type FileHandle, mkdir, open, readdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";

/** Files that hold rows belong to their owner alone: 0600, in folders of 0700. */
const folderMode = 0o700;
const fileMode = 0o600;
const others = 0o077;
/** Of a folder that everybody may put files into, such as /tmp. */
const sticky = 0o1000;

/** Opens a file of rows: `w` begins it anew, `a` goes on at its end, `wx` refuses one that is there. Its folder is made where it is missing. */
export async function openPrivateFile(path: string, flags: "w" | "a" | "wx"): Promise<FileHandle> {
  await mkdir(dirname(path), { recursive: true, mode: folderMode });
  const file = await open(path, flags, fileMode);
  await file.chmod(fileMode);
  return file;
}

/** Makes an empty file for somebody who opens it next, and who tells what is wrong with its folder. */
export async function makePrivateFile(path: string): Promise<void> {
  const file = await open(path, "wx", fileMode).catch(() => null);
  await file?.close();
}

/**
 * A folder that is named for files of rows: made where it is missing, and closed to others where it is there. One that holds anything else
 * stays as it is, for it is not ours alone, and so does one that belongs to somebody else; the files in it are private by themselves.
 * Resolves to the outermost folder that was made.
 */
export async function privateFolder(path: string): Promise<string | undefined> {
  const made = await mkdir(path, { recursive: true, mode: folderMode });
  if (made === undefined && (await isOursAlone(path))) await chmod(path, folderMode);
  return made;
}

async function isOursAlone(path: string): Promise<boolean> {
  const { mode, uid } = await stat(path);
  if ((mode & others) === 0 || (mode & sticky) !== 0 || uid !== process.geteuid?.()) return false;
  return (await readdir(path)).every(isFileOfRows);
}

/** Files of exports, of rows that were set aside, and of former rows; finished, or on their way. */
function isFileOfRows(name: string): boolean {
  return /^(_metadata\.json|.+\.jsonl)(\.part|\.partial)?$/.test(name);
}

/** Where a table's rows lie in a folder: whatever the table is called, the file is in that folder and nowhere else. */
export function fileOfTable(folder: string, table: string, extension: string): string {
  return join(folder, `${encodeName(table)}${extension}`);
}

/** A table's name as a file's, reversible by `decodeURIComponent`; no separator, no leading dot, no device of Windows. */
function encodeName(table: string): string {
  const encoded = encodeURIComponent(table).replace(/[.*'()!~]/g, percent);
  return /^(con|prn|aux|nul|com\d|lpt\d)$/i.test(encoded) ? encoded.replace(/^./, percent) : encoded;
}

function percent(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}
