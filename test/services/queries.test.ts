import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { queries } from "../../src/services/records.js";
import { serviceSides } from "../support/service-sides.js";
import { openServices, type Services } from "../support/services.js";

describe.each(serviceSides)("queries on $name", (side) => {
  let services: Services;
  beforeAll(async () => {
    services = await openServices(side);
  });
  afterAll(() => services.close());

  const question = { userId: "123456789012345678", username: "ada", queryText: "how many cats?" };

  it("saves a query and reads back every column", async () => {
    const id = await services.queries.saveQuery({
      ...question,
      translatedSql: "SELECT 1",
      aiSummary: "one",
      queryResult: [{ n: 1 }],
      resultCount: 0,
      error: "",
      executionTimeMs: 12.5,
    });
    const record = await services.queries.getQueryById(id);
    expect(Object.keys(record ?? {})).toEqual(queries.columns.map(({ name }) => name));
    expect(record).toEqual({
      id,
      timestamp: 1_700_000_000_000,
      user_id: question.userId,
      username: "ada",
      query_text: "how many cats?",
      translated_sql: "SELECT 1",
      ai_summary: "one",
      query_result: expect.any(String),
      result_count: 0,
      error: "",
      execution_time_ms: 13,
      sentiment_analysis: null,
      query_complexity: null,
      user_satisfaction: null,
      created_at: 1_700_000_000,
    });
    expect(JSON.parse(record?.query_result ?? "")).toEqual([{ n: 1 }]);
  });

  it("lists a user's queries, newest first, and counts them", async () => {
    const userId = "223456789012345678";
    const ids: string[] = [];
    for (let n = 0; n < 3; n++) ids.unshift(await services.queries.saveQuery({ ...question, userId }));
    expect((await services.queries.getRecentQueries({ userId })).map(({ id }) => id)).toEqual(ids);
    const page = await services.queries.getRecentQueries({ userId, limit: 1, offset: 1 });
    expect(page.map(({ id }) => id)).toEqual([ids[1]]);
    expect(await services.queries.getQueryCount({ userId })).toBe(3);
    expect(await services.queries.getQueryCount()).toBe((await services.queries.getRecentQueries()).length);
  });

  it("gives null for an id that is not there, and refuses one that is no text", async () => {
    expect(await services.queries.getQueryById("nothing")).toBeNull();
    const refused = services.queries.getQueryById(5 as unknown as string);
    await expect(refused).rejects.toMatchObject({ code: "VALIDATION_FAILED", column: "id" });
  });

  it.each([
    ["resultCount", 2 ** 31],
    ["resultCount", "many"],
    ["executionTimeMs", Number.NaN],
    ["executionTimeMs", Number.POSITIVE_INFINITY],
    ["queryResult", () => 1],
    ["error", 5],
    ["userId", 123],
  ])("refuses %s as %s before any SQL", async (field, value) => {
    const before = services.adapter.statements.length;
    const refused = services.queries.saveQuery({ ...question, [field]: value });
    await expect(refused).rejects.toMatchObject({
      code: "VALIDATION_FAILED",
      details: { function: "saveQuery", field },
    });
    expect(services.adapter.statements.length).toBe(before);
  });
});
