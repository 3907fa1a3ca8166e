import { DualDbError, type ErrorCode } from "../errors.js";

/** What a stranger may know of an error: no message of a database's, no address, no SQL, no row's value. */
export interface PublicError {
  readonly code: ErrorCode | "UNEXPECTED";
  readonly side?: "sqlite" | "postgres";
  readonly table?: string;
  readonly column?: string;
}

export function publicError(error: unknown): PublicError {
  if (!(error instanceof DualDbError)) return { code: "UNEXPECTED" };
  const { code, side, table, column } = error;
  return {
    code,
    ...(side === undefined ? {} : { side }),
    ...(table === undefined ? {} : { table }),
    ...(column === undefined ? {} : { column }),
  };
}

/** A document without addresses: who runs the databases knows where they are. Of an error inside of it, only the code is left. */
export function publicJson(document: unknown): string {
  return JSON.stringify(document, (_key, value: unknown) => {
    if (typeof value === "string") return value.replace(address, "(address)");
    return isDatabaseError(value) ? { code: value.code } : value;
  });
}

const address = /\b[a-z][a-z0-9+.-]*:\/\/[^\s"',)]+/gi;

/** As statuses and reports have them; those of the request itself are made after this. */
function isDatabaseError(value: unknown): value is { readonly code: unknown } {
  if (typeof value !== "object" || value === null) return false;
  return Object.keys(value).sort().join() === "code,message";
}
