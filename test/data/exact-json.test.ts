import fc from "fast-check";
import { expect, test } from "vitest";
import { fromJson, rowToJson, toJson } from "../../src/data/rows/exact-json.js";
import type { Table } from "../../src/data/table.js";
import type { ExactValue } from "../../src/engines/engine.js";

const values: fc.Arbitrary<ExactValue> = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
  fc.uint8Array(),
);

test("every value comes back to the bit, and of the same type", () => {
  fc.assert(
    fc.property(values, (value) => {
      const back = fromJson(JSON.parse(JSON.stringify(toJson(value))));
      expect(back).toEqual({ value });
      expect(typeof back?.value).toBe(typeof value);
    }),
    { numRuns: 2_000 },
  );
});

test.each([
  [5n, 5],
  [2n ** 53n, { $integer: "9007199254740992" }],
  [5, { $real: "5" }],
  [-0, { $real: "-0" }],
  [Number.POSITIVE_INFINITY, { $real: "Infinity" }],
  [5.5, 5.5],
  ["text", "text"],
  [new Uint8Array([0, 255]), { $bytes: "AP8=" }],
])("%o is written as %o", (value, json) => {
  expect(toJson(value)).toEqual(json);
});

test("text that is no UTF-8 keeps its bytes", () => {
  const table: Table = {
    name: "notes",
    columns: [{ name: "__proto__", kind: "text", notNull: false }],
    key: [],
    uniques: [],
    foreignKeys: [],
  };
  const bytes = new Uint8Array([0x61, 0xff]);
  const json = JSON.parse(
    JSON.stringify(rowToJson(table, { key: "1", values: ["a\ufffd"], repaired: new Map([["__proto__", bytes]]) })),
  );
  expect(fromJson(Object.getOwnPropertyDescriptor(json, "__proto__")?.value)).toEqual({ value: "a\ufffd", bytes });
});

test.each([[[1, 2]], [{}], [{ $integer: "1.5" }], [{ $bytes: "", $text: "" }], [{ other: "1" }], [{ $real: 5 }]])(
  "%j is no value of ours",
  (json) => {
    expect(fromJson(json)).toBeUndefined();
  },
);
