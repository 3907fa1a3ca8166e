import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { FindingCount } from "../../src/migrate/copy/report.js";
import { copy } from "../../src/migrate/copy.js";
import { doctor } from "../../src/migrate/doctor.js";
import { importData } from "../../src/migrate/import.js";
import { rejectsIn } from "../../src/migrate/rejects.js";
import { verify } from "../../src/migrate/verify.js";
import { freshDirectory, freshPostgres, freshSqlite } from "../support/databases.js";
import { found } from "../support/differences.js";
import { openAt, script } from "../support/libsql.js";
import { TestPair } from "../support/pair.js";
import { runAt } from "../support/postgres.js";
import { Recorder } from "../support/recorder.js";

/** A column of PostgreSQL without a rule of ours: texts of which its input makes something else, and others that it keeps. */
interface Type {
  readonly type: string;
  readonly altered: readonly string[];
  readonly kept: readonly string[];
}

const types: Readonly<Record<string, Type>> = {
  numbers: { type: "numeric(5,2)[]", altered: ["{1.005}"], kept: ["{ 1.5 , 2 }", "{1e1,NULL}"] },
  whens: { type: "timestamp[]", altered: ['{"2024-01-01 10:00:00+02"}'], kept: ["{2024-01-01T10:00:00Z}"] },
  floats: { type: "real[]", altered: ["{16777217}"], kept: ["{0.10,16777216}"] },
  price: { type: "money", altered: ["12.505", "12.5"], kept: ["$12.50"] },
  span: { type: "interval(0)", altered: ["01:02:03.7", "90 minutes"], kept: ["1 day 02:00:00"] },
  object: { type: "oid", altered: ["-1"], kept: ["4294967295"] },
  days: { type: "daterange", altered: ["[2024-01-01 10:00,2024-02-01)"], kept: ["[2024-01-01, 2024-02-01)"] },
  address: { type: "inet", altered: [], kept: ["10.0.0.1/32", "2001:DB8::1"] },
  short: { type: "varchar(3)[]", altered: ['{"abc  "}'], kept: ["{abc}"] },
  documents: { type: "jsonb[]", altered: ['{"{\\"a\\":1,\\"a\\":2}"}'], kept: ['{"{\\"a\\":1}"}'] },
  rounded: { type: "own_numbers", altered: ["{2.675}"], kept: ["{2.68}"] },
};

const domain = "CREATE DOMAIN own_numbers AS numeric(5,2)[] CHECK (cardinality(value) < 3)";

/** One row for each text; the others of its columns are NULL. */
const rows = Object.entries(types).flatMap(([column, { altered, kept }]) => [
  ...altered.map((text, index) => ({ id: `${column} altered ${index}`, column, text, isAltered: true })),
  ...kept.map((text, index) => ({ id: `${column} kept ${index}`, column, text, isAltered: false })),
]);
/** PostgreSQL does not take these at all; a cast would cut the first to what it has a place for. */
const refused = [
  { id: "refused 0", column: "short", text: "{abcd}" },
  { id: "refused 1", column: "numbers", text: "{none}" },
];

const definition = (type: (name: string) => string) =>
  `CREATE TABLE odd (id TEXT PRIMARY KEY, ${Object.keys(types)
    .map((name) => `${name} ${type(name)}`)
    .join(", ")})`;
const onSqlite = definition(() => "TEXT");
const onPostgres = definition((name) => types[name]?.type ?? "");
const inserts = (all: readonly { id: string; column: string; text: string }[]) =>
  all.map(({ id, column, text }) => `INSERT INTO odd (id, ${column}) VALUES ('${id}', '${text}')`).join("; ");

/** `key column`, of what was altered. */
const expected = rows.filter(({ isAltered }) => isAltered).map(({ id, column }) => `${id} ${column}`);

function named(findings: readonly FindingCount[]): string[] {
  const altered = findings.filter(({ action }) => action === "altered");
  expect(
    altered.every(({ reason, column }) => reason === `PostgreSQL's ${catalogued(column)} makes another text of it`),
  ).toBe(true);
  return altered.flatMap(({ column, keys }) => keys.map((key) => `${key} ${column}`));
}

/** As PostgreSQL's catalogue spells it. */
function catalogued(column: string): string {
  return (types[column]?.type ?? "")
    .replace("timestamp[]", "timestamp without time zone[]")
    .replace("varchar", "character varying");
}

async function databases(more = "") {
  const file = freshSqlite();
  const engine = await openAt(file);
  await script(engine, `${onSqlite}; ${inserts(rows)}; ${more}`);
  await engine.close();
  const postgres = await freshPostgres();
  await runAt(postgres, `${domain}; ${onPostgres}`);
  return { env: {}, sqlite: file, postgres, rejects: join(freshDirectory(), "rejects") };
}

const held = (url: string) => runAt(url, 'SELECT id FROM odd ORDER BY id COLLATE "C"');

