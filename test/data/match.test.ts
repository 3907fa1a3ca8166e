import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { matchNames, wordsOf } from "../../src/data/catalogue/match.js";

describe("the words of a name", () => {
  test.each([
    ["userId", "user id"],
    ["user_id", "user id"],
    ["UserID", "user id"],
    ["userIDs", "user ids"],
    ["HTTPServerURL", "http server url"],
    ["http_server_url", "http server url"],
    ["address2", "address 2"],
    ["address_2", "address 2"],
    ["sha256Hash", "sha 256 hash"],
    ["sha256_hash", "sha 256 hash"],
    ["XMLHttpRequest", "xml http request"],
    ["_private__name ", "private name"],
    ["first name", "first name"],
    ["GrößeInCm", "größe in cm"],
    ["usersId", "users id"],
    ["user_sid", "user sid"],
    ["UPPER_SNAKE_CASE", "upper snake case"],
    ["名前", "名前"],
    ["___", "___"],
  ])("%s: %s", (name, words) => {
    expect(wordsOf(name).join(" ")).toBe(words);
  });
});

describe("names of two sides", () => {
  test("are matched exactly, else without case, else by their words", () => {
    const { pairs, ambiguous } = matchNames(
      ["id", "Name", "userId", "createdAt", "only_here"],
      ["id", "NAME", "user_id", "created_at", "only_there"],
    );
    expect(pairs).toEqual([
      ["id", "id"],
      ["Name", "NAME"],
      ["userId", "user_id"],
      ["createdAt", "created_at"],
    ]);
    expect(ambiguous).toEqual([]);
  });

  test("that are the same come before names that look alike", () => {
    expect(matchNames(["userid", "userId"], ["userId", "USERID"]).pairs).toEqual([
      ["userId", "userId"],
      ["userid", "USERID"],
    ]);
  });

  test("that may mean more than one are said and not guessed", () => {
    expect(matchNames(["USERS", "posts"], ["Users", "users", "posts"])).toEqual({
      pairs: [["posts", "posts"]],
      ambiguous: [{ left: ["USERS"], right: ["Users", "users"] }],
    });
    expect(matchNames(["userId", "user_Id"], ["user_id"])).toMatchObject({
      pairs: [["user_Id", "user_id"]],
      ambiguous: [],
    });
    expect(matchNames(["userId", "UserId2x"], ["user_id", "USER__ID"])).toMatchObject({
      pairs: [],
      ambiguous: [{ left: ["userId"], right: ["user_id", "USER__ID"] }],
    });
  });

  test("do not match where words end elsewhere", () => {
    expect(matchNames(["user_sid"], ["users_id"])).toEqual({ pairs: [], ambiguous: [] });
  });

  test("are matched at most once each, whatever they are", () => {
    const name = fc.oneof(
      fc.string({ unit: "grapheme", minLength: 1 }),
      fc.constantFrom("userId", "user_id", "USERID", "a", "A"),
    );
    const names = fc.uniqueArray(name, { maxLength: 8 });
    const property = fc.property(names, names, (left, right) => {
      const { pairs, ambiguous } = matchNames(left, right);
      const lefts = [...pairs.map(([mine]) => mine), ...ambiguous.flatMap((names) => names.left)];
      const rights = [...pairs.map(([, other]) => other), ...ambiguous.flatMap((names) => names.right)];
      expect(new Set(lefts).size).toBe(lefts.length);
      expect(new Set(rights).size).toBe(rights.length);
      for (const same of left.filter((name) => right.includes(name))) expect(pairs).toContainEqual([same, same]);
    });
    fc.assert(property);
  });
});
