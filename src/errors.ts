/** What a code means to the three kinds of caller: a shell, an HTTP client, a retry loop. */
export interface CodeMeaning {
  /** Exit status of the command line: 1 could not tell, 2 wrong usage or configuration, 3 done but something differs or was set aside. */
  readonly exit: 1 | 2 | 3 | 130;
  readonly http: number;
  /** Whether the same call may succeed later without anybody changing anything. */
  readonly retry: boolean;
}

/** Every error this package throws on purpose, by code. */
export const codes = {
  CONFIG_INVALID: { exit: 2, http: 500, retry: false },
  VALIDATION_FAILED: { exit: 2, http: 400, retry: false },
  DATABASE_UNAVAILABLE: { exit: 1, http: 503, retry: true },
  DATABASE_BUSY: { exit: 1, http: 503, retry: true },
  DATABASE_UNUSABLE: { exit: 1, http: 500, retry: false },
  DATABASE_CLOSED: { exit: 1, http: 503, retry: false },
  ACCESS_DENIED: { exit: 1, http: 500, retry: false },
  OUTCOME_UNKNOWN: { exit: 1, http: 503, retry: false },
  CONSTRAINT_VIOLATED: { exit: 1, http: 409, retry: false },
  VALUE_REFUSED: { exit: 1, http: 400, retry: false },
  QUERY_FAILED: { exit: 1, http: 500, retry: false },
  NOT_PRIMARY: { exit: 1, http: 503, retry: true },
  PAIR_MISMATCH: { exit: 1, http: 500, retry: false },
  FLIP_REFUSED: { exit: 3, http: 409, retry: false },
  FINALIZED: { exit: 1, http: 500, retry: false },
  GATE_CLOSED: { exit: 3, http: 409, retry: false },
  GATE_UNTOLD: { exit: 1, http: 503, retry: true },
  SCHEMA_MISSING: { exit: 1, http: 500, retry: false },
  SCHEMA_CHANGED: { exit: 1, http: 503, retry: true },
  MIGRATION_FAILED: { exit: 1, http: 500, retry: false },
  MIGRATION_CHANGED: { exit: 1, http: 500, retry: false },
  MIGRATION_UNKNOWN: { exit: 1, http: 500, retry: false },
  MIGRATION_INVALID: { exit: 2, http: 500, retry: false },
  MIGRATION_TABLE_TAKEN: { exit: 1, http: 500, retry: false },
  MIGRATION_LOCKED: { exit: 1, http: 503, retry: true },
  FILE_UNUSABLE: { exit: 1, http: 500, retry: false },
  EXPORT_INVALID: { exit: 1, http: 400, retry: false },
  TOKEN_MISSING: { exit: 2, http: 503, retry: false },
  UNAUTHORIZED: { exit: 1, http: 401, retry: false },
  METHOD_NOT_ALLOWED: { exit: 2, http: 405, retry: false },
  BODY_TOO_LARGE: { exit: 2, http: 413, retry: false },
  BODY_UNSUPPORTED: { exit: 2, http: 415, retry: false },
  RUN_UNDER_WAY: { exit: 1, http: 409, retry: true },
  INTERRUPTED: { exit: 130, http: 503, retry: true },
} as const satisfies Record<string, CodeMeaning>;

export type ErrorCode = keyof typeof codes;

/** Whether this is the code of one of them. */
export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(codes, code);
}

export interface ErrorOptions {
  /** The driver's own error. It may hold a row's values, so it is never logged by this package. */
  readonly cause?: unknown;
  readonly side?: "sqlite" | "postgres" | undefined;
  readonly table?: string | undefined;
  readonly column?: string | undefined;
  /** Plain facts for a program: the driver's code, a constraint's name, the findings of a refused flip. */
  readonly details?: Readonly<Record<string, unknown>> | undefined;
}

/** The one error class. `message` names the thing and the next step, and holds neither a row's value nor a password. */
export class DualDbError extends Error {
  override readonly name = "DualDbError";
  readonly code: ErrorCode;
  readonly retry: boolean;
  readonly side: "sqlite" | "postgres" | undefined;
  readonly table: string | undefined;
  readonly column: string | undefined;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retry = codes[code].retry;
    this.side = options.side;
    this.table = options.table;
    this.column = options.column;
    this.details = options.details ?? {};
  }
}

/** Somebody has asked for an end. */
export function interrupted(cause?: unknown): DualDbError {
  const message = "Interrupted. What is done stays done; run the same again to finish it.";
  return new DualDbError("INTERRUPTED", message, { cause });
}

/** Whether an error is ours and has one of these codes. */
export function hasCode(error: unknown, ...wanted: readonly ErrorCode[]): error is DualDbError {
  return error instanceof DualDbError && wanted.includes(error.code);
}

/** An error as fields for a log line: never its values. */
export function errorFields(error: unknown): Record<string, unknown> {
  if (error instanceof DualDbError) {
    const { code, message, side, table, column } = error;
    return { ...error.details, code, message, side, table, column };
  }
  return { code: "UNEXPECTED", message: error instanceof Error ? error.name : typeof error };
}
