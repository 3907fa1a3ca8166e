import { type Client, createClient } from "@libsql/client";
import pg from "pg";
import { v7 } from "uuid";
import type { HumanMessage } from "../src/services/messages.js";
import { messages } from "../src/services/records.js";

const names = messages.columns.map(({ name }) => name);
/** The columns of a message, in the order in which the services name them. */
export const columns = names.map((name) => `"${name}"`).join(", ");

/** The INSERT that the service makes, with `?` or with `$1`. */
export const insertText = {
  sqlite: `INSERT INTO messages (${columns}) VALUES (${names.map(() => "?").join(", ")})`,
  postgres: `INSERT INTO messages (${columns}) VALUES (${names.map((_, index) => `$${index + 1}`).join(", ")})`,
};

/** The values for `insertText`, as somebody who writes by hand would bind them. */
export function valuesOf(message: HumanMessage): (string | number | null)[] {
  const now = Date.now();
  const row: Record<string, string | number | null> = {
    id: v7(),
    timestamp: now,
    sender_type: "human",
    user_id: message.userId,
    username: message.username,
    channel_id: message.channelId,
    channel_name: message.channelName,
    guild_id: message.guildId ?? null,
    message_content: message.messageContent,
    session_id: message.sessionId ?? null,
    response_decision: JSON.stringify(message.responseDecision),
    created_at: Math.trunc(now / 1_000),
  };
  return names.map((name) => row[name] ?? null);
}

/** The driver by itself on a file, with the pragmas of our engine. */
export async function rawSqlite(file: string): Promise<Client> {
  const client = createClient({ url: `file:${file}`, concurrency: 1 });
  await client.executeMultiple("PRAGMA foreign_keys=ON; PRAGMA synchronous=FULL; PRAGMA journal_mode=WAL;");
  return client;
}

/** The driver by itself, with as many connections as our engine. */
export class RawPostgres {
  readonly #pool: pg.Pool;

  constructor(url: string) {
    this.#pool = new pg.Pool({ connectionString: url, max: 20 });
    this.#pool.on("error", () => {});
  }

  async query(text: string, values: readonly unknown[] = []): Promise<Record<string, unknown>[]> {
    return (await this.#pool.query(text, [...values])).rows;
  }

  close(): Promise<void> {
    return this.#pool.end();
  }
}

/** Many messages in few transactions, for a database that is to hold some before anything is measured. */
export async function fillSqlite(client: Client, next: () => HumanMessage, count: number): Promise<void> {
  for (let done = 0; done < count; done += 1_000) {
    const size = Math.min(1_000, count - done);
    await client.batch(
      Array.from({ length: size }, () => ({ sql: insertText.sqlite, args: valuesOf(next()) })),
      "write",
    );
  }
}

export async function fillPostgres(raw: RawPostgres, next: () => HumanMessage, count: number): Promise<void> {
  for (let done = 0; done < count; done += 1_000) {
    const rows = Array.from({ length: Math.min(1_000, count - done) }, () => valuesOf(next()));
    const marks = rows.map((row, at) => `(${row.map((_, index) => `$${at * row.length + index + 1}`).join(", ")})`);
    await raw.query(`INSERT INTO messages (${columns}) VALUES ${marks.join(", ")}`, rows.flat());
  }
}
