import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { exportData } from "../../src/migrate/export.js";
import { MarkingDecoder, unmarked } from "../../src/migrate/import/marked-text.js";
import { importData } from "../../src/migrate/import.js";
import type { Progress } from "../../src/migrate/progress.js";
import { freshDirectory } from "../support/databases.js";
import { folderWith, type Place, placeWith, rowsAt, sqliteWith } from "../support/places.js";

type Side = "sqlite" | "postgres";

/** Imports rows of a table `t`, in JSON, and tells of each finding its kind, with the keys. */
async function findingsOf({ env }: Place, side: Side, json: string | Uint8Array) {
  const rejects = join(freshDirectory(), "rejects");
  const { tables } = await importData({ env, to: side, directory: folderWith({ "t.json": json }), rejects });
  const findings = tables[0]?.findings.map(({ column, reason, action, keys }) => [action, column, reason, keys]);
  return { findings, rejects };
}

describe.each(["sqlite", "postgres"] as const)("what other tools' JSON says, into %s", (side) => {
  const schema =
    side === "sqlite"
      ? "CREATE TABLE t (id TEXT PRIMARY KEY, text TEXT, n INTEGER, r REAL, d NUMERIC, doc JSON)"
      : "CREATE TABLE t (id text PRIMARY KEY, text text, n bigint, r double precision, d numeric, doc jsonb)";
  const spelled = (name: string) => (side === "sqlite" ? `CAST(${name} AS TEXT) AS ${name}` : `${name}::text`);

  test("numbers go into text with all their digits, and all else as JSON has it", async () => {
    const place = await placeWith(side, schema);
    const values = ["12345678901234567890123", "0.12345678901234567890", "-1.50", "1e400", "true", '{"a":[1.0,null]}'];
    const { findings } = await findingsOf(
      place,
      side,
      `[${values.map((value, index) => `{"id":"${index}","text":${value}}`).join(",")}]`,
    );
    expect(findings).toEqual([]);
    expect(await rowsAt(place, "SELECT text FROM t ORDER BY id")).toEqual(values.map((text) => ({ text })));
  });

  test("what a column of numbers cannot hold exactly is altered, or refused, and never silently", async () => {
    const place = await placeWith(side, schema);
    const { findings } = await findingsOf(
      place,
      side,
      `[{"id":"fine","n":9223372036854775807,"r":0.30000000000000004,"d":0.5}, {"id":"negative","n":-9223372036854775808,"r":-1e-7,"d":-7},
        {"id":"beyond","n":99999999999999999999}, {"id":"beyond text","n":"99999999999999999999"}, {"id":"digits","r":0.12345678901234567890},
        {"id":"odd","r":9007199254740993}, {"id":"huge","r":1e400}, {"id":"tiny","r":1e-400}]`,
    );
    const kinds = findings?.map(([action, column, , keys]) => [action, column, keys]);
    expect(new Set(kinds)).toEqual(
      new Set([
        ["altered", "r", side === "sqlite" ? ["digits", "odd"] : ["digits"]],
        ...(side === "sqlite" ? [] : [["altered", "r", ["odd"]]]),
        ["refused", "n", ["beyond", "beyond text"]],
        ["refused", "r", ["huge", "tiny"]],
      ]),
    );
    expect(await rowsAt(place, `SELECT id, n, r FROM t WHERE id IN ('fine', 'digits') ORDER BY id`)).toEqual([
      { id: "digits", n: null, r: 0.12345678901234568 },
      { id: "fine", n: 9_223_372_036_854_775_807n, r: 0.30000000000000004 },
    ]);
  });

  test("a decimal column keeps what it can", async () => {
    const place = await placeWith(side, schema);
    const { findings } = await findingsOf(
      place,
      side,
      '[{"id":"a","d":12345678901234567890123},{"id":"b","d":0.10},{"id":"c","d":"007"}]',
    );
    expect(findings?.map(([action, , , keys]) => [action, keys])).toEqual(
      side === "sqlite" ? [["altered", ["a"]]] : [],
    );
    expect(await rowsAt(place, `SELECT ${spelled("d")} FROM t WHERE id <> 'a' ORDER BY id`)).toEqual(
      (side === "sqlite" ? ["0.1", "7"] : ["0.10", "7"]).map((d) => ({ d })),
    );
  });

  test("JSON stays JSON, whatever it is", async () => {
    const place = await placeWith(side, schema);
    const docs = ["true", "12345678901234567890", '{"a":1}', "[]"].slice(0, side === "sqlite" ? 1 : 4);
    await findingsOf(place, side, `[${docs.map((doc, index) => `{"id":"${index}","doc":${doc}}`).join(",")}]`);
    const found = await rowsAt(place, `SELECT ${spelled("doc")} FROM t ORDER BY id`);
    expect(found.map(({ doc }) => String(doc).replaceAll(" ", ""))).toEqual(docs);
  });

  test("half a surrogate pair and bytes that are no UTF-8 become U+FFFD, and are named; not in a key", async () => {
    const place = await placeWith(side, schema);
    const json = Buffer.concat([
      Buffer.from('[{"id":"half","text":"a\\ud800b"},{"id":"bytes","text":"caf'),
      Buffer.of(0xe9),
      Buffer.from('"},{"id":"both","text":"\\ud83d'),
      Buffer.of(0x80, 0xff),
      Buffer.from('"},{"id":"nested","text":{"k":"'),
      Buffer.of(0xe9),
      Buffer.from('\\ud800"}},{"id":"key\\udfff","text":"x"},{"id":"whole","text":"ä😀\\ud83d\\ude00\\ufffd"}]'),
    ]);
    const { findings, rejects } = await findingsOf(place, side, json);
    const kinds = findings?.map(([action, column, reason, keys]) => [
      action,
      column,
      /UTF-8/.test(String(reason)),
      keys,
    ]);
    expect(kinds?.filter(([action]) => action === "altered")).toEqual([
      ["altered", "text", false, ["half", "both"]],
      ["altered", "text", true, ["bytes", "nested"]],
    ]);
    expect(kinds?.filter(([action]) => action === "refused")).toEqual([["refused", "id", false, ["key\udfff"]]]);
    expect(await rowsAt(place, "SELECT id, text FROM t ORDER BY id")).toEqual([
      { id: "both", text: "\ufffd\ufffd\ufffd" },
      { id: "bytes", text: "caf\ufffd" },
      { id: "half", text: "a\ufffdb" },
      { id: "nested", text: '{"k":"\ufffd\\ud800"}' },
      { id: "whole", text: "ä😀😀\ufffd" },
    ]);
    expect(JSON.parse(readFileSync(join(rejects, "t.jsonl"), "utf8"))).toMatchObject({ row: { text: "x" } });
  });

  test("a row that is refused keeps its bytes and its digits", async () => {
    const place = await placeWith(side, schema);
    const json = Buffer.concat([
      Buffer.from('[{"id":"1","n":"no number","r":1,"d":12345678901234567890123,"text":"'),
      Buffer.of(0x61, 0xff),
      Buffer.from('"},{"id":"2","n":99999999999999999999}]'),
    ]);
    const target =
      side === "sqlite"
        ? await sqliteWith(schema.replace("n INTEGER", "n INTEGER CHECK (n > 0 AND typeof(n) = 'integer')"))
        : place;
    const { rejects } = await findingsOf(target, side, json);
    const lines = readFileSync(join(rejects, "t.jsonl"), "utf8").trim().split("\n");
    expect(lines.map((line) => JSON.parse(line).row)).toMatchObject([
      { n: "no number", text: { $text: "Yf8=" } },
      { n: { $integer: "99999999999999999999" } },
    ]);
  });

  test("a column twice in one row ends it", async () => {
    const { env } = await placeWith(side, schema);
    const directory = folderWith({ "t.json": '[{"id":"1"},{"id":"2","n":1,"n":2}]' });
    await expect(importData({ env, to: side, directory })).rejects.toMatchObject({
      code: "EXPORT_INVALID",
      message: expect.stringContaining("has n twice in row 2 of t"),
      details: { table: "t", line: 2, column: "n" },
    });
  });
});

