import type { Side } from "../../src/engines/engine.js";

export interface DirectTargets {
  readonly sqliteFile: string;
  /** null until the databases are a pair: before that nothing refuses on PostgreSQL. */
  readonly postgresUrl: string | null;
}

const refused = "NOT_PRIMARY";

/** Writes that bypass the package, each on a connection of its own. */
export class DirectAccess {
  readonly #targets: DirectTargets;
  readonly sides: readonly Side[];

  constructor(targets: DirectTargets) {
    this.#targets = targets;
    this.sides = targets.postgresUrl === null ? ["sqlite"] : ["sqlite", "postgres"];
  }

  insertMessage(side: Side, id: string, user: string): Promise<void> {
    const columns = "(id, timestamp, sender_type, user_id, message_content, created_at)";
    const values = [id, Date.now(), "human", user, id, 1];
    if (side === "sqlite")
      return this.#onSqlite(
        `INSERT INTO messages ${columns} VALUES (?, CAST(? AS INTEGER), ?, ?, ?, CAST(? AS INTEGER))`,
        values,
      );
    return this.#onPostgres(`INSERT INTO messages ${columns} VALUES ($1, $2, $3, $4, $5, $6)`, values);
  }

  async #onSqlite(sql: string, args: (string | number)[]): Promise<void> {
    const { createClient } = await import("@libsql/client");
    const client = createClient({ url: `file:${this.#targets.sqliteFile}`, concurrency: 1 });
    try {
      await client.batch([{ sql, args }], "write");
    } catch (error) {
      if (String(error).includes(refused)) throw coded(refused);
      throw coded(/SQLITE_BUSY|locked/i.test(String(error)) ? "DATABASE_BUSY" : `UNEXPECTED ${String(error)}`);
    } finally {
      client.close();
    }
  }

  async #onPostgres(text: string, values: (string | number)[]): Promise<void> {
    const { default: pg } = await import("pg");
    const client = new pg.Client({
      connectionString: this.#targets.postgresUrl ?? "",
      connectionTimeoutMillis: 1_000,
      query_timeout: 3_000,
    });
    client.on("error", () => {});
    await client.connect().catch(() => {
      throw coded("DATABASE_UNAVAILABLE");
    });
    try {
      await client.query(text, values);
    } catch (error) {
      const sqlState = error instanceof Error && "code" in error ? String(error.code) : "";
      throw coded(sqlState === "DD001" ? refused : "OUTCOME_UNKNOWN");
    } finally {
      client.end().catch(() => {});
    }
  }
}

function coded(code: string): Error {
  return Object.assign(new Error(code), { code });
}
