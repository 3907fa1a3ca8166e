import { DualDbError, type ErrorCode, type ErrorOptions } from "../errors.js";
import type { ExactRow } from "./engine.js";

/**
 * What was going on when an error came: `connect`, a `read`, a `transaction` before its COMMIT, or a `write`, that is, a statement
 * or a COMMIT whose loss leaves open whether the server has done it.
 */
export type Phase = "connect" | "read" | "transaction" | "write";

/** What PostgreSQL reports, apart from its message, which may hold a row's values. */
interface ServerError extends Error {
  readonly severity: string;
  readonly code: string;
  readonly table?: string | undefined;
  readonly column?: string | undefined;
  readonly constraint?: string | undefined;
  /** The function of the server that raised it. */
  readonly routine?: string | undefined;
  /** Of a key: its columns, and the row's values. */
  readonly detail?: string | undefined;
  /** What the server was doing; behind the place it quotes the data. */
  readonly where?: string | undefined;
}

interface Finding {
  readonly code: ErrorCode;
  readonly message: string;
  readonly table?: string | undefined;
  readonly column?: string | undefined;
}

/** Any error of the driver as one of ours. `target` is host:port/database. The driver's message never gets into ours. */
export function translate(error: unknown, target: string, phase: Phase): DualDbError {
  if (error instanceof DualDbError) return error;
  const finding = isServerError(error) ? fromServer(error, target, phase) : fromDriver(error, target, phase);
  return new DualDbError(finding.code, finding.message, optionsOf(error, finding));
}

/** An error that a function on the server has caught: what it had to say stands in a row, in columns of these names behind `prefix`. */
export function caughtError(row: ExactRow, prefix: string): DualDbError {
  const said = (name: string) => String(row[`${prefix}${name}`] ?? "") || undefined;
  const error: ServerError = Object.assign(new Error("refused by PostgreSQL"), {
    severity: "ERROR",
    code: said("state") ?? "",
    table: said("table"),
    column: said("column"),
    constraint: said("constraint"),
    detail: said("detail"),
  });
  return translate(error, "", "transaction");
}

/** The connection is gone, or silent: nobody said what became of the statement. */
export function isLost(error: unknown): boolean {
  if (error instanceof DualDbError) return false;
  if (!isServerError(error)) return true;
  return error.severity === "FATAL" || error.severity === "PANIC" || error.code.startsWith("08");
}

/**
 * The server ended the session and said so, which it does between statements and by aborting one, never after a commit; so the
 * statement has not happened.
 */
export function isEndedBefore(error: unknown): boolean {
  return isServerError(error) && error.severity === "FATAL" && error.code === "57P01";
}

/** The server gave up on this transaction for the sake of another: repeating it is right. */
export function isCollision(error: unknown): boolean {
  return isServerError(error) && (error.code === "40001" || error.code === "40P01");
}

/** The server ended the statement since somebody asked it to, or for its time limit. */
export function isCancelled(error: unknown): boolean {
  return isServerError(error) && error.code === "57014";
}

export function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.message === "Query read timeout";
}

/** The connection was made, and ended before the server had let us in; not that nobody listens, or that time ran out. */
export function isEndedConnecting(error: unknown): boolean {
  if (!(error instanceof Error) || isServerError(error)) return false;
  return error.message === "Connection terminated unexpectedly" || /^(ECONNRESET|EPIPE)$/.test(codeOf(error));
}

/** The server does not speak TLS, or not in a way that we do. */
export function isTlsRefusal(error: unknown): boolean {
  if (!(error instanceof Error) || isServerError(error)) return false;
  return (
    error.message === "The server does not support SSL connections" || /^(ERR_SSL|ERR_TLS|EPROTO)/.test(codeOf(error))
  );
}

/** The server's access rules do not let this user in like that; some want TLS. */
export function isAccessRule(error: unknown): boolean {
  return isServerError(error) && error.code === "28000";
}

function isServerError(error: unknown): error is ServerError {
  return (
    error instanceof Error && "severity" in error && typeof error.severity === "string" && codeOf(error).length === 5
  );
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}

