import { describe, expect, test } from "vitest";
import type { Side } from "../../src/engines/engine.js";
import { findTransactionControl, splitStatements } from "../../src/schema/statements.js";

const both = ["sqlite", "postgres"] as const;
const texts = (text: string, side: Side) => splitStatements(text, side).map((statement) => statement.text);

describe.each(both)("splitStatements on %s", (side) => {
  test.each([
    ["nothing", "", 0],
    ["comments and semicolons alone", "-- a; b\n;/* c; */;\n", 0],
    ["no semicolon at the end", "SELECT 1; SELECT 2", 2],
    ["in a string", "SELECT 'a;b'';c'; SELECT 2", 2],
    ["in an identifier", 'SELECT 1 AS "a;b"";c"; SELECT 2', 2],
    ["in a comment", "SELECT 1 -- one; two 'three\n; /* ; ' */ SELECT 2", 2],
    ["in parentheses", "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT 2", 2],
    ["columns called begin", "CREATE TABLE t (begin INTEGER, x TEXT); COMMIT", 2],
  ])("%s", (_title, text, count) => {
    expect(splitStatements(text, side)).toHaveLength(count);
  });

  test("each statement has its line and its text, comments before it included", () => {
    expect(splitStatements("-- first\nSELECT 1;\n\n  -- second\n  UPDATE t\n SET a = ';';", side)).toEqual([
      { text: "-- first\nSELECT 1", line: 2, words: ["SELECT"] },
      { text: "-- second\n  UPDATE t\n SET a = ';'", line: 5, words: ["UPDATE", "T", "SET", "A"] },
    ]);
  });

  test.each([
    ["BEGIN", 1],
    ["begin transaction;", 1],
    ["SELECT 1;\nCOMMIT;", 2],
    ["SELECT 1;\n\n/* x */ ROLLBACK;", 3],
    ["SAVEPOINT a;", 1],
    ["RELEASE a;", 1],
    ["START TRANSACTION;", 1],
    ["PREPARE TRANSACTION 'x';", 1],
    ["ABORT;", 1],
    ["SELECT 1; END;", 1],
  ])("%j controls a transaction", (text, line) => {
    expect(findTransactionControl(splitStatements(text, side))?.line).toBe(line);
  });

  test.each(["SELECT 'BEGIN'; -- COMMIT;", "PREPARE p AS SELECT 1", "SELECT CASE WHEN 1 = 1 THEN 2 END;", '"COMMIT"'])(
    "%j does not",
    (text) => {
      expect(findTransactionControl(splitStatements(text, side))).toBeUndefined();
    },
  );
});

describe("what only SQLite has", () => {
  const trigger = `CREATE TRIGGER t AFTER INSERT ON a BEGIN
    UPDATE a SET x = CASE WHEN NEW.y THEN 1 ELSE 2 END;
    SELECT CASE WHEN 1 THEN 2 END;
  END`;

  test.each([trigger, trigger.replace("CREATE", "CREATE TEMP"), trigger.replace("END\n", "END -- done;\n")])(
    "a trigger %#",
    (text) => {
      expect(texts(`${text}; SELECT 1;`, "sqlite")).toEqual([text, "SELECT 1"]);
      expect(findTransactionControl(splitStatements(`${text}; SELECT 1;`, "sqlite"))).toBeUndefined();
    },
  );

  test("a COMMIT after a trigger is found", () => {
    expect(findTransactionControl(splitStatements(`${trigger};\nCOMMIT;`, "sqlite"))?.line).toBe(5);
  });

  test("its further quotes", () => {
    expect(texts("SELECT [a;b]; SELECT `c;d`", "sqlite")).toEqual(["SELECT [a;b]", "SELECT `c;d`"]);
  });
});

describe("what only PostgreSQL has", () => {
  test.each([
    "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END; $$",
    "DO $x$ BEGIN PERFORM '$$'; COMMIT; END $x$",
    "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 1 END; END",
    "CREATE PROCEDURE f() BEGIN ATOMIC END",
    "SELECT E'it\\'s; here', a$b$ FROM t",
    "SELECT /* outer /* inner; */ still; */ 1",
    "SELECT a[1], b[2]",
    "SELECT U&'d\\0061t;a', $1",
  ])("%s", (text) => {
    expect(texts(`${text}; SELECT 2;`, "postgres")).toEqual([text, "SELECT 2"]);
    expect(findTransactionControl(splitStatements(`${text}; SELECT 2;`, "postgres"))).toBeUndefined();
  });
});
