import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { type Engine, type ExactRow, type Side, statement } from "../../src/engines/engine.js";
import { openPostgres } from "../../src/engines/postgres.js";
import { silentLogger } from "../../src/logger.js";
import { freshDirectory, freshPostgres, freshSqlite } from "./databases.js";
import { openAt, script } from "./libsql.js";
import { configOf } from "./postgres-config.js";

/** One database with what a script makes there; closed when the test ends. */
export interface Place {
  /** The variables that name it. */
  readonly env: NodeJS.ProcessEnv;
  readonly engine: Engine;
}

export async function sqliteWith(text: string): Promise<Place & { readonly file: string }> {
  const file = freshSqlite();
  const engine = await openAt(file);
  onTestFinished(() => engine.close());
  await script(engine, text);
  return { env: { SQLITE_DB_PATH: file }, engine, file };
}

export async function postgresWith(text: string): Promise<Place & { readonly url: string }> {
  const url = await freshPostgres();
  const engine = openPostgres({ config: configOf(url), logger: silentLogger });
  onTestFinished(() => engine.close());
  await script(engine, text);
  return { env: { DATABASE_URL: url, SQLITE_DB_PATH: freshSqlite() }, engine, url };
}

/** A script that both sides understand. */
export async function placeWith(side: Side, text: string): Promise<Place> {
  return side === "sqlite" ? sqliteWith(text) : postgresWith(text);
}

/** The rows of a SELECT, with exact values. */
export async function rowsAt({ engine }: Pick<Place, "engine">, text: string): Promise<ExactRow[]> {
  return engine.transaction({ mode: "read" }, (transaction) => transaction.query(statement(text)));
}

/** A directory with these files. */
export function folderWith(files: Readonly<Record<string, string | Uint8Array>>): string {
  const directory = freshDirectory();
  for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content);
  return directory;
}