test("an export of SQLite keeps what it holds in columns of other types there, or says so", async () => {
  const source = await sqliteWith(
    `CREATE TABLE t (id INTEGER PRIMARY KEY, a, b TEXT, c REAL);
     INSERT INTO t VALUES (1, 0.30000000000000004, '99999999999999999999', -0.0), (2, 5.0, '0.12345678901234567890', 1e300), (3, 'x', CAST(x'61ff' AS TEXT), 0.5)`,
  );
  const directory = join(freshDirectory(), "out");
  await exportData({ env: source.env, directory });
  const target = await sqliteWith("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b INTEGER, c REAL)");
  const rejects = join(freshDirectory(), "rejects");
  const { tables } = await importData({ env: target.env, directory, rejects });
  expect(tables).toMatchObject([{ inserted: 2, setAside: 1 }]);
  expect(tables[0]?.findings.map(({ action, column, keys }) => [action, column, keys])).toEqual([
    ["altered", "b", ["2"]],
    ["refused", "b", ["1"]],
  ]);
  const stored = "SELECT id, typeof(a) AS ta, a, typeof(b) AS tb, hex(CAST(b AS BLOB)) AS b FROM t ORDER BY id";
  expect(await rowsAt(target, stored)).toEqual([
    { id: 2n, ta: "text", a: "5.0", tb: "real", b: Buffer.from("0.123456789012346").toString("hex").toUpperCase() },
    { id: 3n, ta: "text", a: "x", tb: "text", b: "61FF" },
  ]);
  const plain = await sqliteWith("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b TEXT, c REAL)");
  await importData({ env: plain.env, directory });
  expect(await rowsAt(plain, "SELECT a, b FROM t WHERE id = 1")).toEqual([
    { a: "0.30000000000000004", b: "99999999999999999999" },
  ]);
});

