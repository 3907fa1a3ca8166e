import sql, { raw, type Sql } from "sql-template-tag";
import { z } from "zod";
import type { Side } from "../engines/engine.js";
import { checked, checkedText, limit, offset, optionalNumber, optionalText } from "./inputs.js";
import type { MessageCountFilter, MessageFilter } from "./messages.js";
import type { Source } from "./parts.js";
import { type MessageRecord, messages } from "./records.js";
import { readById, readCount, readRecords } from "./rows.js";
import { searchCondition, searchWords } from "./search.js";
import { condition, countFrom, preparedLookup, selectFrom, where } from "./statements.js";

/** `queryMessages` */
export async function findMessages({ adapter }: Source, input: MessageFilter = {}): Promise<MessageRecord[]> {
  const filter = checkFilter(input);
  const words = searchWords(filter.searchText ?? "");
  if (words?.length === 0) return [];
  const conditions = conditionsOf(filter);
  const page = sql`${newestFirst} LIMIT ${filter.limit} OFFSET ${filter.offset}`;
  const select = (search: Sql | null) => sql`${selectMessages}${where(...conditions, search)}${page}`;
  const statement = words === null ? select(null) : (side: Side) => select(searchCondition(words, side));
  return readRecords(adapter, messages, statement);
}

/** `getMessageById` */
export async function findMessage({ adapter }: Source, input: string): Promise<MessageRecord | null> {
  const id = checkedText("getMessageById", "id", input, messages);
  return readById(adapter, messages, messageById(id), id);
}

/** `getMessageCount` */
export async function countMessages({ adapter }: Source, input: MessageCountFilter = {}): Promise<number> {
  const filter = checkCount(input);
  const conditions = where(
    condition("user_id", "=", filter.userId),
    condition("channel_id", "=", filter.channelId),
    condition("sender_type", "=", filter.senderType),
  );
  return readCount(adapter, messages, sql`${selectCount}${conditions}`);
}

const senderType = z
  .enum(["human", "ai", "tool"])
  .nullish()
  .transform((value) => value ?? null);
const countFilter = { userId: optionalText, channelId: optionalText, senderType };
const checkCount = checked("getMessageCount", messages, z.object(countFilter));
const checkFilter = checked(
  "queryMessages",
  messages,
  z.object({
    ...countFilter,
    guildId: optionalText,
    startTime: optionalNumber("bigint"),
    endTime: optionalNumber("bigint"),
    searchText: optionalText,
    limit: limit(100),
    offset,
  }),
);

const selectMessages = selectFrom(messages);
const selectCount = countFrom(messages);
const newestFirst = raw(" ORDER BY timestamp DESC, id DESC");
const messageById = preparedLookup(messages, "id");

function conditionsOf(filter: ReturnType<typeof checkFilter>): (Sql | null)[] {
  return [
    condition("user_id", "=", filter.userId),
    condition("channel_id", "=", filter.channelId),
    condition("guild_id", "=", filter.guildId),
    condition("sender_type", "=", filter.senderType),
    condition("timestamp", ">=", filter.startTime),
    condition("timestamp", "<=", filter.endTime),
  ];
}
