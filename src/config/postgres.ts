import { readFileSync } from "node:fs";
import { userInfo } from "node:os";
import type { Environment, PostgresConfig } from "../config.js";

/** What does not depend on which variables name the server. */
export type PostgresLimits = Pick<PostgresConfig, "poolSize" | "queryTimeoutMs">;

/** Where PostgreSQL is: null where no variable names one; undefined, and problems more, where one does and makes no sense. */
export function findPostgres(
  env: Environment,
  limits: PostgresLimits,
  problems: string[],
): PostgresConfig | null | undefined {
  const variable = urlVariables.find((name) => /^postgres(ql)?:/i.test(env[name]?.trim() ?? ""));
  if (variable === undefined && !env.POSTGRES_HOST?.trim()) return null;
  const before = problems.length;
  const parts =
    variable === undefined ? partsOfVariables(env) : partsOfUrl(variable, env[variable]?.trim() ?? "", problems);
  const ca = readAuthority(env, parts, problems);
  const config = parts === undefined ? undefined : complete(parts, ca, limits, variable, problems);
  return problems.length === before ? config : undefined;
}

const urlVariables = ["DATABASE_URL", "POSTGRES_URL", "DATABASE_PUBLIC_URL"] as const;
const sslModes = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] as const;

/** The parts of an address as text; whatever is missing is undefined or empty. */
interface Parts {
  readonly host: string | undefined;
  readonly port: string | undefined;
  readonly database: string | undefined;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly sslMode: string | undefined;
  readonly sslRootCertificate: string | undefined;
}

function partsOfVariables(env: Environment): Parts {
  return {
    host: env.POSTGRES_HOST?.trim().replace(/^\[(.*)\]$/, "$1"),
    port: env.POSTGRES_PORT?.trim(),
    database: env.POSTGRES_DB?.trim(),
    user: env.POSTGRES_USER?.trim(),
    password: env.POSTGRES_PASSWORD,
    sslMode: undefined,
    sslRootCertificate: undefined,
  };
}

/** What stands in the URL's path and authority wins over its query, where libpq allows the same names. */
function partsOfUrl(variable: string, text: string, problems: string[]): Parts | undefined {
  try {
    const url = new URL(text);
    const query = (name: string) => url.searchParams.get(name) ?? undefined;
    return {
      host: decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, "$1") || query("host"),
      port: url.port || query("port"),
      database: decodeURIComponent(url.pathname.slice(1)) || query("dbname"),
      user: decodeURIComponent(url.username) || query("user"),
      password: decodeURIComponent(url.password) || query("password"),
      sslMode: query("sslmode"),
      sslRootCertificate: query("sslrootcert"),
    };
  } catch {
    // Not the cause: it holds the whole URL, password included.
    problems.push(`${variable} is not a valid URL; percent-encode special characters in its user name and password`);
    return undefined;
  }
}

function readAuthority(env: Environment, parts: Parts | undefined, problems: string[]): string | undefined {
  const given = env.POSTGRES_CA?.trim();
  if (given?.includes("-----BEGIN")) return given.replaceAll("\\n", "\n");
  const named = parts?.sslRootCertificate === "system" ? undefined : parts?.sslRootCertificate;
  const path = given || named;
  if (!path) return undefined;
  try {
    return readFileSync(path, "utf8");
  } catch {
    problems.push(`${given ? "POSTGRES_CA" : "sslrootcert"} is neither PEM text nor a file that can be read`);
    return undefined;
  }
}

function complete(
  parts: Parts,
  ca: string | undefined,
  limits: PostgresLimits,
  variable: string | undefined,
  problems: string[],
): PostgresConfig {
  const user = parts.user || operatingSystemUser();
  const where = variable ?? "POSTGRES_HOST";
  if (parts.host?.includes(",")) problems.push(`${where} names several hosts; name one`);
  return {
    host: parts.host || "localhost",
    port: portOf(parts.port, variable ?? "POSTGRES_PORT", problems),
    database: parts.database || user,
    user,
    password: parts.password || undefined,
    sslMode: sslModeOf(parts.sslMode, ca, where, problems),
    ca,
    ...limits,
  };
}

function portOf(text: string | undefined, variable: string, problems: string[]): number {
  const port = Number(text || "5432");
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    problems.push(`${variable} has a port that is not a number from 1 to 65535`);
  return port;
}

/**
 * libpq's default is `prefer`, which verifies nothing: whoever names an authority wants it asked. With an authority, libpq's
 * `require` is `verify-ca`.
 */
function sslModeOf(
  text: string | undefined,
  ca: string | undefined,
  variable: string,
  problems: string[],
): PostgresConfig["sslMode"] {
  if (!text) return ca === undefined ? "prefer" : "verify-full";
  const mode = sslModes.find((known) => known === text.toLowerCase());
  if (mode === undefined) problems.push(`${variable} has an sslmode that is not one of ${sslModes.join(", ")}`);
  return mode === "require" && ca !== undefined ? "verify-ca" : (mode ?? "verify-full");
}

/** As libpq does; a container may run under a number that has no name. */
function operatingSystemUser(): string {
  try {
    return userInfo().username;
  } catch {
    return "postgres";
  }
}
