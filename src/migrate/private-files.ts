import { type FileHandle, mkdir, open } from "node:fs/promises";
import { dirname, join } from "node:path";

/** Files that hold rows belong to their owner alone: 0600, in folders of 0700. */
const folderMode = 0o700;
const fileMode = 0o600;

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
