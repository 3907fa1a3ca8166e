import { setTimeout as sleep } from "node:timers/promises";
import type { ChatMessage, Extra } from "./protocol.js";

/** Takes a message, or not: there may be no bot at the moment. */
export type Deliver = (message: ChatMessage, extra: Extra) => boolean;

/** How long a message waits where no bot takes it. */
const againMs = 5;

/** Plays messages to the bots at random moments, one after the other, until it is stopped. It never waits for an answer. */
export class Traffic {
  readonly #messages: AsyncIterable<ChatMessage>;
  readonly #betweenMs: number;
  readonly #random: () => number;
  readonly #deliver: Deliver;
  #stopping = false;
  #running: Promise<void> = Promise.resolve();

  /** `betweenMs` is the mean time between two messages. */
  constructor(messages: AsyncIterable<ChatMessage>, betweenMs: number, random: () => number, deliver: Deliver) {
    this.#messages = messages;
    this.#betweenMs = betweenMs;
    this.#random = random;
    this.#deliver = deliver;
  }

  /** `failed` is told when the messages cannot be read any more. */
  start(failed: (error: Error) => void): void {
    this.#running = this.#run().catch(failed);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    for await (const message of this.#messages) {
      await sleep((0.5 + this.#random()) * this.#betweenMs);
      const extra = extraOf(this.#random());
      while (!this.#stopping && !this.#deliver(message, extra)) await sleep(againMs);
      if (this.#stopping) return;
    }
  }
}

/** Numbers from 0 to 1 that are the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Who takes part in the small talk. */
export const talkers = { users: 8, channels: 4 };

/** Small talk without end: three users whom the old bot knew, and five new ones. */
export async function* smallTalk(random: () => number): AsyncGenerator<ChatMessage> {
  for (;;) {
    const user = pick(random, users);
    const channel = pick(random, channels);
    const content = Array.from({ length: 2 + Math.floor(random() * 8) }, () => pick(random, words)).join(" ");
    yield { ...user, ...channel, content, timestamp: Date.now() };
  }
}

function extraOf(chance: number): Extra {
  if (chance < 0.25) return "reply";
  if (chance < 0.4) return "query";
  return chance < 0.55 ? "document" : "nothing";
}

function pick<T>(random: () => number, from: readonly T[]): T {
  return from[Math.floor(random() * from.length)] as T;
}

const user = (userId: string, username: string) => ({ userId, username });
const users = [
  user("100000000000000000", "user0"),
  user("100000000000000001", "user1"),
  user("100000000000000002", "user2"),
  user("300000000000000003", "ann"),
  user("300000000000000004", "bo"),
  user("300000000000000005", "chloé"),
  user("300000000000000006", "dai"),
  user("300000000000000007", "eva"),
];

const channels = [
  { channelId: "500000000000000001", channelName: "general" },
  { channelId: "500000000000000002", channelName: "code" },
  { channelId: "500000000000000003", channelName: "music" },
  { channelId: "500000000000000004", channelName: "off-topic" },
];

const words = [
  ...["deploy", "it's", "node.js", "C++", "coffee", "naïve", "日本語", "👍", '"quoted"', "50%", "why", "the"],
  ...["queue", "https://example.org/a?b=c", "running", "rows", "never", "again", "tomorrow", "O'Brien", "x;--"],
];
