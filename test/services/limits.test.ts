import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { NumberInput } from "../../src/services/values.js";
import { serviceSides } from "../support/service-sides.js";
import { openServices, type Services } from "../support/services.js";

/** A list, the rows that it gives where no limit is asked for, and the call. */
type List = readonly [
  name: string,
  fallback: number,
  ask: (services: Services, limit?: NumberInput) => Promise<readonly object[]>,
];

const user = "user1";

const lists: readonly List[] = [
  ["queryMessages", 100, ({ messages }, limit) => messages.queryMessages({ limit })],
  ["getRecentQueries", 50, ({ queries }, limit) => queries.getRecentQueries({ limit })],
  ["listDocuments", 50, ({ documents }, limit) => documents.listDocuments({ limit })],
  ["getAnalysisHistory", 10, ({ profiles }, limit) => profiles.getAnalysisHistory(user, limit)],
  ["getUsersNeedingAnalysis", 100, ({ profiles }, limit) => profiles.getUsersNeedingAnalysis(limit)],
  ["getAllUserProfiles", 1_000, ({ profiles }, limit) => profiles.getAllUserProfiles(limit)],
];

/** A row more than any list may give, in each table that has one; `i` counts them. */
const rows = {
  "messages (id, timestamp, sender_type, message_content)": "'row' || i, i, 'human', 'text'",
  "queries (id, timestamp, user_id, username, query_text)": "'row' || i, i, 'user', 'ada', '?'",
  "documents (id, title, created_by)": "'row' || i, 'title', 'user'",
  "user_profiles (id, user_id, username, first_seen_at, last_interaction_at)": "'row' || i, 'user' || i, 'ada', i, i",
  "user_analysis_history (id, user_id, analysis_timestamp)": `'row' || i, '${user}', i`,
};

describe.each(serviceSides)("the limit of a list on $name", (side) => {
  let services: Services;
  beforeAll(async () => {
    services = await openServices(side);
    const counted = "WITH RECURSIVE counted (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM counted WHERE i < 1001)";
    for (const [table, values] of Object.entries(rows)) {
      const insert = `INSERT INTO ${table} ${counted} SELECT ${values} FROM counted`;
      await services.adapter.write([{ sql: insert, text: insert, values: [] }]);
    }
  });
  afterAll(() => services.close());

  it.each(lists)("of %s is %i where it is absent or 0, and at most 1,000", async (name, fallback, ask) => {
    for (const limit of [undefined, null, 0]) expect(await ask(services, limit)).toHaveLength(fallback);
    expect(await ask(services, 1_000)).toHaveLength(1_000);
    for (const limit of [1_001, -1]) {
      await expect(ask(services, limit)).rejects.toMatchObject({
        code: "VALIDATION_FAILED",
        message: `${name}: limit: expected a number from 0 to 1000`,
      });
    }
  });
});