test("how far the check of a file has come is told by its bytes, of a document for all tables", async () => {
  const { env } = await sqliteWith(
    "CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT); CREATE TABLE u (id INTEGER PRIMARY KEY)",
  );
  const rows = Array.from({ length: 3_000 }, (_, id) => ({ id, text: "x".repeat(200) }));
  const directory = folderWith({ "t.json": JSON.stringify(rows), all: JSON.stringify({ t: rows, u: [{ id: 1 }] }) });
  for (const [options, table, total] of [
    [{ directory }, "t", 3_000],
    [{ file: join(directory, "all") }, null, 3_001],
  ] as const) {
    const seen: Progress[] = [];
    await importData({ env, ...options, onProgress: (progress) => seen.push(progress) });
    const checks = seen.filter(({ step }) => step === "check");
    expect(new Set(checks.map((check) => check.table))).toEqual(new Set([table]));
    expect(checks.some(({ bytes }) => bytes !== undefined && bytes.read > 0 && bytes.read < bytes.size)).toBe(true);
    const last = checks.at(-1);
    expect(last).toMatchObject({ rows: total, total: null, bytes: { read: last?.bytes?.size } });
  }
});

describe("bytes that are no UTF-8 leave marks", () => {
  const decoded = (pieces: readonly Uint8Array[]) => {
    const decoder = new MarkingDecoder();
    const text = pieces.map((piece) => decoder.write(Buffer.from(piece))).join("") + decoder.end();
    return { text, hasMarked: decoder.hasMarked };
  };

  test("by which they can be had back, wherever the pieces end", () => {
    const bytes = fc.uint8Array({ maxLength: 8 });
    const text = fc.string({ unit: "binary", maxLength: 5 }).map((some) => new Uint8Array(Buffer.from(some)));
    fc.assert(
      fc.property(fc.array(fc.oneof(bytes, text), { maxLength: 8 }), (pieces) => {
        const all = Buffer.concat(pieces);
        const whole = decoded(pieces);
        expect(Buffer.from(unmarked(whole.text)?.bytes ?? Buffer.from(whole.text))).toEqual(all);
        expect(whole.text).toBe(decoded([all]).text);
        expect(whole.hasMarked).toBe(!Buffer.from(all.toString("utf8")).equals(all));
      }),
    );
  });
});
