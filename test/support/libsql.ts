import type { SqliteConfig } from "../../src/config.js";
import type { Column, Kind } from "../../src/data/table.js";
import type { Engine, Statement } from "../../src/engines/engine.js";
import { openLibsql } from "../../src/engines/libsql.js";
import type { ConnectionOptions } from "../../src/engines/libsql-connection.js";
import { silentLogger } from "../../src/logger.js";

/** A statement for SQLite alone. */
export function sqlite(sql: string, ...values: readonly unknown[]): Statement {
  return { sql, text: "", values };
}

export function column(name: string, kind: Kind): Column {
  return { name, kind, notNull: false };
}

export function fileConfig(file: string): SqliteConfig {
  return { url: `file:${file}`, authToken: undefined, file };
}

export function serverConfig(url: string, authToken?: string): SqliteConfig {
  return { url, authToken, file: null };
}

/** An engine on a file, or on the server of a config. */
export function openAt(where: string | SqliteConfig, options: Partial<ConnectionOptions> = {}): Promise<Engine> {
  const config = typeof where === "string" ? fileConfig(where) : where;
  return openLibsql({ config, logger: silentLogger, ...options });
}

/** Runs several statements, as they stand in a file. */
export function script(engine: Engine, text: string): Promise<void> {
  return engine.transaction({ mode: "write" }, (transaction) => transaction.script(text));
}

/** The one value of a SELECT that returns one. */
export async function oneValue(engine: Engine, sql: string, ...values: readonly unknown[]): Promise<unknown> {
  const [row] = await engine.read(sqlite(sql, ...values));
  return Object.values(row ?? {})[0];
}
