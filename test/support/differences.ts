import sql, { raw } from "sql-template-tag";
import { expect } from "vitest";
import type { DualDatabase } from "../../src/database.js";
import type { Side } from "../../src/engines/engine.js";
import type { VerifyReport } from "../../src/migrate/verify.js";
import { script } from "./libsql.js";
import { type PairOptions, TestPair } from "./pair.js";

/** Every difference as `kind key columns`, in the order of the keys. */
export function found(report: VerifyReport): string[] {
  return report.tables
    .flatMap(({ differences }) => differences)
    .map((row) => [row.kind, row.key, ...(row.kind === "different" ? row.columns : [])].join(" "))
    .sort();
}

const columns = `id, timestamp, sender_type, user_id, message_content, metadata, created_at`;

/** Messages m0000, m0001 … on one side. */
function fill(side: Side, rows: number): string {
  const n = (digits: string) => `'m' || ${digits}`;
  if (side === "sqlite")
    return `WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows - 1})
      INSERT INTO messages (${columns}) SELECT ${n("printf('%04d', i)")}, 1700000000000 + i, 'human', '123456789012345678', 'words of row ' || i, '{"n":' || i || ',"list":[1.50]}', 1700000000 FROM n`;
  return `INSERT INTO messages (${columns}) SELECT ${n("lpad(i::text, 4, '0')")}, 1700000000000 + i, 'human', '123456789012345678', 'words of row ' || i, ('{"list":[1.5],"n":' || i || '}')::jsonb, 1700000000 FROM generate_series(0, ${rows - 1}) AS i`;
}

/** Changes one side as the mirror would: no trigger says no, and nothing is journaled. */
export function plant(pair: TestPair, side: Side, ...statements: readonly string[]): Promise<void> {
  return side === "postgres" ? plantOnPostgres(pair, statements) : plantOnSqlite(pair, statements);
}

async function plantOnPostgres(pair: TestPair, statements: readonly string[]): Promise<void> {
  await pair.postgres.transaction({ mode: "write" }, async (transaction) => {
    await transaction.script(["SELECT set_config('dualdb.mirror', 'on', true)", ...statements].join("; "));
  });
}

async function plantOnSqlite(pair: TestPair, statements: readonly string[]): Promise<void> {
  const text = ["INSERT INTO dualdb_guard (id, never) VALUES (1, 1)", ...statements, "DELETE FROM dualdb_guard"];
  await script(await pair.sqlite, text.join("; "));
}

export async function filledPair(
  letters: string,
  rows: number,
  options: PairOptions = {},
): Promise<{ pair: TestPair; database: DualDatabase }> {
  const pair = await TestPair.create(options);
  const database = await pair.open(letters);
  const side = letters.startsWith("P") ? "postgres" : "sqlite";
  await database.write(sql`${raw(fill(side, rows))}`);
  expect(await database.drain({ timeoutMs: 20_000 })).toEqual({ pending: 0, quarantined: 0 });
  return { pair, database };
}

/** Eight writers that insert, change and delete rows until `stop`; none touches a row whose number ends in 7. */
export function writers(database: DualDatabase, rows: number): { stop(): Promise<number> } {
  let stopped = false;
  let writes = 0;
  const write = async (writer: number): Promise<void> => {
    for (let turn = 0; !stopped; turn++) {
      const id = `m${String(10 * ((turn * 37 + writer * 11) % (rows / 10)) + (writer % 7)).padStart(4, "0")}`;
      if (turn % 3 === 0) await database.write(sql`DELETE FROM messages WHERE id = ${id}`);
      else if (turn % 3 === 1)
        await database.write(sql`UPDATE messages SET message_content = ${`turn ${turn}`} WHERE id = ${id}`);
      else
        await database.write(sql`INSERT INTO messages (id, timestamp, sender_type, message_content) VALUES (${`w${writer}-${turn}`}, ${turn}, 'ai', 'new')
          ON CONFLICT (id) DO NOTHING`);
      writes++;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  };
  const running = Promise.all(Array.from({ length: 8 }, (_, writer) => write(writer)));
  return {
    async stop() {
      stopped = true;
      await running;
      return writes;
    },
  };
}
