import type { Flags } from "./route.js";

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
  /** pino's level; null leaves the package silent. */
  readonly logLevel: string | null;
}
