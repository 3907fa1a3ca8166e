import { afterAll, beforeAll, describe, expect, it, test } from "vitest";
import { userProfiles } from "../../src/services/records.js";
import { TestPair } from "../support/pair.js";
import { RemoteBot } from "../support/remote.js";
import { serviceSides } from "../support/service-sides.js";
import { openServices, type Services } from "../support/services.js";

describe.each(serviceSides)("profiles on $name", (side) => {
  let services: Services;
  let last = 123456789012345678n;
  const nextUser = () => String(++last);
  beforeAll(async () => {
    services = await openServices(side);
  });
  afterAll(() => services.close());

  it("creates a profile with 116 columns", async () => {
    const user = nextUser();
    const id = await services.profiles.createUserProfile(user, "ada");
    const profile = await services.profiles.getUserProfile(user);
    expect(Object.keys(profile ?? {})).toEqual(userProfiles.columns.map(({ name }) => name));
    expect(Object.keys(profile ?? {})).toHaveLength(116);
    const now = 1_700_000_000;
    const times = { first_seen_at: now, last_interaction_at: now, created_at: now, updated_at: now };
    expect(profile).toMatchObject({ id, user_id: user, username: "ada", message_count: 0, ...times });
    expect(profile).toMatchObject({ appearance_confidence: 0, last_analyzed_at: null, zodiac_sign: null });
    expect(await services.profiles.getUserProfile("nobody")).toBeNull();
    await expect(services.profiles.createUserProfile(user, "ada")).rejects.toMatchObject({
      code: "CONSTRAINT_VIOLATED",
      message: expect.stringContaining("has a profile already"),
    });
  });

  it("gets or creates one profile, however many ask at once, with the newest username", async () => {
    const user = nextUser();
    const asked = Array.from({ length: 50 }, () => services.profiles.getOrCreateUserProfile(user, "ada"));
    const profiles = await Promise.all(asked);
    expect(new Set(profiles.map(({ id }) => id)).size).toBe(1);
    const renamed = await services.profiles.getOrCreateUserProfile(user, "Ada \ud83d\ude00 L\u0000velace");
    expect(renamed.username).toBe("Ada \ud83d\ude00 L\ufffdvelace");
    expect(await services.profiles.getUserProfile(user)).toEqual(renamed);
    expect(Object.keys(renamed)).toEqual(userProfiles.columns.map(({ name }) => name));
  });

  it("takes swapped arguments for what they are", async () => {
    const user = nextUser();
    for (const create of [services.profiles.createUserProfile, services.profiles.getOrCreateUserProfile]) {
      await expect(create("ada", user)).rejects.toMatchObject({ code: "VALIDATION_FAILED", column: "user_id" });
      await expect(create(Number(user) as never, "ada")).rejects.toMatchObject({ code: "VALIDATION_FAILED" });
    }
    expect((await services.profiles.getOrCreateUserProfile(user, nextUser())).user_id).toBe(user);
    expect((await services.profiles.getOrCreateUserProfile("test-user", "ada")).user_id).toBe("test-user");
  });

  it("updates by column name", async () => {
    const user = nextUser();
    await services.profiles.createUserProfile(user, "ada");
    services.now += 1_000;
    const changes = {
      zodiac_sign: "leo",
      hair_color: undefined,
      primary_interests: ["cats", "\ud83d\ude00"],
      feelings_json: '{"joy": 0.5}',
      openness_score: "70.5",
      archetype_confidence: 0.1,
      message_count: 0,
      last_analyzed_at: 1_700_000_000.4,
      username: "",
    };
    expect(await services.profiles.updateUserProfile(user, changes)).toBe(true);
    const profile = await services.profiles.getUserProfile(user);
    expect(profile).toMatchObject({
      zodiac_sign: "leo",
      hair_color: null,
      openness_score: 71,
      archetype_confidence: 0.1,
      message_count: 0,
      last_analyzed_at: 1_700_000_000,
      username: "",
      updated_at: Math.trunc(services.now / 1_000),
    });
    expect(JSON.parse(profile?.primary_interests ?? "")).toEqual(["cats", "\ud83d\ude00"]);
    expect(JSON.parse(profile?.feelings_json ?? "")).toEqual({ joy: 0.5 });
    await services.profiles.updateUserProfile(user, { zodiac_sign: null, feelings_json: null, updated_at: 5 });
    const emptied = await services.profiles.getUserProfile(user);
    expect(emptied).toMatchObject({ zodiac_sign: null, feelings_json: null, updated_at: 5, hair_color: null });
    expect(await services.profiles.updateUserProfile("nobody", { zodiac_sign: "leo" })).toBe(false);
    expect(await services.profiles.updateUserProfile("nobody", {})).toBe(false);
    expect(await services.profiles.updateUserProfile(user, {})).toBe(true);
  });

  it.each([
    ["id", "x"],
    ["user_id", "x"],
    ["created_at", 5],
    ["zodiac", "leo"],
    ['zodiac_sign" = NULL --', "x"],
    ["__proto__", "x"],
    ["username", null],
    ["last_interaction_at", null],
    ["zodiac_sign", 5],
    ["openness_score", 2 ** 31],
    ["last_analyzed_at", 2 ** 53],
    ["archetype_confidence", "high"],
    ["personality_facets", 5n],
  ])("refuses to set %s to %s before any SQL", async (column, value) => {
    const before = services.adapter.statements.length;
    const changes = Object.fromEntries([[column, value]]);
    await expect(services.profiles.updateUserProfile("somebody", changes)).rejects.toMatchObject({
      code: "VALIDATION_FAILED",
      details: { function: "updateUserProfile", field: column },
    });
    expect(services.adapter.statements.length).toBe(before);
  });

  it("counts messages", async () => {
    const user = nextUser();
    await services.profiles.createUserProfile(user, "ada");
    services.now += 2_000;
    const counted = Array.from({ length: 10 }, () => services.profiles.incrementMessageCount(user));
    expect(await Promise.all(counted)).toEqual(Array(10).fill(true));
    const seconds = Math.trunc(services.now / 1_000);
    const expected = { message_count: 10, last_interaction_at: seconds, updated_at: seconds };
    expect(await services.profiles.getUserProfile(user)).toMatchObject(expected);
    await services.profiles.updateUserProfile(user, { message_count: 2_147_483_647 });
    await services.profiles.incrementMessageCount(user);
    expect(await services.profiles.getUserProfile(user)).toMatchObject({ message_count: 2_147_483_647 });
    expect(await services.profiles.incrementMessageCount("nobody")).toBe(false);
  });

  it("keeps the history of analyses", async () => {
    const user = nextUser();
    const save = services.profiles.saveAnalysisHistory;
    await expect(save(user, {}, {}, 0)).rejects.toMatchObject({ code: "CONSTRAINT_VIOLATED", column: "user_id" });
    await services.profiles.createUserProfile(user, "ada");
    const first = await save(user, { joy: 1 }, '{"open": true}', 5);
    services.now += 1_000;
    const second = await save(user, null, null, "7", "calmer");
    const history = await services.profiles.getAnalysisHistory(user);
    expect(history.map(({ id }) => id)).toEqual([second, first]);
    expect(history[0]).toMatchObject({
      feelings_snapshot: null,
      message_count_at_analysis: 7,
      changes_summary: "calmer",
    });
    expect(JSON.parse(history[1]?.feelings_snapshot ?? "")).toEqual({ joy: 1 });
    expect(JSON.parse(history[1]?.personality_snapshot ?? "")).toEqual({ open: true });
    expect(await services.profiles.getAnalysisHistory(user, 1)).toEqual(history.slice(0, 1));
  });
});