describe("a value that only PostgreSQL's own input understands, and of which it makes another", () => {
  test("is altered to the doctor and to a copy, which agree; a second copy finds the rows there, and verify finds them equal", async () => {
    const given = await databases(inserts(refused));
    const looked = await doctor(given);
    expect(looked.healthy).toBe(false);
    expect(named(looked.findings).sort()).toEqual([...expected].sort());
    expect(
      looked.findings
        .filter(({ action }) => action === "refused")
        .flatMap(({ keys }) => keys)
        .sort(),
    ).toEqual(["refused 0", "refused 1"]);
    const copied = await copy(given);
    expect(named(copied.tables.flatMap(({ findings }) => findings)).sort()).toEqual([...expected].sort());
    expect(copied.tables).toMatchObject([{ read: rows.length + 2, written: rows.length, setAside: 2 }]);
    expect(await held(given.postgres)).toHaveLength(rows.length);
    const again = await copy(given);
    expect(again.tables).toMatchObject([{ written: 0, alreadyThere: rows.length, setAside: 2 }]);
    expect(named(again.tables.flatMap(({ findings }) => findings)).sort()).toEqual([...expected].sort());
    expect(found(await verify(given))).toEqual(["missing refused 0", "missing refused 1"]);
    // What PostgreSQL refuses is no equal of what a cast to the column's length would leave of it.
    await runAt(
      given.postgres,
      "INSERT INTO odd (id, short) VALUES ('refused 0', '{abc}'); UPDATE odd SET numbers = '{1.02}' WHERE id = 'numbers altered 0'",
    );
    expect(found(await verify(given))).toEqual([
      "different numbers altered 0 numbers",
      "different refused 0 short",
      "missing refused 1",
    ]);
  });

  test("is altered to a copy that is all or nothing, and to one that is fed back", async () => {
    const strict = await databases();
    expect(named((await copy({ ...strict, strict: true })).tables.flatMap(({ findings }) => findings)).sort()).toEqual(
      [...expected].sort(),
    );
    const given = await databases(inserts(refused.slice(1)));
    await copy(given);
    const file = join(given.rejects, "odd.jsonl");
    for await (const { reject } of rejectsIn(file))
      writeFileSync(file, `${JSON.stringify({ ...reject, row: { ...reject.row, numbers: "{7.777}" } })}\n`);
    const fed = await copy({ ...given, retryRejects: true });
    expect(named(fed.tables.flatMap(({ findings }) => findings))).toEqual(["refused 1 numbers"]);
  });

  test("is altered to an import, into an empty table and into one that has rows", async () => {
    const file = join(freshDirectory(), "data.json");
    writeFileSync(file, JSON.stringify({ odd: rows.map(({ id, column, text }) => ({ id, [column]: text })) }));
    const { env, postgres } = await databases();
    for (const written of [{ inserted: rows.length }, { inserted: 0, equal: rows.length }]) {
      const { tables } = await importData({ env, postgres, to: "postgres", file });
      expect(tables).toMatchObject([written]);
      expect(named(tables.flatMap(({ findings }) => findings)).sort()).toEqual([...expected].sort());
    }
  });

  test("is altered to the mirror, once for each row that is owed, and to a copy in a pair", async () => {
    for (const byCopy of [false, true]) {
      const pair = await TestPair.create();
      await runAt(pair.url, `${domain}; ${onPostgres}`);
      const logger = new Recorder();
      const before = await pair.open("---");
      await script(await pair.sqlite, onSqlite);
      await before.close();
      const database = byCopy ? null : await pair.open("S", { logger });
      if (byCopy) await (await pair.open("S")).close();
      await script(await pair.sqlite, inserts(rows));
      if (byCopy) {
        const { tables } = await copy({ env: pair.env("---"), tables: ["odd"] });
        expect(named(tables.flatMap(({ findings }) => findings)).sort()).toEqual([...expected].sort());
      } else {
        expect(await database?.drain({ timeoutMs: 60_000 })).toEqual({ pending: 0, quarantined: 0 });
        const told = logger.of("finding").map(({ fields: { key, column } }) => `${key} ${column}`);
        expect(told.sort()).toEqual([...expected].sort());
      }
    }
  });

  test("makes no difference between tables without a key", async () => {
    const file = freshSqlite();
    const engine = await openAt(file);
    await script(
      engine,
      "CREATE TABLE spans (span TEXT, price TEXT); INSERT INTO spans VALUES ('90 minutes', '12.505'), ('90 minutes', NULL)",
    );
    await engine.close();
    const postgres = await freshPostgres();
    await runAt(postgres, "CREATE TABLE spans (span interval, price money)");
    const given = { env: {}, sqlite: file, postgres, rejects: join(freshDirectory(), "rejects") };
    expect((await doctor(given)).findings).toMatchObject([
      { count: 2, column: "span" },
      { count: 1, column: "price" },
    ]);
    expect((await copy(given)).tables).toMatchObject([{ written: 2, findings: [{ count: 2 }, { count: 1 }] }]);
    expect((await verify(given)).keyless).toMatchObject([{ same: true }]);
    await runAt(postgres, "UPDATE spans SET span = '91 minutes' WHERE price IS NULL");
    expect((await verify(given)).keyless).toMatchObject([{ same: false }]);
  });
});
