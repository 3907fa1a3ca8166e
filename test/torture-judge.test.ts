import { describe, expect, test } from "vitest";
import { set } from "./torture/caller.js";
import { type FailedCall, Failures } from "./torture/failures.js";
import { Judge } from "./torture/judge.js";
import type { CellValue, Logged, LogLine, TableName } from "./torture/log.js";
import { Model, misfits } from "./torture/model.js";
import type { ForcedRollBack, Image, Trail } from "./torture/observers.js";
import { shortfalls } from "./torture/report.js";
import { RollBack } from "./torture/roll-back.js";
import { emptySummary } from "./torture/run.js";
import { followedTable, followedValues, type Row } from "./torture/tables.js";
import type { Trouble } from "./torture/troubles.js";

/** A call through a service of bot 0 that failed between 100,000 and 100,100 ms. */
function failed(call: Partial<FailedCall>): FailedCall {
  const ordinary = { via: "service", isRead: false, slot: 0, wasOpen: true, wantsPostgres: false } as const;
  return { code: "DATABASE_UNAVAILABLE", began: 100_000, ended: 100_100, ...ordinary, ...call };
}

const meanwhile = { from: 99_000, to: 101_000 };
const down: Trouble = { kind: "down", slot: null, ...meanwhile };
const unlinked: Trouble = { kind: "unlinked", slot: 0, ...meanwhile };
const stopped: Trouble = { kind: "stopped", slot: 1, from: 99_000, to: 140_000 };
const cut: Trouble = { kind: "cut", slot: 0, from: 100_050, to: 100_050 };

describe("the failures that a torture run takes for what its faults account for", () => {
  test.each<[string, "sqlite" | "postgres", readonly Trouble[], Partial<FailedCall>, boolean]>([
    ["PostgreSQL is primary and down", "postgres", [down], {}, true],
    ["PostgreSQL is primary, and nothing was wrong", "postgres", [], {}, false],
    ["SQLite is primary, and PostgreSQL is down", "sqlite", [down], {}, false],
    ["SQLite is primary, and the outcome is unknown", "sqlite", [down], { code: "OUTCOME_UNKNOWN" }, false],
    ["PostgreSQL is primary, and the bot's link is down", "postgres", [unlinked], {}, true],
    ["PostgreSQL is primary, and another bot's link is down", "postgres", [{ ...unlinked, slot: 1 }], {}, false],
    [
      "PostgreSQL is primary, and it was down long before",
      "postgres",
      [{ ...down, to: 98_000, from: 97_000 }],
      {},
      false,
    ],
    ["PostgreSQL is primary, and the limit was waited for", "postgres", [], { ended: 105_000 }, true],
    ["a write was cut", "postgres", [cut], { code: "OUTCOME_UNKNOWN" }, true],
    ["a read was cut, which can be sent again", "postgres", [cut], { isRead: true }, false],
    ["a read was cut each time", "postgres", [cut, cut, cut], { isRead: true }, true],
    ["it could not even open without PostgreSQL", "sqlite", [down], { wasOpen: false, wantsPostgres: true }, true],
    ["it could have opened without PostgreSQL", "sqlite", [down], { wasOpen: false }, false],
    ["busy at once", "postgres", [stopped], { code: "DATABASE_BUSY" }, false],
    ["busy for as long as a lock is waited for", "postgres", [], { code: "DATABASE_BUSY", ended: 105_000 }, true],
    ["busy for as long, on SQLite", "sqlite", [], { code: "DATABASE_BUSY", ended: 105_000 }, false],
    ["not primary, at once", "postgres", [down], { code: "NOT_PRIMARY" }, false],
    ["not primary for as long as a flip may take", "postgres", [], { code: "NOT_PRIMARY", ended: 130_000 }, true],
    ["a console at the other side", "postgres", [], { via: "console on sqlite", code: "NOT_PRIMARY" }, true],
    ["a console at the primary", "postgres", [], { via: "console on postgres", code: "NOT_PRIMARY" }, false],
    ["whatever else", "postgres", [down], { code: "QUERY_FAILED" }, false],
  ])("%s", (_, primary, troubles, call, expected) => {
    const moves = [{ at: 0, primary }];
    expect(new Failures(troubles, { sqlite: moves, postgres: moves }).accountFor(failed(call))).toBe(expected);
  });
});

