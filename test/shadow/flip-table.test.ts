import { describe, expect, test } from "vitest";
import { nextStep } from "../../src/shadow/flip.js";

/** SQLite's primary, forced, PostgreSQL's primary → what is next where SQLite is wanted, and where PostgreSQL is. */
const table = [
  ["sqlite", false, "sqlite", "settled", "leave-sqlite"],
  ["sqlite", true, "sqlite", "recover", "recover"],
  ["postgres", false, "sqlite", "enter-sqlite", "enter-postgres"],
  ["postgres", true, "sqlite", "enter-sqlite", "enter-postgres"],
  ["postgres", false, "postgres", "leave-postgres", "settled"],
  ["postgres", true, "postgres", "leave-postgres", "settled"],
  ["sqlite", false, "postgres", "close-postgres", "close-postgres"],
  ["sqlite", true, "postgres", "close-postgres", "close-postgres"],
] as const;

describe.each(table)("SQLite says %s (forced: %s), PostgreSQL says %s", (sqlite, forced, postgres, back, forth) => {
  const pair = { sqlite: { primary: sqlite, forced }, postgres: { primary: postgres } };

  test(`wanted sqlite: ${back}`, () => {
    expect(nextStep(pair, "sqlite")).toBe(back);
  });

  test(`wanted postgres: ${forth}`, () => {
    expect(nextStep(pair, "postgres")).toBe(forth);
  });
});
