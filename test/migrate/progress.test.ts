import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { copy } from "../../src/migrate/copy.js";
import { exportData } from "../../src/migrate/export.js";
import type { Progress } from "../../src/migrate/progress.js";
import { verify } from "../../src/migrate/verify.js";
import { commandLine } from "../support/command-line.js";
import { freshDirectory, freshPostgres, freshSqlite } from "../support/databases.js";
import { openAt, script } from "../support/libsql.js";
import { runAt } from "../support/postgres.js";

const numbers = (n: number) => `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${n})`;

/** Tables whose rowids say little about how many rows there are, or that have none. */
const odd = `
  CREATE TABLE outlier (id INTEGER PRIMARY KEY, name TEXT);
  ${numbers(3_000)} INSERT INTO outlier SELECT i, 'row ' || i FROM n; INSERT INTO outlier VALUES (999999999, 'far away');
  CREATE TABLE without (id TEXT PRIMARY KEY, name TEXT) WITHOUT ROWID; ${numbers(3_000)} INSERT INTO without SELECT 'k' || i, 'row' FROM n;
  CREATE TABLE keyless (name TEXT); ${numbers(3_000)} INSERT INTO keyless SELECT 'row ' || i FROM n; DELETE FROM keyless WHERE rowid < 2500;
  CREATE TABLE none (id INTEGER PRIMARY KEY);`;

const rowsOf = { keyless: 501, none: 0, outlier: 3_001, without: 3_000 };

/** What a run has told: of each table the first total, and how it ended. */
class Listener {
  readonly first = new Map<string, number | null>();
  readonly last = new Map<string, Pick<Progress, "rows" | "total">>();

  readonly onProgress = ({ step, table, rows, total }: Progress): void => {
    if (table === null || !["copy", "compare", "export"].includes(step)) return;
    if (!this.first.has(table)) this.first.set(table, total);
    this.last.set(table, { rows, total });
  };
}

const ended = Object.entries(rowsOf).map(([table, rows]) => [table, { rows, total: rows }]);

async function databases() {
  const sqlite = freshSqlite();
  const engine = await openAt(sqlite);
  await script(engine, odd);
  await engine.close();
  return { env: {}, sqlite, postgres: await freshPostgres(), rejects: join(freshDirectory(), "rejects") };
}

describe("the progress of a table", () => {
  test("has the right total from the beginning, whatever its rowids are, and ends at all of its rows", async () => {
    const both = await databases();
    const [copied, compared, exported] = [new Listener(), new Listener(), new Listener()];
    await copy({ ...both, createTables: true, onProgress: copied.onProgress });
    expect(Object.fromEntries(copied.first)).toEqual(rowsOf);
    expect([...copied.last].sort()).toEqual(ended);
    expect((await verify({ ...both, onProgress: compared.onProgress })).equal).toBe(true);
    expect(Object.fromEntries(compared.first)).toEqual(rowsOf);
    expect([...compared.last].sort()).toEqual(ended);
    await exportData({ ...both, directory: join(freshDirectory(), "out"), onProgress: exported.onProgress });
    expect(Object.fromEntries(exported.first)).toEqual(rowsOf);
    expect([...exported.last].sort()).toEqual(ended);
  });

  test("ends there although PostgreSQL remembers more rows than there are, or none", async () => {
    const postgres = await freshPostgres();
    await runAt(
      postgres,
      `CREATE TABLE fewer (id int PRIMARY KEY) WITH (autovacuum_enabled = off); INSERT INTO fewer SELECT generate_series(1, 900); ANALYZE fewer;
       DELETE FROM fewer WHERE id > 90;
       CREATE TABLE more (id int PRIMARY KEY) WITH (autovacuum_enabled = off); INSERT INTO more VALUES (0); ANALYZE more; INSERT INTO more SELECT generate_series(1, 89);
       CREATE TABLE never (id int PRIMARY KEY) WITH (autovacuum_enabled = off); INSERT INTO never SELECT generate_series(1, 90)`,
    );
    const exported = new Listener();
    const directory = join(freshDirectory(), "out");
    await exportData({ env: {}, postgres, from: "postgres", directory, onProgress: exported.onProgress });
    expect(Object.fromEntries(exported.first)).toEqual({ fewer: 900, more: expect.any(Number), never: 90 });
    expect([...exported.last.values()]).toEqual(Array(3).fill({ rows: 90, total: 90 }));
  });

  test("is shown on the screen to its end", async () => {
    const both = await databases();
    const screens: string[] = [];
    const args = ["export", "--sqlite", both.sqlite, "--dir", join(freshDirectory(), "out"), "--tables", "outlier"];
    const { status } = await commandLine(args, { onScreen: (text) => screens.push(text) });
    expect(status).toBe(0);
    expect(screens.join("")).toContain("of 3,001 rows");
    expect(screens.join("")).not.toContain("999,999");
  });
});
