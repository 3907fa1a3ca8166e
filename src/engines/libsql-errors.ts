import { DualDbError, type ErrorCode, type ErrorOptions } from "../errors.js";

/** Where an error came up. */
export interface Place {
  /** The file's path, or the server's address without credentials. */
  readonly name: string;
  readonly remote: boolean;
}

/** `write` says that the driver was asked to change something, so that a lost connection leaves the outcome open. */
export type Doing = "read" | "write";

interface DriverFacts {
  readonly code: string;
  readonly text: string;
  readonly cause: unknown;
}

/** Whether another connection holds the lock. What was asked for did not happen, and this connection must not be used again. */
export function isBusy(error: unknown): boolean {
  const code = codeOf(error);
  return code === "SQLITE_BUSY" || code === "SQLITE_LOCKED" || code === "SQLITE_PROTOCOL";
}

/** Whether the file may only be read. */
export function isReadOnly(error: unknown): boolean {
  return codeOf(error) === "SQLITE_READONLY";
}

/** The driver's error as ours. Of the driver's text only names of tables and columns are kept: the rest may quote values. */
export function libsqlError(error: unknown, place: Place, doing: Doing): DualDbError {
  if (error instanceof DualDbError) return error;
  const facts: DriverFacts = { code: codeOf(error), text: error instanceof Error ? error.message : "", cause: error };
  return (
    notPrimary(facts) ??
    constraint(facts) ??
    schemaMissing(facts) ??
    fileProblem(facts, place) ??
    (place.remote ? serverProblem(facts, place, doing) : undefined) ??
    make("QUERY_FAILED", `a statement failed on ${place.name} (${facts.code}): see the error's cause`, facts)
  );
}

/** What the state row says, as an error. */
export function notPrimaryError(cause?: unknown): DualDbError {
  const message = "SQLite is not primary, by its own state: send the call to PostgreSQL";
  return new DualDbError("NOT_PRIMARY", message, { side: "sqlite", cause });
}

/** The connection was lost after a change was sent. */
export function outcomeUnknown(place: Place, cause?: unknown): DualDbError {
  const message = `the connection to ${place.name} was lost after a change was sent: look whether it happened before repeating it`;
  return new DualDbError("OUTCOME_UNKNOWN", message, { side: "sqlite", cause });
}

/** The driver's code, or the error's name. */
export function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return "UNKNOWN";
  if ("code" in error && typeof error.code === "string" && error.code !== "") return error.code;
  // The native library throws a plain Error when it cannot open the file; SQLite's result code stands at its end.
  if (error.message.startsWith("ConnectionFailed("))
    return /: 14"\)$/.test(error.message) ? "SQLITE_CANTOPEN" : "SQLITE_IOERR";
  return error.name;
}

function notPrimary({ code, text, cause }: DriverFacts): DualDbError | undefined {
  return code === "SQLITE_CONSTRAINT" && /(^|\s)NOT_PRIMARY$/.test(text) ? notPrimaryError(cause) : undefined;
}

function constraint(facts: DriverFacts): DualDbError | undefined {
  if (facts.code !== "SQLITE_CONSTRAINT") return undefined;
  const [, kind = "", rest = ""] =
    /(UNIQUE|NOT NULL|CHECK|FOREIGN KEY) constraint failed(?:: (.*))?$/.exec(facts.text) ?? [];
  const columns = kind === "UNIQUE" || kind === "NOT NULL" ? rest.split(", ").flatMap(columnNamed) : [];
  const table = columns[0]?.table;
  const names = columns.map(({ column }) => column);
  const where = table === undefined ? "" : ` of ${table} (${names.join(", ")})`;
  const message = `the database refused the change: ${kind === "" ? "a" : `its ${kind}`} constraint${where} does not hold`;
  const details = { driverCode: facts.code, constraint: kind === "" ? "OTHER" : kind, columns: names };
  return make("CONSTRAINT_VIOLATED", message, facts, { table, column: names[0], details });
}

function columnNamed(text: string): { table: string; column: string }[] {
  const dot = text.lastIndexOf(".");
  return dot === -1 ? [] : [{ table: text.slice(0, dot), column: text.slice(dot + 1) }];
}

