import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { serviceSides } from "../support/service-sides.js";
import { openServices, origin, type Services } from "../support/services.js";

const deep = `${"[".repeat(1_500)}${"]".repeat(1_500)}`;
const wrapper = '{"$dualdb:text": "not wrapped by us"}';

describe.each(serviceSides)("values on $name", (side) => {
  let services: Services;
  beforeAll(async () => {
    services = await openServices(side);
  });
  afterAll(() => services.close());

  const stored = async (queryResult: unknown) => {
    const question = { userId: "1", username: "ada", queryText: "?", queryResult: queryResult as object };
    return (await services.queries.getQueryById(await services.queries.saveQuery(question)))?.query_result;
  };
  const parsed = async (input: unknown): Promise<unknown> => JSON.parse((await stored(input)) ?? "");
  const storedText = async (messageContent: string) => {
    const id = await services.messages.saveHumanMessage({ ...origin, messageContent });
    return (await services.messages.getMessageById(id))?.message_content;
  };

  it.each([
    ["an object", { a: [1, "two", null, { b: false }] }, { a: [1, "two", null, { b: false }] }],
    ["an empty array", [], []],
    ["an empty object", {}, {}],
    ["JSON text", ' { "a" : 1.50 } ', { a: 1.5 }],
    ["a JSON string", '"text"', "text"],
    ["JSON null", "null", null],
    ["false", false, false],
    ["0", 0, 0],
    ["JSON text of 0", "0", 0],
    ["minus zero", "[-0]", [-0]],
    ["duplicate keys", '{"a": 1, "a": 2}', { a: 2 }],
    ["escaped NUL", '{"a\\u0000": "\\u0000"}', { "a\ufffd": "\ufffd" }],
    ["an escaped backslash before u0000", '["\\\\u0000"]', ["\\u0000"]],
    ["NUL in an object", { a: "x\0y" }, { a: "x\ufffdy" }],
    ["lone surrogates in an object", ["\ud800", "\udc00\ud800"], ["\ufffd", "\ufffd\ufffd"]],
    ["escaped lone surrogates", '["\\ud800", "\\uDC00x", "\\ud83d\\ude00"]', ["\ufffd", "\ufffdx", "\ud83d\ude00"]],
    [
      "a number beyond JavaScript's",
      "[1e400, -1e400, 1e-400]",
      [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0],
    ],
    ["a number beyond PostgreSQL's", "[1e999999]", [Number.POSITIVE_INFINITY]],
    ["exponents in a string", '["1e999999 -0"]', ["1e999999 -0"]],
    ["the wrapper's own shape", wrapper, { "$dualdb:text": "not wrapped by us" }],
    ["the wrapper's shape as an object", { "$dualdb:text": "x" }, { "$dualdb:text": "x" }],
    ["the wrapper's shape around no text", { "$dualdb:text": [1] }, { "$dualdb:text": [1] }],
    ["the wrapper's key among others", { "$dualdb:text": "x", b: 1 }, { "$dualdb:text": "x", b: 1 }],
  ])("keeps %s in a JSON column", async (_, input, expected) => {
    expect(await parsed(input)).toEqual(expected);
  });

  it("keeps the digits of a number and nesting that overflows stacks", async () => {
    expect(await stored("[12345678901234567890, 0.12345678901234567890]")).toMatch(
      /12345678901234567890.*0\.12345678901234567890/,
    );
    expect(await stored(deep)).toBe(deep);
  });

  it.each(["", " ", "hello", "{broken", "undefined", "it's \ud83d\ude00", "{'a': 1}", '{"a":1}}', "0x10", "NaN"])(
    "keeps %j, which is no JSON, as it is",
    async (text) => {
      expect(await stored(text)).toBe(text);
    },
  );

  it.each([undefined, null])("keeps %s as NULL", async (nothing) => {
    expect(await stored(nothing)).toBeNull();
  });

  it("refuses what JSON cannot say", async () => {
    const circle: { self?: object } = {};
    circle.self = circle;
    for (const input of [circle, 5n, Symbol("s"), () => 1, Number.NaN, { n: 5n }]) {
      await expect(stored(input)).rejects.toMatchObject({ code: "VALIDATION_FAILED", column: "query_result" });
    }
  });

  it.each([
    ["", ""],
    ["0", "0"],
    ["a\0b", "a\ufffdb"],
    ["\ud800 \udc00\ud83d\ude00", "\ufffd \ufffd\ud83d\ude00"],
    ["\ufeffbom \u2028 \r\n\t", "\ufeffbom \u2028 \r\n\t"],
  ])("keeps %j in a text column as %j", async (text, expected) => {
    expect(await storedText(text)).toBe(expected);
  });

  it.each([
    [0, 0],
    [-0, 0],
    [false, 0],
    [2.5, 3],
    [-2.5, -3],
    [3.5, 4],
    [0.49999999999999994, 0],
    [-0.4, 0],
    ["12", 12],
    [" 1.5e1 ", 15],
    [7n, 7],
    [2_147_483_647.4, 2_147_483_647],
    [undefined, null],
    [null, null],
  ])("keeps %s as %s in an integer column", async (resultCount, expected) => {
    const id = await services.queries.saveQuery({ userId: "1", username: "ada", queryText: "?", resultCount });
    const record = await services.queries.getQueryById(id);
    expect(record?.result_count).toBe(expected);
  });

  it("keeps every bit of a real, and integers up to 2^53", async () => {
    await services.profiles.createUserProfile("1", "ada");
    const reals = [0, 1, 0.1, 1 / 3, Number.MIN_VALUE, Number.MAX_VALUE, 2 ** 53 + 2, -1e-7, 123456789.12345679];
    for (const real of reals) {
      await services.profiles.updateUserProfile("1", { trust_level: 1, archetype_confidence: real });
      expect((await services.profiles.getUserProfile("1"))?.archetype_confidence).toBe(real);
    }
    await services.profiles.updateUserProfile("1", { last_analyzed_at: Number.MAX_SAFE_INTEGER });
    expect((await services.profiles.getUserProfile("1"))?.last_analyzed_at).toBe(Number.MAX_SAFE_INTEGER);
  });

  it("carries any number that JSON can spell", async () => {
    const digits = fc.stringMatching(/^(0|[1-9][0-9]{0,30})$/);
    const fraction = fc.stringMatching(/^(|\.[0-9]{1,30})$/);
    const exponent = fc.stringMatching(/^(|[eE][+-]?[0-9]{1,6})$/);
    const number = fc.tuple(fc.constantFrom("", "-"), digits, fraction, exponent).map((parts) => parts.join(""));
    const property = fc.asyncProperty(fc.array(number, { maxLength: 3 }), async (numbers) => {
      const text = `[${numbers.join(", ")}]`;
      expect(await parsed(text)).toEqual(JSON.parse(text));
    });
    await fc.assert(property, { numRuns: 50 });
  });

  it("carries any text and any JSON", async () => {
    const property = fc.asyncProperty(fc.string({ unit: "binary" }), fc.jsonValue(), async (text, value) => {
      expect(await storedText(text)).toBe(text.replaceAll("\0", "\ufffd"));
      const json = JSON.stringify({ value }).replaceAll(/(?<!\\)((?:\\\\)*)\\u0000/g, "$1\\ufffd");
      expect(await parsed({ value })).toEqual(JSON.parse(json));
      expect(await stored(text)).toSatisfy((held: string) => sameJsonOrText(held, text.replaceAll("\0", "\ufffd")));
    });
    await fc.assert(property, { numRuns: 50 });
  });
});

function sameJsonOrText(held: string, text: string): boolean {
  try {
    expect(JSON.parse(held)).toEqual(JSON.parse(text));
    return true;
  } catch {
    return held === text;
  }
}
