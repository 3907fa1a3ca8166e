import { accessSync, constants } from "node:fs";
import { dirname } from "node:path";
import sql from "sql-template-tag";
import { type Config, targetName } from "../../config.js";
import type { Engine, Side } from "../../engines/engine.js";
import type { DualDbError } from "../../errors.js";
import type { Problem } from "./problem.js";

/** What a database says of itself. */
export interface DatabaseFacts {
  readonly side: Side;
  /** As a person may read it: no password, no token. */
  readonly name: string;
  /** null where the database cannot be reached. */
  readonly version: string | null;
  /** How the connection is encrypted; null where it is not, or where there is none. */
  readonly encryption: string | null;
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly problems: readonly Problem[];
}

const oldestPostgres = 13;

/** Asks a database for its version and how the connection to it is protected. */
export function factsOf(engine: Engine, config: Config): Promise<DatabaseFacts> {
  return engine.side === "sqlite" ? factsOfSqlite(engine, config) : factsOfPostgres(engine, config);
}

export function unreachable(side: Side, name: string, { code, message }: DualDbError): DatabaseFacts {
  return { side, name, version: null, encryption: null, error: { code, message }, problems: [] };
}

async function factsOfSqlite(engine: Engine, { sqlite }: Config): Promise<DatabaseFacts> {
  const [row] = await engine.read(sql`SELECT sqlite_version() AS version`);
  const problems = sqlite.file === null ? [] : fileProblems(sqlite.file);
  const encryption = /^(https|wss|libsql):/i.test(sqlite.url) ? "TLS" : null;
  return {
    side: "sqlite",
    name: targetName(sqlite),
    version: `SQLite ${row?.version}`,
    encryption,
    error: null,
    problems,
  };
}

/** SQLite writes a log beside the file. */
function fileProblems(file: string): Problem[] {
  const next = "Give the user of the bot the right to write there.";
  return [file, dirname(file)].filter(isReadOnly).map((path) => ({
    severity: "error",
    side: "sqlite",
    table: null,
    column: null,
    problem: `${path} is read-only`,
    stops: "every write there, the journal's among them",
    next,
  }));
}

function isReadOnly(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return false;
  } catch {
    return true;
  }
}

async function factsOfPostgres(engine: Engine, { postgres }: Config): Promise<DatabaseFacts> {
  const [row] =
    await engine.read(sql`SELECT current_setting('server_version') AS version, current_setting('server_version_num') AS number,
    (SELECT s.version FROM pg_stat_ssl AS s WHERE s.pid = pg_backend_pid() AND s.ssl) AS tls,
    current_setting('server_encoding') AS encoding`);
  const about = (severity: Problem["severity"], problem: string, stops: string | null, next: string): Problem => ({
    severity,
    side: "postgres",
    table: null,
    column: null,
    problem,
    stops,
    next,
  });
  const encryption = row?.tls === null || row?.tls === undefined ? null : String(row.tls);
  const problems: Problem[] = [];
  if (Number(row?.number) < oldestPostgres * 10_000)
    problems.push(
      about("error", `PostgreSQL ${row?.version} is too old`, "everything", `Use ${oldestPostgres} or later.`),
    );
  if (row?.encoding !== "UTF8")
    problems.push(
      about(
        "error",
        `its encoding is ${row?.encoding}`,
        "rows with characters that it does not have",
        "Create the database with ENCODING 'UTF8'.",
      ),
    );
  if (encryption === null && postgres !== null && !isLocal(postgres.host))
    problems.push(
      about("warning", "the connection leaves this machine in the clear", null, "Set sslmode=verify-full in its URL."),
    );
  const name = postgres === null ? "" : targetName(postgres);
  return { side: "postgres", name, version: `PostgreSQL ${row?.version}`, encryption, error: null, problems };
}

function isLocal(host: string): boolean {
  return host.startsWith("/") || /^(localhost|127\.\d+\.\d+\.\d+|::1)$/.test(host);
}
