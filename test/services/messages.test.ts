import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { messages } from "../../src/services/records.js";
import { serviceSides } from "../support/service-sides.js";
import { openServices, origin, type Services } from "../support/services.js";

describe.each(serviceSides)("messages on $name", (side) => {
  let services: Services;
  beforeAll(async () => {
    services = await openServices(side);
  });
  afterAll(() => services.close());

  it("saves a human message and reads back every column", async () => {
    const id = await services.messages.saveHumanMessage({
      ...origin,
      guildId: "323456789012345678",
      messageContent: "hello",
      messageId: "423456789012345678",
      sessionId: "session",
      responseDecision: { respond: true, confidence: 0.25 },
    });
    const record = await services.messages.getMessageById(id);
    expect(Object.keys(record ?? {})).toEqual(messages.columns.map(({ name }) => name));
    expect(record).toMatchObject({
      id,
      timestamp: 1_700_000_000_000,
      created_at: 1_700_000_000,
      sender_type: "human",
      user_id: origin.userId,
      username: "ada",
      channel_id: origin.channelId,
      channel_name: "general",
      guild_id: "323456789012345678",
      message_content: "hello",
      session_id: "session",
      tool_name: null,
      metadata: null,
      ai_summary: null,
    });
    expect(JSON.parse(record?.response_decision ?? "")).toEqual({ respond: true, confidence: 0.25 });
    expect(() => JSON.stringify(record)).not.toThrow();
  });

  it("saves what the bot and its tools said", async () => {
    const ai = await services.messages.saveAIMessage({
      ...origin,
      messageContent: "hi",
      parentMessageId: "423456789012345678",
      metadata: '{"model": "large", "n": 12345678901234567890}',
    });
    const answered = await services.messages.getMessageById(ai);
    expect(answered).toMatchObject({ sender_type: "ai", parent_message_id: "423456789012345678", guild_id: null });
    expect(answered?.metadata).toContain("12345678901234567890");
    const tool = await services.messages.saveToolExecution({
      ...origin,
      toolName: "search",
      toolArgs: { query: "cats" },
      toolResult: "3 found",
    });
    expect(await services.messages.getMessageById(tool)).toMatchObject({
      sender_type: "tool",
      message_content: "Tool: search",
      tool_name: "search",
      tool_args: '{"query":"cats"}',
      tool_result: "3 found",
    });
  });

  it("gives null for an id that is not there", async () => {
    expect(await services.messages.getMessageById("a,b")).toBeNull();
  });

  it("applies every filter, newest first, page by page", async () => {
    const at = { ...origin, channelId: "filters", guildId: "guild" };
    const ids: string[] = [];
    for (let n = 0; n < 6; n++) {
      services.now += n % 2;
      ids.unshift(await services.messages.saveHumanMessage({ ...at, userId: `user${n % 3}`, messageContent: `${n}` }));
    }
    const find = async (filter: object) =>
      (await services.messages.queryMessages({ channelId: "filters", ...filter })).map(({ id }) => id);
    expect(await find({})).toEqual(ids);
    expect(await find({ limit: 2, offset: 1 })).toEqual(ids.slice(1, 3));
    expect(await find({ limit: 0, offset: 0 })).toEqual(ids);
    expect(await find({ userId: "user1" })).toEqual([ids[1], ids[4]]);
    expect(await find({ guildId: "guild", senderType: "human" })).toEqual(ids);
    expect(await find({ guildId: "other" })).toEqual([]);
    expect(await find({ senderType: "ai" })).toEqual([]);
    expect(await find({ startTime: services.now })).toEqual(ids.slice(0, 1));
    expect(await find({ endTime: services.now - 1, startTime: services.now - 1 })).toEqual(ids.slice(1, 3));
    expect(await find({ startTime: 0, endTime: String(services.now), userId: null })).toEqual(ids);
    expect(await find({ userId: "" })).toEqual([]);
  });

  it("counts by the same filters", async () => {
    const count = services.messages.getMessageCount;
    expect(await count({ channelId: "filters" })).toBe(6);
    expect(await count({ channelId: "filters", userId: "user0", senderType: "human" })).toBe(2);
    expect(await count({ channelId: "nowhere" })).toBe(0);
    expect(await count()).toBeGreaterThan(6);
  });

  it("keeps the order in which one millisecond's messages came", async () => {
    const at = { ...origin, channelId: "burst" };
    const saves = Array.from({ length: 50 }, (_, n) =>
      services.messages.saveHumanMessage({ ...at, messageContent: `${n}` }),
    );
    await Promise.all(saves);
    const found = await services.messages.queryMessages({ channelId: "burst" });
    expect(found.map(({ message_content }) => Number(message_content))).toEqual(
      Array.from({ length: 50 }, (_, n) => 49 - n),
    );
  });

  it.each([
    ["limit above 1,000", { limit: 1_001 }, "limit"],
    ["limit below 0", { limit: -1 }, "limit"],
    ["offset below 0", { offset: -1 }, "offset"],
    ["time that is no number", { startTime: "soon" }, "startTime"],
    ["unknown sender", { senderType: "robot" as "ai" }, "senderType"],
    ["id that is a number", { userId: 5 as unknown as string }, "userId"],
  ])("refuses a filter with a %s", async (_, filter, field) => {
    const before = services.adapter.statements.length;
    await expect(services.messages.queryMessages(filter)).rejects.toMatchObject({
      code: "VALIDATION_FAILED",
      message: expect.stringContaining(`queryMessages: ${field}: `),
    });
    expect(services.adapter.statements.length).toBe(before);
  });

  it("refuses a message without what it needs, and does not say what it held", async () => {
    const message = { ...origin, messageContent: { secret: "s3cret" } as unknown as string };
    const refused = services.messages.saveHumanMessage(message);
    await expect(refused).rejects.toMatchObject({
      code: "VALIDATION_FAILED",
      table: "messages",
      column: "message_content",
    });
    await expect(refused).rejects.not.toThrow("s3cret");
    const { userId: _, ...nobody } = { ...origin, messageContent: "" };
    await expect(services.messages.saveAIMessage(nobody as never)).rejects.toMatchObject({ column: "user_id" });
    await expect(services.messages.saveToolExecution(null as never)).rejects.toMatchObject({
      code: "VALIDATION_FAILED",
    });
  });
});