/** A row as one side has it, under its key. */
function image(table: TableName, key: string, row: Row | null): Image {
  return { table, key, row };
}

const message = (id: string, content = id) => image("messages", id, { id, message_content: content, user_id: "1" });
const team = (region: string, badge: string) => image("teams", `${region},1`, { region, number: 1, badge, score: 1 });
const member = (name: string, region: string) => image("members", name, { id: name, name, region, number: 1 });
const profile = (id: string, username = "u") =>
  image("user_profiles", id, { id, user_id: "7", username, message_count: 0 });
const analysis = (id: string) => image("user_analysis_history", id, { id, user_id: "7", changes_summary: id });

/** From 1,000 to 2,000 ms. */
function rollBack(facts: Partial<ForcedRollBack>, lines: readonly Logged[] = []): RollBack {
  const none = { from: 1_000, to: 2_000, closed: 1_200, before: [], owed: [], written: [], conflicts: [] };
  const opened: Logged = { at: 1_010, is: "opened", failure: null, wantsPostgres: false };
  return new RollBack({ ...none, ...facts }, [{ source: "0-1.jsonl", lines: [opened, ...lines] }]);
}

function name(of: Image) {
  const { table } = followedTable(of.table);
  return { table, row: followedTable(of.table).name(of.row ?? {}) };
}

function valuesOf(of: Image): Record<string, CellValue> {
  return followedValues(followedTable(of.table), of.row ?? {});
}

/** An acknowledged write after the roll-back. */
function wrote(of: Image, values: Readonly<Record<string, CellValue>>): Logged[] {
  const effects = set(name(of).table, name(of).row, values);
  return [
    { at: 1_100, is: "intent", call: 0, name: "write", via: "statements", effects },
    { at: 1_110, is: "answer", call: 0, nothing: false, effects: [] },
  ];
}

