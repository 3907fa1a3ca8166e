import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { Environment, SqliteConfig } from "../config.js";

/** Where SQLite is: a libSQL server or a file. undefined, and a problem more, where the variables make no sense. */
export function findSqlite(env: Environment, problems: string[]): SqliteConfig | undefined {
  const address = env.TURSO_DATABASE_URL?.trim();
  const authToken = env.TURSO_AUTH_TOKEN?.trim() || undefined;
  if (!address) return fileConfig("SQLITE_DB_PATH", env.SQLITE_DB_PATH?.trim() || "./omega.db", problems);
  if (/^file:/i.test(address)) return fileConfig("TURSO_DATABASE_URL", address, problems);
  if (/^(libsql|https?|wss?):\/\/[^/]/i.test(address)) return { url: address, authToken, file: null };
  problems.push("TURSO_DATABASE_URL must be a libsql:, https:, http:, wss:, ws: or file: URL");
  return undefined;
}

function fileConfig(variable: string, location: string, problems: string[]): SqliteConfig | undefined {
  const path = /^file:/i.test(location) ? pathOf(location) : location;
  if (path === undefined) {
    problems.push(`${variable} is not a file: URL that names a file and nothing else`);
  } else if (path === ":memory:") {
    problems.push(`${variable} names a database in memory, which loses every write; name a file`);
  } else {
    // Absolute, so that a reconnect after process.chdir() opens the same file.
    const file = resolve(path);
    return { url: pathToFileURL(file).href, authToken: undefined, file };
  }
  return undefined;
}

/** SQLite's file: URLs may be relative, which `URL` does not allow. */
function pathOf(url: string): string | undefined {
  const path = /^file:(?:\/\/(?:localhost)?(?=\/))?([^?#]+)$/i.exec(url)?.[1];
  if (path === undefined || path.startsWith("//")) return undefined;
  try {
    return decodeURIComponent(path).replace(/^\/(?=[A-Za-z]:[\\/])/, "");
  } catch {
    return undefined;
  }
}
