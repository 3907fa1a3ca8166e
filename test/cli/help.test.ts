import { expect, test } from "vitest";
import { commandLine } from "../support/command-line.js";

/** Commands that take both options, one of them, or none. */
test.each([
  ["doctor", ["--tables", "--epoch"]],
  ["copy", ["--tables", "--epoch"]],
  ["import", ["--tables", "--epoch"]],
  ["verify", ["--tables", "--epoch"]],
  ["repair", ["--tables", "--epoch"]],
  ["export", ["--tables"]],
  ["status", ["--tables"]],
  ["finalize", []],
])("the help of dualdb %s names the options that it takes", async (command, options) => {
  const { status, out } = await commandLine([command, "--help"]);
  expect(status).toBe(0);
  expect(["--tables", "--epoch"].filter((name) => new RegExp(`^  ${name}`, "m").test(out))).toEqual(options);
});