describe("what a forced roll-back accounts for", () => {
  const [older, newer] = [message("a", "r1s0 older"), message("a", "r1s0 newer")];

  test("an answer that lacks what a row is owed, until it has come in", () => {
    const judged = rollBack({ before: [message("b")], owed: [message("a")] });
    expect([900, 1_500, 2_500].map((at) => judged.excusesAnswer(name(message("a")), at))).toEqual([false, true, false]);
    expect(judged.excusesAnswer(name(message("b")), 1_500)).toBe(false);
    expect(judged.excusesRow(name(message("a")), undefined)).toBe(false);
  });

  test("SQLite's version of a row that was written on both sides, and no other version", () => {
    const lines = wrote(older, { user_id: "2" });
    const facts = { before: [older], owed: [newer], written: [older] };
    const judged = rollBack({ ...facts, conflicts: [image("messages", "a", null)] }, lines);
    const [row, kept] = [name(older), { ...valuesOf(older), user_id: "2" }];
    expect(judged.excusesRow(row, kept)).toBe(true);
    expect(judged.excusesRow(row, valuesOf(older))).toBe(false);
    expect(judged.excusesRow(row, valuesOf(newer))).toBe(false);
    expect(judged.excusesRow(row, undefined)).toBe(false);
    expect(judged.excusesAnswer(row, 2_500)).toBe(true);
    expect(judged.unfoundedConflicts()).toEqual([]);
    expect(rollBack(facts, lines).excusesRow(row, kept)).toBe(false);
  });

  test("no conflict for a row that nobody wrote on SQLite", () => {
    const conflicts = [image("messages", "a", null)];
    const judged = rollBack({ before: [older], owed: [newer], written: [message("b")], conflicts });
    expect(judged.excusesRow(name(older), valuesOf(older))).toBe(false);
    expect(judged.unfoundedConflicts()).toEqual(conflicts);
  });

  test("rows that can only come in together: two teams have handed over their badge, and one has got a member", () => {
    const before = [team("n", "1"), team("s", "2"), team("w", "3")];
    const owed = [team("n", "2"), team("s", "1"), team("w", "4")];
    const conflicts = [team("n", ""), team("s", "")];
    const judged = rollBack({ before, owed, written: [member("m", "n")], conflicts });
    for (const region of ["n", "s"]) {
      const kept = before.find((one) => one.row?.region === region) ?? team(region, "");
      expect(judged.excusesRow(name(kept), valuesOf(kept))).toBe(true);
    }
    expect(judged.unfoundedConflicts()).toEqual([]);
    expect(judged.excusesRow(name(team("w", "")), valuesOf(team("w", "3")))).toBe(false);
  });

  test("a row that comes in under another key than the one that was deleted, and what hangs on it", () => {
    const judged = rollBack(
      {
        before: [profile("old")],
        owed: [image("user_profiles", "old", null), profile("new"), analysis("h")],
        written: [image("user_profiles", "old", null)],
        conflicts: [image("user_profiles", "old", null)],
      },
      wrote(profile("old"), { $: false }),
    );
    expect(judged.excusesRow(name(profile("new")), valuesOf(profile("new")))).toBe(true);
    expect(judged.excusesRow(name(profile("new")), valuesOf(profile("new", "somebody")))).toBe(false);
    expect(judged.excusesRow(name(profile("new")), valuesOf(profile("old")))).toBe(false);
    expect(judged.excusesRow(name(analysis("h")), valuesOf(analysis("h")))).toBe(true);
    expect(judged.excusesContradiction(name(profile("new")))).toBe(true);
  });

  test("an answer from PostgreSQL that lacks what was written on SQLite, until PostgreSQL's own state says who is primary", () => {
    const judged = rollBack({ before: [message("b")], written: [message("a")] });
    expect([900, 1_100, 1_300].map((at) => judged.excusesAnswer(name(message("a")), at))).toEqual([false, true, false]);
    expect(judged.excusesAnswer(name(message("b")), 1_100)).toBe(false);
  });

  test("a write that meets what SQLite still holds", () => {
    const judged = rollBack({ before: [team("n", "1"), team("s", "2")], owed: [team("n", "3"), team("e", "1")] });
    const joins = (region: string) => set("members", "m", { $: true, id: 1, region, number: 1 });
    expect(judged.excusesViolation(joins("e"), 1_500)).toBe(true);
    expect(judged.excusesViolation(joins("e"), 2_500)).toBe(false);
    expect(judged.excusesViolation(joins("s"), 1_500)).toBe(false);
    expect(judged.excusesViolation(set("teams", "x/1", { $: true, badge: "1" }), 1_500)).toBe(true);
    expect(judged.excusesViolation(set("teams", "x/1", { $: true, badge: "2" }), 1_500)).toBe(false);
  });
});

test("a row that came again without an answer owes nothing to the one that was deleted before", () => {
  const row = set("user_profiles", "7", { $: true, id: "former" });
  const model = new Model([]);
  const call = (number: number, name: string, effects: typeof row, answered: boolean) => {
    model.take("0-0.jsonl", { is: "intent", call: number, name, via: "service", effects });
    if (answered) model.take("0-0.jsonl", { is: "answer", call: number, nothing: false, effects: [] });
  };
  const found = (stored?: Readonly<Record<string, CellValue>>) => {
    const known = model.get("user_profiles", "7");
    return known === undefined ? null : misfits(known, stored);
  };
  call(1, "create", row, true);
  expect(found({ id: "another" })).toEqual(["id"]);
  call(2, "delete", set("user_profiles", "7", { $: false }), true);
  expect(found({ id: "another" })).toEqual(["$"]);
  call(3, "create", set("user_profiles", "7", { $: true }), false);
  expect([found({ id: "another" }), found()]).toEqual([[], []]);
});

