import { describe, expect, test } from "vitest";
import { routeOf, routeUnder } from "../src/route.js";

/** The table of the README, row by row: P R S → name, writes, reads, shadow. */
const table = [
  ["---", "sqlite", "sqlite", "sqlite", null],
  ["--S", "shadow", "sqlite", "sqlite", "postgres"],
  ["-RS", "read", "sqlite", "postgres", "postgres"],
  ["-R-", "read-unshadowed", "sqlite", "postgres", null],
  ["P--", "postgres", "postgres", "postgres", null],
  ["PR-", "postgres", "postgres", "postgres", null],
  ["P-S", "postgres-shadowed", "postgres", "postgres", "sqlite"],
  ["PRS", "postgres-shadowed", "postgres", "postgres", "sqlite"],
] as const;

const flagsOf = (letters: string) => ({
  primary: letters.includes("P"),
  read: letters.includes("R"),
  shadow: letters.includes("S"),
});

describe("routeOf", () => {
  test.each(table)("%s is %s", (letters, name, primary, reads, shadow) => {
    expect(routeOf(flagsOf(letters))).toEqual({ name, primary, reads, shadow });
  });
});

describe("routeUnder", () => {
  test.each(table)("%s follows the state, whichever side it names", (letters) => {
    expect(routeUnder(flagsOf(letters), "postgres")).toEqual(routeOf({ ...flagsOf(letters), primary: true }));
    expect(routeUnder(flagsOf(letters), "sqlite")).toEqual(routeOf({ ...flagsOf(letters), primary: false }));
  });
});
