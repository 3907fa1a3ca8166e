import fc from "fast-check";
import { expect, test } from "vitest";
import { hasDuplicateKeys } from "../../src/data/conversion/duplicate-keys.js";

test.each([
  ['{"a":1,"b":2}', false],
  ['{"a":1,"a":2}', true],
  ['{"a":{"b":1},"c":{"b":1}}', false],
  ['{"a":{"b":1,"c":{"d":1}},"a":0}', true],
  ['{"a":0,"a":{"b":1,"c":{"d":1}}}', true],
  ['[{"a":1},{"a":1}]', false],
  ['{"a:b":":\\":","c":":"}', false],
  ['{"\\u0061":1,"a":2}', true],
  ['{"__proto__":1,"constructor":2}', false],
  ['{"__proto__":1,"__proto__":2}', true],
  ['{"\\\\":1,"\\\\":2}', true],
  ['":"', false],
  ["{}", false],
])("%s: %s", (json, expected) => {
  expect(hasDuplicateKeys(json)).toBe(expected);
});

test("what JSON.stringify writes has none, and a key put in twice is found", () => {
  const property = fc.property(
    fc.dictionary(fc.string(), fc.jsonValue(), { minKeys: 1 }),
    fc.jsonValue(),
    (object, value) => {
      const text = JSON.stringify(object);
      expect(hasDuplicateKeys(text)).toBe(false);
      const key = JSON.stringify(Object.keys(object)[0]);
      expect(hasDuplicateKeys(`[{${key}: ${JSON.stringify(value)}, ${text.slice(1)}]`)).toBe(true);
    },
  );
  fc.assert(property);
});