describe("in a round with a forced roll-back", () => {
  /** The deviations of a round in which these lines were logged, nothing was there before, and these messages are there now. */
  function judged(lines: readonly Logged[], now: readonly Image[], facts: Partial<ForcedRollBack> = {}): string[] {
    const model = new Model([]);
    for (const line of lines) model.take("0-0.jsonl", line);
    const none = { from: 1_000, to: 2_000, closed: 1_200, before: [], owed: [], written: [], conflicts: [] };
    const moves = [{ at: 0, primary: "sqlite" }];
    const trail: Trail = { sqlite: moves, postgres: moves, rollBacks: [{ ...none, ...facts }], strayConflicts: [] };
    const opened: Logged = { at: 10, is: "opened", failure: null, wantsPostgres: false };
    const logs = [{ source: "0-0.jsonl", lines: [opened, ...lines] }];
    const rows = now.map((one) => ({ ...name(one), values: valuesOf(one), whole: "" }));
    const judge = new Judge({ before: [], model, logs, troubles: [] }, rows, trail);
    return judge.deviations().map(({ kind, what }) => `${kind} ${what}`);
  }

  const stale = (of: Image): Logged => {
    const line: LogLine = { is: "stale", what: "late", route: "sqlite", began: 1_500, rows: [name(of)], wrong: 1 };
    return { at: 1_510, ...line };
  };
  const violation: Logged[] = [
    {
      at: 1_500,
      is: "intent",
      call: 3,
      name: "join",
      via: "statements",
      effects: set("members", "m", { region: "n", number: 1 }),
    },
    { at: 1_510, is: "failure", call: 3, code: "CONSTRAINT_VIOLATED", detail: "" },
  ];
  const twoIds: Logged[] = ["one", "two"].flatMap((id, call) => [
    { at: 1_500, is: "intent", call: 10 + call, name: "get", via: "service", effects: [] },
    {
      at: 1_510,
      is: "answer",
      call: 10 + call,
      nothing: false,
      effects: [{ table: "user_profiles", row: "7", column: "id", value: id, how: "same" }],
    },
  ]);

  test("a stale answer, a violated constraint and two ids are as wrong as ever where no key of theirs was owed", () => {
    expect(judged([stale(message("a"))], [])).toEqual(["stale late (sqlite)"]);
    expect(judged(violation, [])).toEqual([expect.stringContaining("CONSTRAINT_VIOLATED")]);
    expect(judged(twoIds, [profile("two")])).toEqual(["different user_profiles 7 has two ids"]);
  });

  test("and are accounted for where it was", () => {
    expect(judged([stale(message("a"))], [], { owed: [message("a")] })).toEqual([]);
    expect(judged(violation, [], { owed: [team("n", "1")] })).toEqual([]);
    const facts = {
      owed: [profile("one")],
      written: [profile("two")],
      conflicts: [image("user_profiles", "one", null)],
    };
    expect(judged(twoIds, [profile("two")], facts)).toEqual([]);
  });

  test("a conflict that was named without one is told of", () => {
    const conflicts = [message("a")];
    expect(judged([], [], { conflicts })).toEqual([expect.stringContaining("messages a was named as a conflict")]);
  });
});

describe("what a long run must have shown", () => {
  const summary = (rounds: number, sqlite: number) => ({
    ...emptySummary(),
    rounds,
    primary: { sqlite, postgres: rounds - sqlite },
    leastServices: 250,
    leastFaults: 1,
  });

  test("is that each side was primary in three rounds of ten", () => {
    expect(shortfalls(summary(40, 12))).toEqual([]);
    expect(shortfalls(summary(40, 11))).toEqual([expect.stringContaining("sqlite was primary in 11 of 40")]);
    expect(shortfalls(summary(40, 29))).toEqual([expect.stringContaining("postgres was primary in 11 of 40")]);
    expect(shortfalls(summary(39, 1))).toEqual([]);
  });

  test("is that no round had fewer than 200 calls of the services, and none was without a fault", () => {
    expect(shortfalls({ ...summary(2, 1), leastServices: 199 })).toEqual([expect.stringContaining("199 calls")]);
    expect(shortfalls({ ...summary(2, 1), leastFaults: 0 })).toEqual([expect.stringContaining("no fault")]);
  });
});
