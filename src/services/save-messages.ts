import sql from "sql-template-tag";
import { z } from "zod";
import { columnOf } from "../data/table.js";
import { type AnswerShape, analysedColumns, asJson, asText } from "./analysis.js";
import { checked, optionalJson, optionalJsonText, optionalText, text } from "./inputs.js";
import type { AIMessage, HumanMessage, MessageParts, MessageToAnalyze, ToolExecution } from "./messages.js";
import type { Source } from "./parts.js";
import { type MessageRecord, messages, type SenderType } from "./records.js";
import { type Bound, prepared, preparedInsert } from "./statements.js";

export async function saveHumanMessage(source: Source, parts: MessageParts, input: HumanMessage): Promise<string> {
  const message = checkHuman(input);
  const row = rowOf(source, "human", message, message.messageContent);
  const answers = await analyse(source, parts, message);
  return save(source, { ...row, response_decision: message.responseDecision, ...answers });
}

export async function saveAIMessage(source: Source, input: AIMessage): Promise<string> {
  const message = checkAI(input);
  const row = rowOf(source, "ai", message, message.messageContent);
  return save(source, { ...row, parent_message_id: message.parentMessageId, metadata: message.metadata });
}

export async function saveToolExecution(source: Source, input: ToolExecution): Promise<string> {
  const { toolName, toolArgs, toolResult, parentMessageId, ...from } = checkTool(input);
  const row = rowOf(source, "tool", from, `Tool: ${toolName}`);
  const call = { tool_name: toolName, tool_args: toolArgs, tool_result: toolResult };
  return save(source, { ...row, ...call, parent_message_id: parentMessageId });
}

const origin = {
  userId: text,
  username: text,
  channelId: text,
  channelName: text,
  guildId: optionalText,
  sessionId: optionalText,
};
const checkHuman = checked(
  "saveHumanMessage",
  messages,
  z.object({ ...origin, messageContent: text, responseDecision: optionalJson }),
);
const checkAI = checked(
  "saveAIMessage",
  messages,
  z.object({ ...origin, messageContent: text, parentMessageId: optionalText, metadata: optionalJson }),
);
const checkTool = checked(
  "saveToolExecution",
  messages,
  z.object({
    ...origin,
    toolName: text,
    toolArgs: optionalJsonText,
    toolResult: optionalJsonText,
    parentMessageId: optionalText,
  }),
);
const answerShape = {
  ai_summary: { from: "summary", as: asText },
  sentiment_analysis: { from: "sentimentAnalysis", as: asJson },
  interaction_type: { from: "interactionType", as: asText },
  user_intent: { from: "userIntent", as: asText },
  bot_perception: { from: "botPerception", as: asText },
  conversation_quality: { from: "conversationQuality", as: asText },
} satisfies AnswerShape<string>;

type MessageRow = Record<keyof MessageRecord, Bound>;

const insertMessage = preparedInsert(
  messages,
  messages.columns.map(({ name }) => name as keyof MessageRecord),
);
const previousColumns = [columnOf(messages, "message_content"), columnOf(messages, "sentiment_analysis")];
const previousMessages = prepared(
  sql`SELECT message_content, sentiment_analysis FROM messages
    WHERE user_id = ${null} AND sender_type = 'human' ORDER BY timestamp DESC, id DESC LIMIT 5`,
);

/** A message with nothing in it. */
const emptyRow = Object.fromEntries(messages.columns.map(({ name }) => [name, null])) as MessageRow;

type CheckedHuman = ReturnType<typeof checkHuman>;
type CheckedOrigin = z.output<z.ZodObject<typeof origin>>;

/** Id and times are those of the call, not of the end of its analysis, so that messages keep the order in which they came. */
function rowOf(source: Source, sender: SenderType, from: CheckedOrigin, content: string): MessageRow & { id: string } {
  return {
    ...emptyRow,
    id: source.newId(),
    timestamp: source.milliseconds(),
    created_at: source.seconds(),
    sender_type: sender,
    user_id: from.userId,
    username: from.username,
    channel_id: from.channelId,
    channel_name: from.channelName,
    guild_id: from.guildId,
    session_id: from.sessionId,
    message_content: content,
  };
}

async function save({ adapter }: Source, row: MessageRow & { id: string }): Promise<string> {
  await adapter.write([insertMessage(row)]);
  return row.id;
}

function analyse(source: Source, { analyze, analysisTimeoutMs: timeoutMs }: MessageParts, message: CheckedHuman) {
  const { messageContent: content, username, userId } = message;
  const work = async (signal: AbortSignal) =>
    analyze?.({ content, username, previousMessages: await previousOf(source, userId) }, signal);
  const analysis = analyze && { functionName: "saveHumanMessage", timeoutMs, logger: source.logger, work };
  return analysedColumns(analysis, answerShape);
}

async function previousOf({ adapter }: Source, userId: string): Promise<MessageToAnalyze["previousMessages"]> {
  const statement = previousMessages([userId]);
  const rows = await adapter.read({ statement, tables: [messages.name], columns: previousColumns });
  return (rows as Pick<MessageRecord, "message_content" | "sentiment_analysis">[])
    .map((row) => ({ content: row.message_content, sentiment: row.sentiment_analysis }))
    .reverse();
}