function schemaMissing(facts: DriverFacts): DualDbError | undefined {
  const [, table, plain, owner, named] =
    /no such table: ([\w.]+)|no such column: ([\w.]+)|table (\w+) has no column named (\w+)/.exec(facts.text) ?? [];
  const column = plain ?? named;
  if (table === undefined && column === undefined) return undefined;
  const thing = table === undefined ? `column ${column}` : `table ${table}`;
  const message = `SQLite has no ${thing}${owner === undefined ? "" : ` in ${owner}`}: run dualdb migrate`;
  return make("SCHEMA_MISSING", message, facts, { table: table ?? owner, column });
}

const fileProblems: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  SQLITE_BUSY: [
    "DATABASE_BUSY",
    "is locked by another connection: find the process that holds it, then repeat the call",
  ],
  SQLITE_LOCKED: [
    "DATABASE_BUSY",
    "is locked by another connection: find the process that holds it, then repeat the call",
  ],
  SQLITE_PROTOCOL: [
    "DATABASE_BUSY",
    "is locked by another connection: find the process that holds it, then repeat the call",
  ],
  SQLITE_CANTOPEN: [
    "DATABASE_UNAVAILABLE",
    "cannot be opened: check that this process may read it, and enter and write its directory",
  ],
  SQLITE_IOERR: ["DATABASE_UNAVAILABLE", "cannot be read or written: check the disk"],
  SQLITE_FULL: ["DATABASE_UNAVAILABLE", "cannot grow: free space on its disk"],
  SQLITE_NOTADB: ["DATABASE_UNUSABLE", "is not an SQLite database: check the path"],
  SQLITE_CORRUPT: ["DATABASE_UNUSABLE", "is damaged: restore it from a backup"],
  SQLITE_READONLY: [
    "DATABASE_UNUSABLE",
    "is read-only: give this process the right to write the file and its directory",
  ],
  SQLITE_PERM: ["DATABASE_UNUSABLE", "may not be accessed: give this process the right to read and write it"],
  SQLITE_AUTH: ["ACCESS_DENIED", "refuses access: check TURSO_AUTH_TOKEN"],
};

function fileProblem(facts: DriverFacts, place: Place): DualDbError | undefined {
  const problem = fileProblems[facts.code];
  return problem && make(problem[0], `${place.name} ${problem[1]}`, facts);
}

/** Nothing of the request has reached the server. */
const neverSent = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
]);

/** The server has ended the transaction, by rolling it back. */
const rolledBack = new Set(["TRANSACTION_TIMEOUT", "STREAM_EXPIRED", "SQLITE_INTERRUPT", "BLOCKED"]);

function serverProblem(facts: DriverFacts, place: Place, doing: Doing): DualDbError | undefined {
  const status = property(property(facts.cause, "cause"), "status");
  if (status === 401 || status === 403 || facts.code.startsWith("AUTH_")) {
    return make(
      "ACCESS_DENIED",
      `${place.name} refuses access (${status ?? facts.code}): check TURSO_AUTH_TOKEN`,
      facts,
    );
  }
  if (rolledBack.has(facts.code) || status === 429 || status === 503) return unreachable(facts, place);
  const lost = typeof status === "number" ? status >= 500 : networkCodes.has(facts.code);
  if (!lost) return undefined;
  const sent = !neverSent.has(String(property(property(facts.cause, "cause"), "code")));
  return doing === "write" && sent ? outcomeUnknown(place, facts.cause) : unreachable(facts, place);
}

const networkCodes = new Set([
  "TypeError",
  "AbortError",
  "HRANA_CLOSED_ERROR",
  "HRANA_PROTO_ERROR",
  "SERVER_ERROR",
  "UNKNOWN",
]);

function unreachable(facts: DriverFacts, place: Place): DualDbError {
  return make(
    "DATABASE_UNAVAILABLE",
    `${place.name} does not answer (${facts.code}): check TURSO_DATABASE_URL and the server`,
    facts,
  );
}

function property(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}

function make(code: ErrorCode, message: string, facts: DriverFacts, more: ErrorOptions = {}): DualDbError {
  return new DualDbError(code, message, {
    side: "sqlite",
    cause: facts.cause,
    details: { driverCode: facts.code },
    ...more,
  });
}
