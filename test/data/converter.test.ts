import { describe, expect, onTestFinished, test } from "vitest";
import { converterOf, toPostgres } from "../../src/data/conversion/convert.js";
import { rowsOf } from "../../src/data/rows/rows.js";
import type { Column, Table } from "../../src/data/table.js";
import { openPostgres } from "../../src/engines/postgres.js";
import { silentLogger } from "../../src/logger.js";
import { freshPostgres } from "../support/databases.js";
import { runAt } from "../support/postgres.js";
import { configOf } from "../support/postgres-config.js";

function table(key: Column, ...columns: Column[]): Table {
  return { name: "t", columns: [key, ...columns], key: [key.name], uniques: [], foreignKeys: [] };
}

const column = (name: string, more: Partial<Column> = {}): Column => ({ name, kind: "text", notNull: false, ...more });

describe("a converter", () => {
  test("is made once for each table, and says nothing where there is nothing to say", () => {
    const one = table(column("id"), column("n", { kind: "bigint", type: "bigint" }));
    const convert = converterOf(one, "postgres");
    expect(converterOf(one, "postgres")).toBe(convert);
    expect(converterOf(one, "sqlite")).not.toBe(convert);
    const first = convert({ key: "a", values: ["a", 1] });
    const dirty = convert({ key: "b", values: ["b\0", "x"] });
    const last = convert({ key: "c", values: ["c", null] });
    expect(first.findings).toBe(last.findings);
    expect(first).toEqual({ key: "a", values: ["a", 1], findings: [] });
    expect(dirty.findings.map(({ key, column: name, action }) => [key, name, action])).toEqual([
      ["b", "id", "refused"],
      ["b", "n", "refused"],
    ]);
  });

  test("refuses a key that the other side would spell in another way, since it would name another row", () => {
    const uuid = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
    const cases: readonly (readonly [type: string, kind: Column["kind"], value: string | number, refused: boolean])[] =
      [
        ["uuid", "other", uuid, false],
        ["uuid", "other", uuid.toUpperCase(), true],
        ["numeric", "numeric", 5, false],
        ["numeric", "numeric", "007", true],
        ["bigint", "bigint", 5, false],
        ["bigint", "bigint", "05", true],
        ["date", "other", "2024-01-01", false],
        ["date", "other", "2024-01-01 00:00:00", true],
      ];
    for (const [type, kind, value, refused] of cases) {
      const { findings } = toPostgres(table(column("id", { kind, type })), { key: String(value), values: [value] });
      expect([type, value, findings.map(({ action }) => action)]).toEqual([type, value, refused ? ["refused"] : []]);
      const other = toPostgres(table(column("id"), column("x", { kind, type })), { key: "k", values: ["k", value] });
      expect(other.findings).toEqual([]);
    }
  });

  test("names NULL where the target refuses it, by the target's rule", () => {
    const one = table(column("id"), column("x", { notNull: true, sqliteNotNull: false }));
    const row = { key: "a", values: ["a", null] };
    expect(converterOf(one, "postgres")(row).findings).toMatchObject([{ column: "x", action: "refused" }]);
    expect(converterOf(one, "sqlite")(row).findings).toEqual([]);
  });

  test("gives a column of bytes the very bytes of a text that is no UTF-8", () => {
    const one = table(column("id"), column("x", { kind: "blob", type: "bytea" }), column("y"));
    const bytes = new Uint8Array([0x68, 0xe9]);
    const repaired = new Map([
      ["x", bytes],
      ["y", bytes],
    ]);
    const { values, findings } = converterOf(
      one,
      "postgres",
    )({ key: "a", values: ["a", "h\ufffd", "h\ufffd"], repaired });
    expect(values).toEqual(["a", bytes, "h\ufffd"]);
    expect(findings.map(({ column: name, action, reason }) => `${name} ${action}: ${reason}`)).toEqual([
      "x altered: text in a column of bytes",
      "y altered: text that is not UTF-8",
    ]);
  });
});

test("rows of PostgreSQL read the same, whatever the database is set to", async () => {
  const url = await freshPostgres();
  const engine = openPostgres({ config: configOf(url), logger: silentLogger });
  onTestFinished(() => engine.close());
  const name = new URL(url).pathname.slice(1);
  await runAt(url, `ALTER DATABASE "${name}" SET DateStyle = 'German, DMY'`);
  await runAt(url, `ALTER DATABASE "${name}" SET TimeZone = 'Asia/Kathmandu'`);
  await runAt(url, "CREATE TABLE t (id text PRIMARY KEY, d date, s timestamp, z timestamptz, c char(4))");
  await runAt(
    url,
    `INSERT INTO t VALUES ('a', '2024-02-03', '2024-02-03 04:05:06.5', '2024-02-03 04:05:06+00', 'x'), ('b', 'infinity', '-infinity', 'infinity', NULL),
    ('c', '0044-03-15 BC', '0044-03-15 BC', '0044-03-15 00:00:00+00 BC', '')`,
  );
  const types = { d: "date", s: "timestamp without time zone", z: "timestamp with time zone" };
  const columns = Object.entries(types).map(([field, type]) => column(field, { kind: "other", type }));
  const one = table(column("id"), ...columns, column("c", { type: "character(4)" }));
  const rows = await engine.transaction({ mode: "read" }, (transaction) =>
    rowsOf("postgres").read(transaction, one, ["a", "b", "c"]),
  );
  expect(rows.map(({ values }) => values)).toEqual([
    ["a", "2024-02-03", "2024-02-03T04:05:06.5", "2024-02-03T04:05:06Z", "x"],
    ["b", "infinity", "-infinity", "infinity", null],
    ["c", "0044-03-15 BC", "0044-03-15T00:00:00 BC", "0044-03-15T00:00:00Z BC", ""],
  ]);
});
