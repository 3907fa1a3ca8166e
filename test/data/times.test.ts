import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { epochChoices, type Times } from "../../src/data/conversion/epoch.js";
import { dateText, parseIso, roundedTo, timeText } from "../../src/data/conversion/instant.js";
import { pairing, travel } from "./journey.js";
import { sides } from "./tables.js";

const second = 1_700_000_000;
const millisecond = second * 1_000 + 123;

/** What is in the column of SQLite, as a list of literals, and what is found. */
const surveys: readonly (readonly [name: string, values: string, times: Times | undefined])[] = [
  ["seconds", `${second}, ${second + 5}, 0, NULL`, { epoch: "seconds" }],
  ["seconds with fractions, before 1970 too", `${second}.25, -86400.5`, { epoch: "seconds" }],
  ["seconds as text", `'${second}', '-5'`, { epoch: "seconds" }],
  ["milliseconds", `${millisecond}, ${millisecond + 1}, 0`, { epoch: "milliseconds" }],
  ["seconds and milliseconds", `${second}, ${millisecond}`, { epoch: "undecided" }],
  [
    "numbers and text",
    `${second}, '2024-01-01 00:00:00'`,
    { epoch: "mixed", iso: { separator: " ", zone: "", fraction: 0 } },
  ],
  ["small numbers, which may be anything", "5, 6", { epoch: "undecided" }],
  ["one row, which may be a slip", `${second}, NULL`, { epoch: "undecided" }],
  ["Julian days", "2460000.5, 2460001.5", { epoch: "undecided" }],
  ["microseconds", `${second}000000, ${second}000001`, { epoch: "undecided" }],
  ["nothing at all", "NULL, 'n/a'", undefined],
  [
    "CURRENT_TIMESTAMP",
    "'2024-01-01 10:00:00', '2024-01-02 10:00:00'",
    { epoch: "iso", iso: { separator: " ", zone: "", fraction: 0 } },
  ],
  [
    "toISOString()",
    "'2024-01-01T10:00:00.000Z', '2024-01-02T10:00:00.120Z'",
    { epoch: "iso", iso: { separator: "T", zone: "Z", fraction: 3 } },
  ],
  ["an offset", "'2024-01-01T10:00:00+02:00'", { epoch: "iso", iso: { separator: "T", zone: "+02:00", fraction: 0 } }],
  ["two offsets", "'2024-01-01T10:00:00+02:00', '2024-01-01T10:00:00-01:00'", { epoch: "iso" }],
  ["T and blank", "'2024-01-01T10:00:00', '2024-01-01 10:00:00'", { epoch: "iso" }],
  [
    "fractions of any length",
    "'2024-01-01 10:00:00', '2024-01-01 10:00:00.5'",
    { epoch: "iso", iso: { separator: " ", zone: "", fraction: null } },
  ],
  ["days", "'2024-01-01', '2024-02-29'", { epoch: "iso" }],
  ["bytes that are no UTF-8", "CAST(x'323032342d30312d3031ff' AS TEXT)", { epoch: "iso" }],
];

