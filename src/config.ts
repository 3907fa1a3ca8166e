import { z } from "zod";
import { flagShape, unknownFlagProblems } from "./config/flags.js";
import { findPostgres } from "./config/postgres.js";
import { findSqlite } from "./config/sqlite.js";
import { type EpochChoices, epochChoices } from "./data/conversion/epoch.js";
import { DualDbError } from "./errors.js";
import type { Flags } from "./route.js";

/** Environment variables by their names: `process.env`, or anything like it. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** How to reach PostgreSQL. */
export interface PostgresConfig {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string | undefined;
  /** libpq's meaning of sslmode. */
  readonly sslMode: "disable" | "allow" | "prefer" | "require" | "verify-ca" | "verify-full";
  /** PEM text of a private certificate authority. */
  readonly ca: string | undefined;
  readonly poolSize: number;
  readonly queryTimeoutMs: number;
}

/** How to reach SQLite: a file, or a libSQL server. */
export interface SqliteConfig {
  /** `file:…`, `libsql:…`, `http:…`, `https:…`. */
  readonly url: string;
  readonly authToken: string | undefined;
  /** Path of the file; null for a server. */
  readonly file: string | null;
}

export interface Config {
  readonly flags: Flags;
  readonly sqlite: SqliteConfig;
  /** null where no variable names a PostgreSQL. */
  readonly postgres: PostgresConfig | null;
  readonly readFenceMs: number;
  readonly flipTimeoutMs: number;
  readonly analysisTimeoutMs: number;
  readonly migrationTimeoutMs: number;
  /** Rows in one step of the toolkit; null leaves it to each command. */
  readonly migrationBatchSize: number | null;
  /** What SQLite's numbers for times count, by `table.column`; undefined leaves it to the rows. */
  readonly epochs: EpochChoices | undefined;
  /** pino's level; null leaves the package silent. */
  readonly logLevel: string | null;
}

/** The variables that name a PostgreSQL, for messages. */
export const postgresVariables = "DATABASE_URL, POSTGRES_URL or DATABASE_PUBLIC_URL (postgres://…), or POSTGRES_HOST";

/**
 * The whole configuration from environment variables.
 * @throws CONFIG_INVALID that lists every problem, by the variable's name and never by its value; `details.problems` holds them.
 */
export function readConfig(env: Environment): Config {
  const parsed = variables.safeParse(env);
  const problems = parsed.success ? [] : parsed.error.issues.map((issue) => `${issue.path.join(".")} ${issue.message}`);
  problems.push(...unknownFlagProblems(Object.keys(env)));
  const limits = {
    poolSize: parsed.data?.POSTGRES_POOL_SIZE ?? 0,
    queryTimeoutMs: parsed.data?.POSTGRES_QUERY_TIMEOUT_MS ?? 0,
  };
  const sqlite = findSqlite(env, problems);
  const postgres = findPostgres(env, limits, problems);
  if (postgres === null && parsed.success) problems.push(...missingPostgres(parsed.data));
  if (!parsed.success || problems.length > 0 || sqlite === undefined || postgres === undefined) throw invalid(problems);
  return configOf(parsed.data, sqlite, postgres);
}

/** A database as a person may read it: host, port and name or a path, never a password or a token. */
export function targetName(target: PostgresConfig | SqliteConfig): string {
  if ("url" in target) return target.file ?? target.url.replace(/[?#].*$/s, "").replace(/\/\/[^/@]*@/, "//");
  const host = target.host.includes(":") ? `[${target.host}]` : target.host;
  return `postgres://${encodeURIComponent(target.user)}@${host}:${target.port}/${encodeURIComponent(target.database)}`;
}

/** Timers in Node take 31 bits. */
const largest = 2 ** 31 - 1;

const logLevels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"];

const variables = z.object({
  ...flagShape,
  POSTGRES_POOL_SIZE: wholeNumber(20, 2),
  POSTGRES_QUERY_TIMEOUT_MS: wholeNumber(30_000, 1),
  READ_FENCE_MS: wholeNumber(100, 0),
  FLIP_TIMEOUT_MS: wholeNumber(60_000, 1),
  ANALYSIS_TIMEOUT_MS: wholeNumber(30_000, 1),
  MIGRATION_TIMEOUT: wholeNumber(30_000, 0),
  MIGRATION_BATCH_SIZE: wholeNumber(0, 0),
  MIGRATION_EPOCHS: z
    .string()
    .optional()
    .transform((text = "") => (text.trim() === "" ? undefined : (epochChoices(text.split(",")) ?? null)))
    .refine((choices) => choices !== null, {
      error: "must be TABLE.COLUMN=s or TABLE.COLUMN=ms, several with commas between them, or s or ms for all columns",
    }),
  LOG_LEVEL: z
    .string()
    .optional()
    .transform((text) => text?.trim().toLowerCase() || null)
    .refine((level) => level === null || logLevels.includes(level), {
      error: `must be one of ${logLevels.join(", ")}`,
    }),
});

type Variables = z.infer<typeof variables>;

function wholeNumber(fallback: number, least: number) {
  return z
    .string()
    .optional()
    .transform((text) => (text === undefined || text.trim() === "" ? String(fallback) : text.trim()))
    .refine((text) => /^\d+$/.test(text) && Number(text) >= least && Number(text) <= largest, {
      error: `must be a whole number from ${least} to ${largest}`,
    })
    .transform(Number);
}

function missingPostgres(read: Variables): string[] {
  return (["USE_POSTGRES_PRIMARY", "USE_POSTGRES_READ", "USE_POSTGRES_SHADOW"] as const)
    .filter((flag) => read[flag])
    .map((flag) => `${flag} is on, but no PostgreSQL is named: set ${postgresVariables}`);
}

function invalid(problems: readonly string[]): DualDbError {
  const list = problems.map((problem) => `\n- ${problem}`).join("");
  return new DualDbError("CONFIG_INVALID", `The environment is not configured as it should be:${list}`, {
    details: { problems },
  });
}

function configOf(read: Variables, sqlite: SqliteConfig, postgres: PostgresConfig | null): Config {
  return {
    flags: { primary: read.USE_POSTGRES_PRIMARY, read: read.USE_POSTGRES_READ, shadow: read.USE_POSTGRES_SHADOW },
    sqlite,
    postgres,
    readFenceMs: read.READ_FENCE_MS,
    flipTimeoutMs: read.FLIP_TIMEOUT_MS,
    analysisTimeoutMs: read.ANALYSIS_TIMEOUT_MS,
    migrationTimeoutMs: read.MIGRATION_TIMEOUT,
    migrationBatchSize: read.MIGRATION_BATCH_SIZE || null,
    epochs: read.MIGRATION_EPOCHS ?? undefined,
    logLevel: read.LOG_LEVEL,
  };
}
