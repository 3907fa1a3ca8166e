import { expect, test } from "vitest";
import { DualDbError, errorFields, hasCode } from "../src/errors.js";

test("an error's fields for a log have our code, whatever the driver's facts are called, and no cause", () => {
  const error = new DualDbError("SCHEMA_MISSING", "there is no table notes: run dualdb migrate", {
    side: "sqlite",
    table: "notes",
    cause: new Error("s3cret"),
    details: { code: "SQLITE_ERROR", message: "s3cret", driverCode: "SQLITE_ERROR" },
  });
  expect(errorFields(error)).toEqual({
    code: "SCHEMA_MISSING",
    message: "there is no table notes: run dualdb migrate",
    side: "sqlite",
    table: "notes",
    column: undefined,
    driverCode: "SQLITE_ERROR",
  });
});

test("what is none of ours is named by its kind alone", () => {
  expect(errorFields(new TypeError("s3cret"))).toEqual({ code: "UNEXPECTED", message: "TypeError" });
  expect(errorFields("s3cret")).toEqual({ code: "UNEXPECTED", message: "string" });
  expect(hasCode(new TypeError("x"), "QUERY_FAILED")).toBe(false);
});