describe("a column of times in SQLite", () => {
  test("is surveyed whole", async () => {
    const fill = (values: string, index: number) =>
      `CREATE TABLE t${index} (id INTEGER PRIMARY KEY, at); INSERT INTO t${index} (at) VALUES ${values
        .split(", ")
        .map((value) => `(${value})`)
        .join(", ")};`;
    const made = await sides(
      surveys.map(([, values], index) => fill(values, index)).join("\n"),
      surveys.map((_, index) => `CREATE TABLE t${index} (id bigint PRIMARY KEY, at timestamptz);`).join("\n"),
    );
    const { tables } = await pairing(made);
    const found = surveys.map(([name], index) => {
      const table = tables.find((candidate) => candidate.name === `t${index}`);
      return [name, table?.columns[1]?.times];
    });
    expect(found).toEqual(surveys.map(([name, , times]) => [name, times]));
  });

  const timestamp = "timestamp";
  const zoned = "timestamptz";
  test("comes back to the letter", async () => {
    const exact: readonly (readonly [postgres: string, sqlite: string, values: string[], expected: string[]])[] = [
      [
        timestamp,
        "TEXT",
        ["'2024-02-29 23:59:59'", "'0001-01-01 00:00:00'", "'9999-12-31 23:59:59'"],
        ["2024-02-29T23:59:59", "0001-01-01T00:00:00", "9999-12-31T23:59:59"],
      ],
      [zoned, "TEXT", ["'2024-02-29T23:59:59.100Z'"], ["2024-02-29T23:59:59.1Z"]],
      [zoned, "DATETIME", ["'2024-01-01T10:00:00.123456+02:00'"], ["2024-01-01T08:00:00.123456Z"]],
      [
        zoned,
        "INTEGER",
        [`${second}`, "0", "-86401"],
        ["2023-11-14T22:13:20Z", "1970-01-01T00:00:00Z", "1969-12-30T23:59:59Z"],
      ],
      [zoned, "REAL", [`${second}.123456`, `${second}.5`], ["2023-11-14T22:13:20.123456Z", "2023-11-14T22:13:20.5Z"]],
      [timestamp, "INTEGER", [`${millisecond}`, `${second}000`], ["2023-11-14T22:13:20.123", "2023-11-14T22:13:20"]],
      [timestamp, "TEXT", [`'${second}'`, "'0'"], ["2023-11-14T22:13:20", "1970-01-01T00:00:00"]],
      ["date", "TEXT", ["'2024-02-29'", "'1582-10-10'"], ["2024-02-29", "1582-10-10"]],
      ["date", "INTEGER", [`${86_400 * 19_000}`, "0"], ["2022-01-08", "1970-01-01"]],
      [
        timestamp,
        "TEXT",
        ["'infinity'", "'-infinity'", "'0044-03-15T00:00:00 BC'"],
        ["infinity", "-infinity", "0044-03-15T00:00:00 BC"],
      ],
      [zoned, "TEXT", ["'infinity'", "'0044-03-15T00:00:00Z BC'"], ["infinity", "0044-03-15T00:00:00Z BC"]],
    ];
    const journeys = await travel(exact.map(([postgres, sqlite, values]) => ({ postgres, sqlite, values })));
    for (const [index, [, , , expected]] of exact.entries()) {
      for (const [row, journey] of (journeys[index] ?? []).entries())
        expect(journey).toMatchObject({ postgres: expected[row], after: journey.before, findings: [], back: [] });
    }
  });

  test("says what cannot be carried exactly", async () => {
    const columns = [
      {
        postgres: timestamp,
        sqlite: "TEXT",
        values: [
          "'2024-02-30 00:00:00'",
          "'yesterday'",
          "x'00'",
          "'2024-01-01 00:00:00.1234567'",
          "'2024-01-01 10:00:00+02:00'",
        ],
      },
      { postgres: "timestamp(0)", sqlite: "TEXT", values: ["'2024-01-01 00:00:00.5'"] },
      { postgres: "date", sqlite: "TEXT", values: ["'2024-01-01 10:00:00'"] },
      { postgres: zoned, sqlite: "TEXT", values: ["'2024-01-01T10:00:00+02:00'", "'2024-01-01T10:00:00Z'"] },
      { postgres: zoned, sqlite: "REAL", values: [`${second}.1234567`, `${second}.5`] },
    ];
    const journeys = await travel(columns);
    expect(journeys.map((rows) => rows.map(({ findings }) => findings.join()))).toEqual([
      [
        "refused: no time in a column of times",
        "refused: no time in a column of times",
        "refused: bytes in a column of times",
        "altered: more digits than a time keeps",
        "altered: an offset in a column without time zone",
      ],
      ["altered: more digits than the column's times keep"],
      ["altered: a time of day in a column of days"],
      ["altered: an offset that a time does not keep", ""],
      ["altered: more digits than a time keeps", ""],
    ]);
    expect(journeys[0]?.[4]?.postgres).toBe("2024-01-01T08:00:00");
    expect(journeys[1]?.[0]?.postgres).toBe("2024-01-01T00:00:01");
  });

  test("that cannot be told is refused by name of the variable, which settles it", async () => {
    const column = {
      postgres: zoned,
      sqlite: "INTEGER",
      values: [`${second}`, `${millisecond}`, "'2024-01-01T00:00:00Z'"],
    };
    const [mixed] = await travel([column]);
    expect(mixed?.map(({ findings }) => findings.join().includes("MIGRATION_EPOCHS"))).toEqual([true, true, false]);
    for (const choice of ["t000.x=seconds", "t000.x=s", "seconds"]) {
      const [settled] = await travel([column], epochChoices([choice]));
      expect(settled?.[0]).toMatchObject({ postgres: "2023-11-14T22:13:20Z", findings: [], after: String(second) });
      expect(settled?.[2]?.findings.join()).toMatch(/spelled otherwise/);
    }
  });
});

test("a choice that is none is a mistake of the configuration", () => {
  for (const text of ["", "hours", "x=seconds", "t.x=hours", "t.x", "constructor"])
    expect([text, epochChoices([text, "s"])]).toEqual([text, undefined]);
});

describe("the calendar", () => {
  test("agrees with JavaScript's", () => {
    const date = fc.date({
      min: new Date("0001-01-01T00:00:00Z"),
      max: new Date("9999-12-31T23:59:59.999Z"),
      noInvalidDate: true,
    });
    const property = fc.property(date, (instant) => {
      const text = instant.toISOString();
      const found = parseIso(text);
      expect(found).toMatchObject({ offset: 0, hasTime: true, rounded: false });
      if (found === null) return;
      expect(found.days * 86_400_000 + found.micros / 1_000).toBe(instant.getTime());
      expect(`${dateText(found.days)}T${timeText(found.micros, 3)}Z`).toBe(text);
    });
    fc.assert(property, { numRuns: 2_000 });
  });

  test("rounds into the next day and year", () => {
    const found = parseIso("2023-12-31 23:59:59.9999996");
    if (found === null) throw new Error("no time");
    const { days, micros } = roundedTo(found, 6);
    expect(`${dateText(days + Math.floor(micros / 86_400_000_000))}`).toBe("2024-01-01");
  });
});
