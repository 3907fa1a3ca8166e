import { countMessages, findMessage, findMessages } from "./find-messages.js";
import { type ServiceParts, sourceOf } from "./parts.js";
import type { MessageRecord, SenderType } from "./records.js";
import { saveAIMessage, saveHumanMessage, saveToolExecution } from "./save-messages.js";
import type { JsonInput, NumberInput } from "./values.js";

/** What every message has. */
export interface MessageOrigin {
  /** A Discord id, as text: it is beyond what a number can hold. */
  readonly userId: string;
  readonly username: string;
  readonly channelId: string;
  readonly channelName: string;
  readonly guildId?: string | null | undefined;
  readonly sessionId?: string | null | undefined;
}

export interface HumanMessage extends MessageOrigin {
  readonly messageContent: string;
  /** Accepted for the callers that have it, not stored. */
  readonly messageId?: string | null | undefined;
  readonly responseDecision?: JsonInput;
}

export interface AIMessage extends MessageOrigin {
  readonly messageContent: string;
  /** The Discord id of the message that is answered. */
  readonly parentMessageId?: string | null | undefined;
  readonly metadata?: JsonInput;
}

export interface ToolExecution extends MessageOrigin {
  readonly toolName: string;
  /** An object is stored as JSON text, text as it is. */
  readonly toolArgs?: JsonInput;
  readonly toolResult?: JsonInput;
  readonly parentMessageId?: string | null | undefined;
}

/** Conditions that hold together; absent, null and blank search text are no condition. */
export interface MessageFilter {
  readonly userId?: string | null | undefined;
  readonly channelId?: string | null | undefined;
  readonly guildId?: string | null | undefined;
  readonly senderType?: SenderType | null | undefined;
  /** Milliseconds since 1970, inclusive. */
  readonly startTime?: NumberInput;
  /** Milliseconds since 1970, inclusive. */
  readonly endTime?: NumberInput;
  /** Every word of it must be in the content, the tool's name or the username; English stop words are left out. */
  readonly searchText?: string | null | undefined;
  /** 1 to 1,000; 0 or absent is 100. */
  readonly limit?: NumberInput;
  readonly offset?: NumberInput;
}

export type MessageCountFilter = Pick<MessageFilter, "userId" | "channelId" | "senderType">;

export interface MessageToAnalyze {
  readonly content: string;
  readonly username: string;
  /** The user's five previous human messages in any channel, oldest first; `sentiment` is JSON text or null. */
  readonly previousMessages: readonly { readonly content: string; readonly sentiment: string | null }[];
}

export interface MessageAnalysis {
  readonly summary?: string | null | undefined;
  readonly sentimentAnalysis?: JsonInput;
  readonly interactionType?: string | null | undefined;
  readonly userIntent?: string | null | undefined;
  readonly botPerception?: string | null | undefined;
  readonly conversationQuality?: string | null | undefined;
}

/** Called once for each human message that is saved. `signal` is aborted when the time is up. */
export type AnalyzeMessage = (
  message: MessageToAnalyze,
  signal: AbortSignal,
) => MessageAnalysis | null | undefined | Promise<MessageAnalysis | null | undefined>;

/** What people, the bot and its tools said. Every wrong input is VALIDATION_FAILED, before any SQL. */
export interface MessageService {
  /** Saves a person's message, analysed where an analyzer is configured. → its id */
  saveHumanMessage(message: HumanMessage): Promise<string>;
  /** Saves the bot's own message. → its id */
  saveAIMessage(message: AIMessage): Promise<string>;
  /** Saves what a tool was called with and gave; its content is `Tool: NAME`. → its id */
  saveToolExecution(execution: ToolExecution): Promise<string>;
  /** Messages that meet every condition, newest first. */
  queryMessages(filter?: MessageFilter): Promise<MessageRecord[]>;
  getMessageById(id: string): Promise<MessageRecord | null>;
  getMessageCount(filter?: MessageCountFilter): Promise<number>;
}

export interface MessageParts extends ServiceParts {
  readonly analyze?: AnalyzeMessage | undefined;
  readonly analysisTimeoutMs: number;
}

export function createMessageService(parts: MessageParts): MessageService {
  const source = sourceOf(parts);
  return {
    saveHumanMessage: (message) => saveHumanMessage(source, parts, message),
    saveAIMessage: (message) => saveAIMessage(source, message),
    saveToolExecution: (execution) => saveToolExecution(source, execution),
    queryMessages: (filter) => findMessages(source, filter),
    getMessageById: (id) => findMessage(source, id),
    getMessageCount: (filter) => countMessages(source, filter),
  };
}
