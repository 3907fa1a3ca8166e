import { createReadStream } from "node:fs";
import { basename } from "node:path";
import { createInterface } from "node:readline";
import { z } from "zod";
import type { ChatMessage } from "./protocol.js";

/** A chat log that cannot be played; the message names the file and the line. */
export class ChatFileError extends Error {}

/** Reads the whole log once, so that a bad line is known before anything starts. → what is in it */
export async function checkChatFile(path: string): Promise<{ messages: number; users: number; channels: number }> {
  const users = new Set<string>();
  const channels = new Set<string>();
  let messages = 0;
  for await (const { userId, channelId } of readChat(path)) {
    messages += 1;
    users.add(userId);
    channels.add(channelId);
  }
  if (messages === 0) throw new ChatFileError(`${basename(path)} holds no messages`);
  return { messages, users: users.size, channels: channels.size };
}

/** The log's messages in its order, from the beginning again after the last one. */
export async function* playChat(path: string): AsyncGenerator<ChatMessage> {
  for (;;) yield* readChat(path);
}

async function* readChat(path: string): AsyncGenerator<ChatMessage> {
  let number = 0;
  for await (const line of linesOf(path)) {
    number += 1;
    if (line.trim() !== "") yield parse(line, `${basename(path)}, line ${number}`);
  }
}

async function* linesOf(path: string): AsyncGenerator<string> {
  const input = createReadStream(path, "utf8");
  try {
    let first = true;
    for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      yield first ? line.replace(/^\uFEFF/, "") : line;
      first = false;
    }
  } catch (error) {
    throw isSystemError(error) ? new ChatFileError(`${path} cannot be read (${error.code})`) : error;
  } finally {
    input.destroy();
  }
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "code" in error;
}

const name = z.string("must be text").min(1, "must not be empty");

const chatMessage = z.object({
  userId: z.string("must be text: a number cannot hold a Discord id").min(1, "must not be empty"),
  username: name,
  channelId: z.string("must be text: a number cannot hold a Discord id").min(1, "must not be empty"),
  channelName: name,
  content: z.string("must be text"),
  timestamp: z.int("must be a whole number of milliseconds").nonnegative("must not be negative"),
});

/** Says which field is wrong, never what it holds. */
function parse(line: string, where: string): ChatMessage {
  const result = chatMessage.safeParse(parseJson(line, where), { reportInput: false });
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const field = issue?.path.join(".");
  throw new ChatFileError(`${where}: ${field ? `${field} ${issue?.message}` : "is not an object"}`);
}

function parseJson(line: string, where: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    throw new ChatFileError(`${where}: is not JSON`);
  }
}
