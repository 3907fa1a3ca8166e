import { DualDbError, hasCode } from "../errors.js";

/** Runs work on files; what the system refuses comes out as an error that names the file and the next step. */
export async function onFile<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw fileError(error, path);
  }
}

/** FILE_UNUSABLE for what the system says of a file; any other error as it is. */
export function fileError(error: unknown, path: string): unknown {
  const code = systemCode(error);
  if (code === undefined) return error;
  const advice = advices[code] ?? "look at the disk";
  return new DualDbError("FILE_UNUSABLE", `${path} cannot be used (${code}): ${advice}.`, {
    cause: error,
    details: { code, path },
  });
}

/** Whether a file is not there. */
export function isMissing(error: unknown): boolean {
  const code = hasCode(error, "FILE_UNUSABLE") ? error.details.code : systemCode(error);
  return code === "ENOENT" || code === "ENOTDIR";
}

function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || error instanceof DualDbError) return undefined;
  return "syscall" in error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

const full = "the disk is full; free space, or name a folder on another disk";
const forbidden = "give this process the right to read and write there";

const advices: Readonly<Record<string, string>> = {
  ENOSPC: full,
  EDQUOT: full,
  EFBIG: "the file may not grow that large here; raise the limit, or name a folder elsewhere",
  EACCES: forbidden,
  EPERM: forbidden,
  EROFS: "the disk is read-only; name a folder on another disk",
  ENOENT: "it is not there; check the path",
  ENOTDIR: "a part of the path is no folder; check the path",
  EISDIR: "it is a folder; name a file",
  EEXIST: "a file of that name is in the way; name another folder",
};