function optionsOf(error: unknown, { table, column }: Finding): ErrorOptions {
  const options = { cause: error, side: "postgres", table, column } as const;
  if (!isServerError(error))
    return codeOf(error) === "" ? options : { ...options, details: { driverCode: codeOf(error) } };
  const { code: sqlState, constraint } = error;
  const { line, column: named } = copyPlace(error);
  const columns = keyColumns(error);
  const limit = sizeLimit(error);
  const details = {
    sqlState,
    ...(limit === undefined ? {} : { limit }),
    ...(constraint === undefined ? {} : { constraint }),
    ...(columns === undefined ? {} : { columns }),
    ...(line === undefined ? {} : { line }),
  };
  return { ...options, column: column ?? named, details };
}

/** The line of a COPY's data that is at fault, from 1, and the column where the server names one. */
function copyPlace({ where = "" }: ServerError): { readonly line?: number; readonly column?: string | undefined } {
  const found = /^COPY .+?, line (\d+)(?:, column (.+?):)?/m.exec(where);
  return found === null ? {} : { line: Number(found[1]), column: found[2] };
}

/** The columns of the key that does not hold, in whatever language: `Key (a, b)=(1, 2) already exists.` */
function keyColumns({ code, detail = "" }: ServerError): string[] | undefined {
  if (!keyStates.has(code)) return undefined;
  return /\((.+?)\)=\(/s.exec(detail)?.[1]?.split(", ");
}

/**
 * Of the limits that share a state only the place in the server tells which one it was, in whatever language: the row's page, an index of
 * the kind of a b-tree, or a search vector.
 */
function sizeLimit({ code, routine = "" }: ServerError): "page" | "index" | "search" | undefined {
  if (code !== "54000") return undefined;
  if (routine === "RelationGetBufferForTuple") return "page";
  if (/tsvector/.test(routine)) return "search";
  return /^(_bt_|index_form_tuple)/.test(routine) ? "index" : undefined;
}

/** A foreign key, a unique key, an exclusion constraint. */
const keyStates = new Set(["23503", "23505", "23P01"]);

function fromDriver(error: unknown, target: string, phase: Phase): Finding {
  const code = codeOf(error);
  if (phase === "connect") return fromConnecting(error, target, code);
  const what = isTimeout(error)
    ? `PostgreSQL at ${target} did not answer in time`
    : `the connection to PostgreSQL at ${target} broke off`;
  return lost(what, phase);
}

function lost(what: string, phase: Phase): Finding {
  if (phase !== "write") return { code: "DATABASE_UNAVAILABLE", message: `${what}; nothing was changed` };
  return {
    code: "OUTCOME_UNKNOWN",
    message: `${what}: the write may or may not have happened, so look before repeating it`,
  };
}

function fromConnecting(error: unknown, target: string, code: string): Finding {
  if (isTlsRefusal(error)) {
    const message = `PostgreSQL at ${target} does not offer TLS: set sslmode=disable in its URL if a plain connection will do`;
    return { code: "DATABASE_UNUSABLE", message };
  }
  if (/CERT|SIGNATURE|ISSUER|ALTNAME/.test(code)) {
    const message = `the certificate of PostgreSQL at ${target} does not verify (${code}): set POSTGRES_CA to its authority's, or another sslmode`;
    return { code: "DATABASE_UNUSABLE", message };
  }
  if (error instanceof Error && error.message.startsWith("SASL"))
    return denied(target, "the password is missing or wrong");
  if (error instanceof Error && error.message === "timeout exceeded when trying to connect") {
    const message = `all connections to PostgreSQL at ${target} were in use for too long: look for slow statements`;
    return { code: "DATABASE_UNAVAILABLE", message };
  }
  const reason = code === "" ? "no answer in time, or the connection broke off" : code;
  const message = `PostgreSQL at ${target} cannot be reached (${reason}): check that it runs and that host and port are right`;
  return { code: "DATABASE_UNAVAILABLE", message };
}

function denied(target: string, reason: string): Finding {
  return {
    code: "ACCESS_DENIED",
    message: `PostgreSQL at ${target} refuses access, ${reason}: check user, password and grants`,
  };
}

function fromServer(error: ServerError, target: string, phase: Phase): Finding {
  const { code } = error;
  const finding = byState[code]?.(error, target, phase) ?? byClass[code.slice(0, 2)]?.(error, target, phase);
  return finding ?? unexplained(error);
}

function unexplained(error: ServerError): Finding {
  return {
    code: "QUERY_FAILED",
    message: `PostgreSQL refused the statement (${error.code}): check its text`,
    ...place(error),
  };
}

type Explain = (error: ServerError, target: string, phase: Phase) => Finding;

const unavailable: Explain = ({ code }, target) => ({
  code: "DATABASE_UNAVAILABLE",
  message: `PostgreSQL at ${target} cannot serve now (${code}); nothing was changed`,
});

const brokenOff: Explain = ({ code }, target, phase) =>
  lost(`the connection to PostgreSQL at ${target} broke off (${code})`, phase);

const busy: Explain = ({ code }, target) => ({
  code: "DATABASE_BUSY",
  message: `PostgreSQL at ${target} gave up since others work on the same rows (${code}); nothing was changed, try again`,
});

const missing: Explain = (error, target) => {
  const name = missingName(error);
  const kind = { "42703": "column", "42883": "function", "3F000": "schema" }[error.code] ?? "table";
  const message = `PostgreSQL at ${target} has no ${kind}${name === undefined ? "" : ` ${name}`}: run dualdb migrate`;
  return {
    code: "SCHEMA_MISSING",
    message,
    table: kind === "table" ? name : error.table,
    column: kind === "column" ? name : undefined,
  };
};

const valueRefused: Explain = (error) => ({
  code: "VALUE_REFUSED",
  message: `PostgreSQL refuses a value${inPlace(error)} (${error.code}): it does not fit the column's type or limit`,
  ...place(error),
});

const constraintViolated: Explain = (error) => ({
  code: "CONSTRAINT_VIOLATED",
  message: `a constraint${error.constraint === undefined ? "" : ` (${error.constraint})`} refuses the row${inPlace(error)} (${error.code})`,
  ...place(error),
});

const readOnly: Explain = (_, target) => ({
  code: "DATABASE_UNAVAILABLE",
  message: `PostgreSQL at ${target} is read-only, a standby perhaps: name the server that takes writes; nothing was changed`,
});

const byState: Partial<Record<string, Explain>> = {
  "28P01": (_, target) => denied(target, "the password is wrong"),
  "28000": (_, target) => denied(target, "user or access rule does not allow it"),
  "42501": (error, target) => ({ ...denied(target, `a privilege is missing${inPlace(error)}`), ...place(error) }),
  "3D000": (_, target) => ({
    code: "DATABASE_UNUSABLE",
    message: `PostgreSQL at ${target}: there is no such database; create it, or correct its name`,
  }),
  "42P01": missing,
  "42703": missing,
  "3F000": missing,
  // Only a function of ours is for the migration to make.
  "42883": (error, target, phase) =>
    error.message.includes("dualdb_") ? missing(error, target, phase) : unexplained(error),
  DD001: (_, target) => ({
    code: "NOT_PRIMARY",
    message: `PostgreSQL at ${target} is not the primary, and takes no writes but the mirror's`,
  }),
  "25006": readOnly,
  // What a standby says to BEGIN READ WRITE, among other things that it does not do.
  "0A000": (error, target, phase) =>
    /(XactReadOnly|transaction_read_only)$/.test(error.routine ?? "")
      ? readOnly(error, target, phase)
      : unexplained(error),
  "57014": (_, target) => ({
    code: "DATABASE_UNAVAILABLE",
    message: `PostgreSQL at ${target} cancelled the statement, for its time limit or an administrator; nothing was changed`,
  }),
  "57P01": unavailable,
  "57P02": brokenOff,
  "57P03": unavailable,
  "25P03": unavailable,
  "55P03": busy,
  "40001": busy,
  "40P01": busy,
  "40003": brokenOff,
};

const byClass: Partial<Record<string, Explain>> = {
  "08": brokenOff,
  "22": valueRefused,
  "23": constraintViolated,
  "53": unavailable,
  "54": valueRefused,
  // The server's own faults: its files, its memory, its data.
  "58": unavailable,
  XX: unavailable,
};

function place({ table, column }: ServerError): { table: string | undefined; column: string | undefined } {
  return { table, column };
}

function inPlace({ table, column }: ServerError): string {
  if (table === undefined) return "";
  return column === undefined ? ` of table ${table}` : ` of ${table}.${column}`;
}

/** PostgreSQL names what is missing in its message only; there it stands in quotes, or behind `column`, and is no value. */
function missingName({ message, table, column }: ServerError): string | undefined {
  const found = /(?:column|function) ([\w.]+)(?:\(.*\))? does not/.exec(message) ?? /"([^"]+)"/.exec(message);
  return column ?? table ?? found?.[1];
}