describe.each(serviceSides)("lists of profiles on $name", (side) => {
  it("gives those that need an analysis, the longest waiting first, and all by their last interaction", async () => {
    const services = await openServices(side);
    const { createUserProfile, updateUserProfile, incrementMessageCount } = services.profiles;
    for (const name of ["fresh", "recent", "old", "done"]) await createUserProfile(name, name);
    const analysedAt = (name: string, ago: number) =>
      updateUserProfile(name, { last_analyzed_at: services.now / 1_000 - ago });
    await Promise.all([analysedAt("recent", 10), analysedAt("old", 20), analysedAt("done", 0)]);
    const names = (profiles: { username: string }[]) => profiles.map(({ username }) => username);
    expect(names(await services.profiles.getUsersNeedingAnalysis())).toEqual(["fresh", "old", "recent"]);
    expect(names(await services.profiles.getUsersNeedingAnalysis(2))).toEqual(["fresh", "old"]);
    expect(names(await services.profiles.getAllUserProfiles())).toEqual(["done", "old", "recent", "fresh"]);
    services.now += 1_000;
    await incrementMessageCount("done");
    await incrementMessageCount("recent");
    expect(names(await services.profiles.getUsersNeedingAnalysis())).toEqual(["fresh", "old", "recent", "done"]);
    expect(names(await services.profiles.getAllUserProfiles(3))).toEqual(["done", "recent", "old"]);
    await expect(services.profiles.getAllUserProfiles(1_001)).rejects.toMatchObject({ code: "VALIDATION_FAILED" });
    await services.close();
  });
});

describe.each(serviceSides.filter(({ side }) => side === "sqlite"))("an old profile on $name", (side) => {
  it("may hold text that is not UTF-8, which reads as U+FFFD and does not end the process", async () => {
    const services = await openServices(side);
    await services.profiles.createUserProfile("old", "ada");
    const broken = `UPDATE user_profiles SET zodiac_sign = CAST(x'61ff62' AS TEXT), notable_patterns = CAST(x'ff' AS TEXT)`;
    await services.adapter.write([{ sql: broken, text: broken, values: [] }]);
    const profile = await services.profiles.getOrCreateUserProfile("old", "ada");
    expect(profile).toMatchObject({ zodiac_sign: "a\ufffdb", notable_patterns: "\ufffd" });
    expect(await services.profiles.getUserProfile("old")).toEqual(profile);
    expect(await services.profiles.getAllUserProfiles()).toEqual([profile]);
    await services.close();
  });
});

test.each([
  ["SQLite", "--S", "sqlite"],
  ["PostgreSQL", "P-S", "postgres"],
] as const)("50 calls at once from two processes make one profile, with %s primary", async (_, letters, primary) => {
  const pair = await TestPair.create();
  const database = await pair.open(letters);
  const bots = await Promise.all([1, 2].map(() => RemoteBot.start(pair.env(letters))));
  for (const bot of bots) await bot.call("database", "open");
  const user = "523456789012345678";
  const asked = Array.from({ length: 50 }, (_, index) =>
    bots[index % 2]?.call("userProfileService", "getOrCreateUserProfile", user, `name ${index}`),
  );
  const profiles = (await Promise.all(asked)) as { readonly id: string }[];
  expect(profiles).toHaveLength(50);
  const rows = await pair.rows(primary, `SELECT id FROM user_profiles WHERE user_id = '${user}'`);
  expect(rows).toEqual([{ id: profiles[0]?.id }]);
  expect(new Set(profiles.map(({ id }) => id)).size).toBe(1);
  await pair.expectConverged(database);
});
