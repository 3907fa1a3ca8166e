import { afterEach, describe, expect, it, vi } from "vitest";
import type { AnalyzeMessage, MessageAnalysis } from "../../src/services/messages.js";
import { TestPair } from "../support/pair.js";
import { serviceSides } from "../support/service-sides.js";
import { openServices, origin, type ServiceOptions, type Services } from "../support/services.js";

describe.each(serviceSides)("analyzers on $name", (side) => {
  let services: Services;
  afterEach(() => services.close());
  const open = async (options: ServiceOptions) => {
    services = await openServices(side, options);
  };
  const save = async (messageContent = "hello") => {
    const id = await services.messages.saveHumanMessage({ ...origin, messageContent });
    return services.messages.getMessageById(id);
  };

  it("are called once for a human message, with the five before it, oldest first", async () => {
    const analyzeMessage = vi.fn<AnalyzeMessage>(({ content }) => ({ sentimentAnalysis: { of: content } }));
    await open({ analyzeMessage });
    await services.messages.saveAIMessage({ ...origin, messageContent: "not human" });
    await services.messages.saveHumanMessage({ ...origin, userId: "other", messageContent: "somebody else" });
    for (let n = 0; n < 7; n++) await save(`${n}`);
    expect(analyzeMessage).toHaveBeenCalledTimes(8);
    const [message, signal] = analyzeMessage.mock.lastCall ?? [];
    expect(message).toEqual({
      content: "6",
      username: "ada",
      previousMessages: [1, 2, 3, 4, 5].map((n) => ({ content: `${n}`, sentiment: expect.stringContaining(`"${n}"`) })),
    });
    expect(signal?.aborted).toBe(false);
  });

  it("fill the columns of a message", async () => {
    const analysis: MessageAnalysis = {
      summary: "greets",
      sentimentAnalysis: '{"joy": 1}',
      interactionType: "greeting",
      userIntent: "",
      botPerception: null,
      conversationQuality: "good\0",
    };
    await open({ analyzeMessage: async () => analysis });
    const record = await save();
    expect(record).toMatchObject({
      ai_summary: "greets",
      interaction_type: "greeting",
      user_intent: "",
      bot_perception: null,
      conversation_quality: "good\ufffd",
    });
    expect(JSON.parse(record?.sentiment_analysis ?? "")).toEqual({ joy: 1 });
    expect(services.warnings).toEqual([]);
  });

  it("are called once for a query, and fill its columns", async () => {
    const analyzeQuery = vi.fn(async () => ({
      sentimentAnalysis: [1],
      queryComplexity: "low",
      userSatisfaction: "high",
    }));
    await open({ analyzeQuery });
    const id = await services.queries.saveQuery({
      userId: "1",
      username: "ada",
      queryText: "?",
      queryResult: { n: 1 },
      resultCount: 1,
    });
    expect(analyzeQuery).toHaveBeenCalledTimes(1);
    const expected = { queryText: "?", username: "ada", queryResult: '{"n":1}', error: null, resultCount: 1 };
    expect(analyzeQuery).toHaveBeenCalledWith(expected, expect.any(AbortSignal));
    const record = await services.queries.getQueryById(id);
    expect(record).toMatchObject({ query_complexity: "low", user_satisfaction: "high" });
    expect(JSON.parse(record?.sentiment_analysis ?? "")).toEqual([1]);
  });

  const getter = Object.defineProperty({}, "summary", {
    get() {
      throw new Error("s3cret");
    },
  });
  it.each<[string, AnalyzeMessage]>([
    ["throws", () => Promise.reject(new Error("s3cret"))],
    [
      "throws at once",
      () => {
        throw new TypeError("s3cret");
      },
    ],
    ["throws no error", () => Promise.reject("s3cret")],
    ["hangs", () => new Promise(() => {})],
    ["answers text", () => "s3cret" as never],
    ["answers what cannot be read", () => getter],
    ["answers fields that no column can hold", () => ({ summary: (() => 1) as never, sentimentAnalysis: 5n as never })],
  ])("lose no message when one %s", async (name, analyzeMessage) => {
    await open(name === "hangs" ? { analyzeMessage, analysisTimeoutMs: 50 } : { analyzeMessage });
    expect(await save()).toMatchObject({ message_content: "hello", ai_summary: null, sentiment_analysis: null });
    expect(services.warnings.length).toBeGreaterThan(0);
    expect(services.warnings[0]).toMatchObject({ event: "analysis-failed", function: "saveHumanMessage" });
    expect(JSON.stringify(services.warnings)).not.toContain("s3cret");
  });

  it("have their signal aborted when the time is up, and may fail late", async () => {
    const aborted = vi.fn();
    const analyzeMessage: AnalyzeMessage = (_, signal) =>
      new Promise((_resolve, reject) => {
        const end = () => {
          aborted();
          reject(new Error("late"));
        };
        // On a busy machine the time may be up before the previous messages have been read.
        if (signal.aborted) end();
        else signal.addEventListener("abort", end);
      });
    await open({ analyzeMessage, analysisTimeoutMs: 20 });
    expect(await save()).not.toBeNull();
    await expect.poll(() => aborted.mock.calls.length).toBe(1);
    expect(services.warnings).toMatchObject([{ reason: "timed out" }]);
  });

  it("keep messages in the order in which they came", async () => {
    let release = () => {};
    const first = new Promise<void>((resolve) => {
      release = resolve;
    });
    await open({ analyzeMessage: ({ content }) => (content === "slow" ? first.then(() => null) : null) });
    const slow = save("slow");
    await save("fast");
    release();
    await slow;
    const found = await services.messages.queryMessages();
    expect(found.map(({ message_content }) => message_content)).toEqual(["fast", "slow"]);
  });
});

describe.each([
  ["sqlite", "---"],
  ["shadow", "--S"],
  ["read", "-RS"],
  ["read-unshadowed", "-R-"],
  ["postgres", "P--"],
  ["postgres-shadowed", "P-S"],
])("analyzers on the route %s", (route, letters) => {
  const failing = [
    ["answers", () => ({ summary: "s" }), { ai_summary: "s" }],
    ["throws", () => Promise.reject(new Error("no")), { ai_summary: null }],
    ["hangs", () => new Promise<never>(() => {}), { ai_summary: null }],
  ] as const;

  it.each(failing)("are called once per save, and one that %s loses no row", async (name, answer, expected) => {
    const pair = await TestPair.create();
    const analyzeMessage = vi.fn<AnalyzeMessage>(answer);
    const analyzeQuery = vi.fn(async () => {
      await answer();
      return null;
    });
    // Only what never ends is not waited for. On a busy machine the time may be up before it is called: it is called all the same.
    const env = name === "hangs" ? { ANALYSIS_TIMEOUT_MS: "500" } : {};
    const database = await pair.open(letters, { analyzeMessage, analyzeQuery, env });
    expect((await database.status()).effective).toBe(route);
    const ids = [1, 2, 3].map((n) => database.messageService.saveHumanMessage({ ...origin, messageContent: `${n}` }));
    for (const id of await Promise.all(ids))
      expect(await database.messageService.getMessageById(id)).toMatchObject(expected);
    await database.messageService.saveAIMessage({ ...origin, messageContent: "ai" });
    const id = await database.queryService.saveQuery({ userId: "1", username: "ada", queryText: "?" });
    expect(await database.queryService.getQueryById(id)).toMatchObject({ query_text: "?" });
    await expect.poll(() => analyzeMessage.mock.calls.length).toBe(3);
    expect(analyzeQuery).toHaveBeenCalledTimes(1);
    if (letters.includes("S")) await pair.expectConverged(database);
  });
});
